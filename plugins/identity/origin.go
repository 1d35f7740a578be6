package identity

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// origins keeps web pages away that are not ours, nor of those origins that the
// configuration names. A browser runs on the very machine, or in the very network, that
// plain loopback and firewalls trust, and a page of anybody's may have it send requests.
type origins struct {
	allowed []string // as browsers send them: scheme://host[:port]
	forgery *http.CrossOriginProtection
	hosts   *hostNames // nil: any is taken
}

// newOrigins returns the origins of a configuration for a server that listens at an address. site
// says that it is EdgeGallery's.
func newOrigins(c conf.Server, at net.Addr, site bool) *origins {
	o := &origins{allowed: c.Origins, forgery: http.NewCrossOriginProtection()}
	for _, origin := range c.Origins {
		_ = o.forgery.AddTrustedOrigin(origin) // conf checked its form
	}
	if tcp, ok := at.(*net.TCPAddr); ok && (tcp.IP.IsLoopback() || site) && !c.TLS.On() {
		o.hosts = &hostNames{self: tcp.String(), advertised: hostOf(c.Advertise), cluster: site}
	}
	return o
}

// guard refuses what a page of another origin sends, and answers browsers that ask.
func (o *origins) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.hosts != nil && !o.hosts.take(r) {
			server.RefuseError(w, server.ErrHost, 1)
			return
		}
		if len(o.allowed) > 0 && o.share(w, r) {
			return
		}
		if o.forged(r) {
			server.RefuseError(w, server.ErrOrigin, 1)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// forged says whether a page of an origin that is not allowed sent a request that may change
// something, or opens a WebSocket: browsers let any page open one, and read all of it.
func (o *origins) forged(r *http.Request) bool {
	if len(r.Header["Upgrade"]) > 0 {
		as := *r
		as.Method = http.MethodPost // its check lets every GET through
		r = &as
	}
	return o.forgery.Check(r) != nil
}

// What allowed origins may send and read beyond what every page may (Fetch standard, CORS
// protocol). Credentials are not shared: a page sends its token itself.
const (
	sharedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
	sharedHeaders = "Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID, X-Domain-Name, X-ConsumerId"
	exposed       = "Location, ETag, Retry-After"
	preflightAge  = "600" // seconds
)

// share adds what lets a page of an allowed origin read the answer. A preflight is answered
// here: it carries no credential. done: the request was answered.
func (o *origins) share(w http.ResponseWriter, r *http.Request) (done bool) {
	h, asked := w.Header(), r.Header["Access-Control-Request-Method"]
	preflight := r.Method == http.MethodOptions && len(asked) > 0
	h.Add("Vary", "Origin") // on every answer, or a cache would give one origin that of another
	if preflight {
		h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	}
	origin := r.Header["Origin"]
	if len(origin) != 1 || !slices.Contains(o.allowed, origin[0]) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin[0])
	if !preflight {
		h.Set("Access-Control-Expose-Headers", exposed)
		return false
	}
	h.Set("Access-Control-Allow-Methods", sharedMethods)
	h.Set("Access-Control-Allow-Headers", sharedHeaders)
	h.Set("Access-Control-Max-Age", preflightAge)
	w.WriteHeader(http.StatusNoContent)
	return true
}

// hostNames are the Hosts of a server that has no TLS and asks some for no proof: on loopback, or
// in EdgeGallery's site. Whoever owns a domain may have its name resolved to 127.0.0.1, and its
// page would be of the server's own origin (DNS rebinding); the Host of its requests is that name.
type hostNames struct {
	self       string // address:port, which most requests have
	advertised string // host of server.advertise; "": none
	cluster    bool   // all addresses, and the names that only a cluster resolves
}

// take says whether the Host of the request is one of the server's. Only HTTP/1.0 may leave
// it out (RFC 9112 §3.2), and no browser does.
func (n *hostNames) take(r *http.Request) bool {
	if r.Host == n.self || r.Host == "" && !r.ProtoAtLeast(1, 1) {
		return true
	}
	host := hostOf(r.Host)
	if strings.EqualFold(host, "localhost") || n.advertised != "" && strings.EqualFold(host, n.advertised) {
		return true
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return n.cluster || ip.Unmap().IsLoopback()
	}
	return n.cluster && ofCluster(host)
}

// ofCluster says whether a name is one of a service of EdgeGallery's cluster, such as
// mep-mm5.mep: nobody can have a name below these domains registered.
func ofCluster(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host != "" && !strings.Contains(host, ".") {
		return true
	}
	for _, domain := range []string{".mep", ".svc", ".cluster.local"} {
		if strings.HasSuffix(host, domain) {
			return true
		}
	}
	return false
}

// hostOf is the host of host:port, or of a host alone, without the brackets of an address.
func hostOf(s string) string {
	if host, _, err := net.SplitHostPort(s); err == nil {
		return host
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		return strings.TrimSuffix(inner, "]")
	}
	return s
}
