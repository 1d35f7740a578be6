package conf

import (
	"net"
	"net/url"
	"strconv"
	"strings"
)

// EdgeGallery says where the other parts of EdgeGallery's platform are. It works only under
// CompatEdgeGallery.
type EdgeGallery struct {
	Gateway Gateway
	Mepauth string // scheme://host:port of mepauth; empty: nobody's discovery is filtered
	// TokenKeyFile holds the PEM public key of mepauth's RS512 tokens. Empty: they are not taken.
	TokenKeyFile string
	CAFile       string // PEM, what signs the certificates of gateway and mepauth; empty: the system's
	// CommonName is what these certificates must have as their subject's common name, in place
	// of their host's name: those that EdgeGallery makes name no host. Empty: the name is verified.
	CommonName string
	ImportFrom string // EdgeGallery's data directory, or URL of its etcd; empty: nothing is imported
	// Site: the environment is the one that EdgeGallery's chart makes for its mepserver. No
	// key sets it.
	Site bool
}

// Gateway says where Kong is.
type Gateway struct {
	Admin  string // URL of its Admin API; empty: nothing is published
	Public string // URL that consumers reach it by
}

// ChartPorts are those that the parts of EdgeGallery's platform listen on in mepserver's pod: Kong
// (proxy and Admin API, plain and TLS), mepauth, mepserver, and the dns-server's management.
func ChartPorts() []int { return []int{8000, 8443, 8001, 8444, 10443, 8088, 8080} }

// SitePorts are ChartPorts, and those at which the platform's parts are configured.
func (c Config) SitePorts() []int {
	out := ChartPorts()
	for _, at := range []string{"tcp://" + c.Server.Listen, c.EdgeGallery.Gateway.Admin, c.EdgeGallery.Gateway.Public, c.EdgeGallery.Mepauth, c.Rules.DNS.URL} {
		if u, err := url.Parse(at); err == nil {
			if port, err := strconv.Atoi(u.Port()); err == nil {
				out = append(out, port)
			}
		}
	}
	return out
}

// GatewayPorts are those that Kong may say its client came to, in X-Forwarded-Port: its own in
// the pod, for it knows no other, and the public one.
func (c Config) GatewayPorts() []string {
	out := []string{"8000", "8443"}
	if u, err := url.Parse(c.EdgeGallery.Gateway.Public); err == nil && u.Port() != "" {
		out = append(out, u.Port())
	}
	return out
}

func edgeGallerySettings(e *EdgeGallery) []setting {
	return []setting{
		{"edgegallery.gateway.admin", "", &e.Gateway.Admin},
		{"edgegallery.gateway.public", "", &e.Gateway.Public},
		{"edgegallery.mepauth", "", &e.Mepauth},
		{"edgegallery.tokenKeyFile", "", &e.TokenKeyFile},
		{"edgegallery.caFile", "", &e.CAFile},
		{"edgegallery.commonName", "", &e.CommonName},
		{"edgegallery.importFrom", "", &e.ImportFrom},
	}
}

// edgeGallery checks the form of each URL, and that each setting has something that uses it.
func (k checker) edgeGallery() {
	e := k.EdgeGallery
	const admin, public, mepauth, ca, name = "edgegallery.gateway.admin", "edgegallery.gateway.public", "edgegallery.mepauth", "edgegallery.caFile", "edgegallery.commonName"
	for _, s := range []struct{ path, value string }{
		{admin, e.Gateway.Admin}, {public, e.Gateway.Public}, {mepauth, e.Mepauth},
		{"edgegallery.tokenKeyFile", e.TokenKeyFile}, {ca, e.CAFile}, {name, e.CommonName}, {"edgegallery.importFrom", e.ImportFrom},
	} {
		switch {
		case s.value != "" && k.Compat != CompatEdgeGallery:
			k.report(Fault{k.where(s.path), s.path, "is of no use without compat: edgegallery"}, "compat")
		case strings.ContainsRune(s.value, 0):
			k.fault(s.path, "must be text without control characters, not %s", shown(s.value))
		}
	}
	k.together(admin, e.Gateway.Admin != "", public, e.Gateway.Public != "")
	k.peer(admin, e.Gateway.Admin, "whoever can change what is sent there leads consumers anywhere")
	k.peer(mepauth, e.Mepauth, "whoever can change what comes from there decides who discovers what")
	if p := e.Gateway.Public; p != "" && !serverURL(p) {
		k.fault(public, "must be scheme://host:port of http or https, without user, path or query") // not shown: a URL may hold a password
	}
	if secure := strings.HasPrefix(e.Gateway.Admin, "https:") || strings.HasPrefix(e.Mepauth, "https:"); !secure && e.CAFile != "" {
		k.report(Fault{k.where(ca), ca, "is of no use without https:// in " + admin + " or " + mepauth}, admin, mepauth)
	}
	if e.CommonName != "" && e.CAFile == "" {
		k.report(Fault{k.firstGiven(ca, name), ca, "must be given with " + name + k.writtenAt(name) +
			": of all authorities that the system trusts, any may give anybody that name"}, name)
	}
}

// peer checks a URL that requests of ours go to. In EdgeGallery's environment without TLS they
// go in the clear, as everything does there.
func (k checker) peer(path, link, risk string) {
	switch {
	case link == "":
	case !serverURL(link):
		k.fault(path, "must be scheme://host:port of http or https, without user, path or query") // not shown: a URL may hold a password
	case !baseURL(link) && !k.EdgeGallery.Site && !k.Server.Insecure:
		k.report(Fault{k.where(path), path, "must be https, or http on loopback: " + risk + "; or accept the risk with server.insecure: true"}, "server.insecure")
	}
}

// serverURL says whether a URL is of a server as a whole.
func serverURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return false
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return advertisable(net.JoinHostPort(u.Hostname(), port))
}
