package identity

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/identity/token"
)

// gatewayHeader is where EdgeGallery's gateway says for which application it calls: its plugin
// appid-header writes the sub of mepauth's token there. It is in canonical form.
const gatewayHeader = "X-Appinstanceid"

// site is a pod of EdgeGallery's platform: the gateway runs in it too and calls for applications,
// and others of the platform call without proving anything. Both come by one port, so that only
// their connections tell them apart. nil: the process runs elsewhere.
type site struct {
	machine *machine
	tokens  *cache[tokenHash, plugins.Caller] // whom they name, which proves nothing
	// shared says that identity.proxy believes the same header of others.
	shared bool
	ports  []string // that the gateway says its clients came to
}

func newSite(c conf.Config, m *machine) *site {
	return &site{machine: m, tokens: newCache[tokenHash, plugins.Caller](), ports: c.GatewayPorts(),
		shared: http.CanonicalHeaderKey(c.Identity.Proxy.Header) == gatewayHeader}
}

// of returns the application for which the gateway calls; nil: it does not. From anyone else the
// header is removed.
//
// The header alone is not to be believed. The gateway passes requests on to the endpoints of
// services as well, and whoever registers a service may name this server as its endpoint: such
// requests come from the gateway too, with whatever headers their client gave them. But there
// also the gateway demands a token and verifies it. So the header must be of whom the token is.
func (s *site) of(r *http.Request) (*plugins.Caller, error) {
	if s == nil {
		return nil, nil
	}
	values, there := r.Header[gatewayHeader]
	switch {
	case !there:
		return nil, nil
	case !fromHere(endsOf(r)):
		if !s.shared {
			delete(r.Header, gatewayHeader)
		}
		return nil, nil
	case len(values) != 1 || !mp1.ValidID(values[0]):
		return nil, badProxyHeader
	}
	if who := s.passedOn(r, values[0]); who != nil {
		return who, nil
	}
	return nil, badProxyHeader
}

// passedOn is the application, if a request may be one that the gateway passed on for it; nil: it
// may not. The gateway verified the token that it found first: in the query, and only else in
// Authorization. One in the query is refused, for then nobody has verified the other.
// Authorization is missing only if the client had the gateway take it away (RFC 9110 §7.6.1), or
// if what passed the request on is no such gateway.
func (s *site) passedOn(r *http.Request, app string) *plugins.Caller {
	if queryHas(r.URL.RawQuery, "jwt") {
		return nil
	}
	values, there := r.Header["Authorization"]
	if !there {
		if forwarded(r) {
			return nil
		}
		return calledFor(app)
	}
	raw, err := bearerOf(values)
	switch {
	case err != nil, len(raw) > token.MaxBytes:
		return nil
	case !strings.Contains(raw, "."): // the gateway takes none such for a token
		return calledFor(app)
	}
	if who := s.named(raw); who.App == app {
		return who
	}
	return nil
}

// named is whom a token names; App is "": nobody. Nothing is verified. A heartbeat finds it in
// the cache.
func (s *site) named(raw string) *plugins.Caller {
	sum := hashOf(raw)
	if who := s.tokens.get(sum); who != nil {
		return who
	}
	t, err := token.Parse(raw)
	if err != nil {
		return calledFor("")
	}
	who := calledFor(t.Subject())
	s.tokens.put(sum, who, func(*plugins.Caller) bool { return false })
	return who
}

// calledFor is an application for which the gateway calls.
func calledFor(app string) *plugins.Caller {
	return &plugins.Caller{Name: app, App: app, Roles: []string{conf.RoleApp}, Source: plugins.SourceGateway}
}

// allow says whether a request that proves nothing may use a route of the platform or one of
// aroundGateway.
func (s *site) allow(r *http.Request, a server.Access) error {
	local, peer := endsOf(r)
	switch {
	case s.byGateway(r):
		return server.ErrAnonymous
	case s.machine.admits(local, peer):
		return nil
	case isMm5(a):
		return server.ErrPlace
	}
	return server.ErrAnonymous
}

