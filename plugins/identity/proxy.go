package identity

import (
	"net/http"
	"net/netip"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// proxy knows the application that a proxy says it calls for.
type proxy struct {
	header string // in canonical form; "": no proxy is believed
	from   []netip.Prefix
	san    string
}

func newProxy(c conf.ProxyIdentity) *proxy {
	return &proxy{http.CanonicalHeaderKey(c.Header), c.From, c.SAN}
}

// of returns whom the proxy's header names; nil: it names nobody. From anyone but the proxy
// the header is removed, so that nothing behind this can believe it.
func (p *proxy) of(r *http.Request, c *certificate) (*plugins.Caller, error) {
	if p.header == "" {
		return nil, nil
	}
	values, there := r.Header[p.header]
	switch {
	case !there:
		return nil, nil
	case !p.sent(r, c):
		delete(r.Header, p.header)
		return nil, nil
	case len(values) != 1 || !mp1.ValidID(values[0]):
		return nil, badProxyHeader
	}
	return &plugins.Caller{Name: values[0], App: values[0], Roles: []string{conf.RoleApp}, Source: "proxy"}, nil
}

// sent says whether the proxy sent the request: it came from one of its networks and, with
// TLS, under its own certificate. A network alone would not do there, for applications may
// share it.
func (p *proxy) sent(r *http.Request, c *certificate) bool {
	if p.san != "" && (c == nil || !c.isProxy) {
		return false
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	address := peer.Addr().Unmap().WithZone("")
	for _, network := range p.from {
		if network.Contains(address) {
			return true
		}
	}
	return false
}
