package center

import (
	"net/http"
	"net/netip"

	"github.com/apache/servicecomb-service-center/pkg/chain"
	"github.com/apache/servicecomb-service-center/pkg/rest"
	"github.com/apache/servicecomb-service-center/pkg/util"
)

// peerAddress has service-center log the address that the request came from as its
// operator. By itself it believes X-Forwarded-For, then X-Real-Ip, from anybody, and cuts
// IPv6 off at the first colon.
type peerAddress struct{}

// Handle implements chain.Handler. It comes after the context handler.
func (peerAddress) Handle(i *chain.Invocation) {
	if r, ok := i.Context().Value(rest.CtxRequest).(*http.Request); ok {
		if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
			i.WithContext(util.CtxRemoteIP, at.Addr().Unmap().String())
		}
	}
	i.Next()
}