// aroundGateway are the routes, by their names, that EdgeGallery's applications and its portal
// call without the gateway. In the site they need prove nothing, at the pod's primary address;
// where the path names an application, that is the caller.
var aroundGateway = map[string]bool{
	"mp1.ConfirmReady": true, "mp1.ConfirmTermination": true,
	"mp1.PostTerminationSubscription": true, "mp1.GetTerminationSubscriptions": true,
	"mp1.GetTerminationSubscription": true, "mp1.DeleteTerminationSubscription": true,
	"mp1.GetServices": true, "mp1.GetService": true, "mp1.GetTransports": true,
	"mp1.GetCurrentTime": true, "mp1.GetTimingCaps": true,
}

// isMm5 says whether a route is one of those that the platform's other components call.
func isMm5(a server.Access) bool { return a == server.Mm5 || a == server.Mm5OrOwner }

// claims is the key of what a request says in gatewayHeader, which is not believed.
type claims struct{}

func withClaim(r *http.Request, claimed []string) *http.Request {
	if claimed == nil {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), claims{}, claimed))
}

// claimsNoOther refuses a caller who proves nothing, and names another application in the header
// than in the path: MECM names the same in both. It keeps mistakes from ending an application,
// and nobody else, for the header may as well be left out.
func claimsNoOther(r *http.Request, app string) error {
	claimed, there := r.Context().Value(claims{}).([]string)
	if there && (len(claimed) != 1 || claimed[0] != app) {
		return server.ErrOtherApplication
	}
	return nil
}

// endsOf are the addresses of both ends of the connection that a request came by.
func endsOf(r *http.Request) (local, peer netip.Addr) {
	if at, ok := r.Context().Value(http.LocalAddrContextKey).(interface{ AddrPort() netip.AddrPort }); ok {
		local = at.AddrPort().Addr().Unmap()
	}
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		peer = from.Addr().Unmap()
	}
	return local, peer
}

// fromHere says whether the other end of a connection is on this machine, as a pod is one: no
// packet from elsewhere is answered to an address of our own. Both addresses are the same then,
// unless one chooses others on loopback. An address with a zone is ours on one link only.
func fromHere(local, peer netip.Addr) bool {
	return local.IsValid() && peer.IsValid() && (local == peer || local.IsLoopback())
}

// byGateway says whether the gateway may have passed a request on that needs no proof. Within the
// pod no other proxy does. A connection of the gateway's that left the pod, by the address of a
// Service, comes back as if it were somebody else's; but the gateway says in X-Forwarded-Port, which
// its clients can neither set nor take away, at which of its own ports they came. Other proxies,
// as before EdgeGallery's portal, have others; they pass on whom their operator lets in.
func (s *site) byGateway(r *http.Request) bool {
	if fromHere(endsOf(r)) && forwarded(r) {
		return true
	}
	for _, name := range []string{"X-Consumer-Id", "X-Consumer-Username", "X-Credential-Identifier"} { // of its plugin jwt
		if _, there := r.Header[name]; there {
			return true
		}
	}
	for _, value := range r.Header["X-Forwarded-Port"] {
		for port := range strings.SplitSeq(value, ",") {
			if slices.Contains(s.ports, strings.TrimSpace(port)) {
				return true
			}
		}
	}
	return false
}

// forwarded says whether a proxy passed the request on. EdgeGallery's gateway writes these
// headers after those that its client can have it take away.
func forwarded(r *http.Request) bool {
	for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "Forwarded"} {
		if _, there := r.Header[name]; there {
			return true
		}
	}
	return false
}

// queryHas says whether a query may have a parameter: a lenient reader makes something of what
// cannot be decoded.
func queryHas(query, name string) bool {
	for part := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(key); err != nil || plain == name {
			return true
		}
	}
	return false
}
