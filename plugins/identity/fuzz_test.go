package identity

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1/server"
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

// Whatever a request says and wherever it comes from, nobody is taken for an application in
// EdgeGallery's site but whom the gateway and its token name, and nothing that needs no proof is
// answered but at the primary address or on loopback.
func FuzzTheSite(f *testing.F) {
	g := newSiteGate(f)
	f.Add("app", "Bearer "+unsigned("app"), "", pod, pod, "mep-api-gw.mep", "8443")
	f.Add("app", "Bearer "+unsigned("other"), "jwt=x", pod, pod, "", "")
	f.Add("app", "x Bearer "+unsigned("app"), "jw%t", pod, otherPod, "a", "443, 8000")
	f.Add("app,other", "", "a=%6awt", "127.0.0.1", "127.0.0.6", "", "443")
	f.Add("", "Bearer a.b.c", ";", "fe80::1%net1", "fe80::1%eth0", "", "")
	f.Add("app", "Bearer x", "&&=", multus, inMultus, "", "")
	f.Fuzz(func(t *testing.T, header, authorization, query, local, peer, forwardedHost, forwardedPort string) {
		at, err := netip.ParseAddr(local)
		if err != nil {
			return
		}
		sent := []func(*http.Request){by(at.String(), peer), asking(query)}
		for name, value := range map[string]string{"X-AppinstanceID": header, "Authorization": authorization, "X-Forwarded-Host": forwardedHost, "X-Forwarded-Port": forwardedPort} {
			if value != "" {
				sent = append(sent, with(name, value))
			}
		}
		_, who, inside := g.ask(append(sent, func(r *http.Request) { r.URL.Path = "/mep/service_govern/v1/kong_log"; r.Method = "POST" })...)
		switch {
		case inside == nil:
		case who != nil:
			require.Equal(t, header, who.App)
			require.Equal(t, peer == local || at.IsLoopback(), fromHere(endsOf(inside)))
			require.NotContains(t, query, "jwt")
			if token, is := strings.CutPrefix(authorization, "Bearer "); is && strings.Count(token, ".") == 2 {
				require.Equal(t, header, g.site.named(token).App)
			}
		case g.Allow(inside, "", server.Mm5, "") == nil:
			require.True(t, at.Unmap().IsLoopback() || at.Unmap() == netip.MustParseAddr(pod), local)
			require.NotContains(t, []string{"8000", "8443"}, strings.TrimSpace(forwardedPort))
			require.False(t, fromHere(endsOf(inside)) && forwardedHost+forwardedPort != "", "within the pod only the gateway passes requests on")
		}
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
