package identity

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever a caller sends, nobody is taken for an application but by a token of the issuer's,
// and nothing is believed of a proxy that is none.
func FuzzTheDoor(f *testing.F) {
	g := newGate(f)
	good := g.token(nil)
	f.Add("/mec_service_mgmt/v1/services", "Bearer "+good, "__Host-mep="+good, "app")
	f.Add("/board", "", "a=b; __Host-mep=\"x\"; __Host-mep", "app,app")
	f.Add("/health", "bearer\t"+good, ";;", "")
	f.Add("/oauth2/token", "Basic YTpi", "__Host-mep=x", "../x")
	f.Fuzz(func(t *testing.T, path, authorization, cookie, header string) {
		g.why = nil
		answer, who, inside := g.ask(at(path), with("Authorization", authorization), with("Cookie", cookie), with("x-app", header))
		if inside != nil {
			require.NotContains(t, inside.Header, "X-App")
			if who == nil {
				require.True(t, g.routes.isOpen(path), path)
				return
			}
			require.Equal(t, "app", who.App)
			require.Contains(t, authorization+cookie, good)
			return
		}
		require.Equal(t, http.StatusUnauthorized, answer.Code)
		require.Len(t, g.why, 1)
	})
}

// A name of a certificate is an application's only if it is the pattern with an id in it.
func FuzzTheNameOfACertificate(f *testing.F) {
	g := newGate(f)
	for _, seed := range []string{"urn:mec:app:app-1", "urn:mec:app:", "urn:mec:app:a/b", "spiffe://x/y", "urn:mec:console", "URN:MEC:APP:a", "urn:mec:app:a?b#c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.Parse(text)
		if err != nil {
			return
		}
		who, ok := g.certificates.name(u.String())
		if !ok || who == nil {
			return
		}
		if who.App != "" {
			require.Equal(t, "urn:mec:app:"+who.App, u.String())
			return
		}
		require.Equal(t, "urn:mec:console", u.String())
	})
}
