package center

import (
	"net/http/httptest"
	"testing"

	"github.com/apache/servicecomb-service-center/pkg/chain"
	"github.com/apache/servicecomb-service-center/pkg/rest"
	"github.com/apache/servicecomb-service-center/pkg/util"
	"github.com/stretchr/testify/require"
)

type seenAddress struct{ ip string }

func (s *seenAddress) Handle(i *chain.Invocation) { s.ip = util.GetIPFromContext(i.Context()) }

// Nobody forges the operator that the log names, and IPv6 is not cut short.
func TestTheOperatorInTheLogIsThePeer(t *testing.T) {
	for remote, want := range map[string]string{
		"10.1.2.3:4567": "10.1.2.3", "[2001:db8::7]:80": "2001:db8::7", "[::ffff:10.1.2.3]:1": "10.1.2.3", "[::1]:1": "::1",
	} {
		r := httptest.NewRequest("GET", "/v4/default/registry/existence", nil)
		r.RemoteAddr = remote
		for _, h := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded"} {
			r.Header.Set(h, "6.6.6.6")
		}
		ctx, seen := util.NewStringContext(r.Context()), &seenAddress{}
		ctx.SetKV(util.CtxRemoteIP, util.GetRealIP(r)) // what the context handler makes of it
		i := chain.NewInvocation(ctx, chain.NewChain("test", []chain.Handler{peerAddress{}, seen}))
		i.WithContext(rest.CtxRequest, r)
		i.Next()
		require.Equal(t, want, seen.ip)
	}
}
