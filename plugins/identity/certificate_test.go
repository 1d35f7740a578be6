package identity

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
)

func TestWhomACertificateNames(t *testing.T) {
	g := newGate(t)
	present := g.certificate
	app, _ := present(uris("urn:mec:app:app-1"), "localhost")
	require.Equal(t, &plugins.Caller{Name: "app-1", App: "app-1", Roles: []string{"app"}, Source: "certificate"}, g.takes(app))
	console, _ := present(uris("urn:mec:console"))
	require.Equal(t, &plugins.Caller{Name: "urn:mec:console", Roles: []string{"reader"}, Source: "certificate"}, g.takes(console))
	both, _ := present(uris("urn:mec:app:both"))
	require.Equal(t, &plugins.Caller{Name: "both", App: "both", Roles: []string{"app", "reader"}, Source: "certificate"}, g.takes(both))
	twice, _ := present(uris("urn:mec:app:app-1", "urn:mec:app:app-1"))
	require.Equal(t, "app-1", g.takes(twice).Name)

	for _, sans := range [][]string{{"urn:mec:app:a", "urn:mec:app:b"}, {"urn:mec:app:a", "urn:mec:console"}, {"urn:mec:app:"}, {"urn:mec:app:a/b"}, {"urn:mec:app:a%2Fb"},
		{"urn:mec:app:*"}, {"urn:mec:app:a", "urn:mec:app:a/b"}} {
		bad, _ := present(sans)
		g.refuses("certificate", bad)
		answer, _, _ := g.ask(bad)
		require.Equal(t, "close", answer.Header().Get("Connection"), "on a new connection the client can show another")
	}
	for _, sans := range [][]string{nil, {"https://example"}, {"urn:mec:ap:a"}, {"URN:mec:APP:a"}, {"urn:mec:console2"}} {
		nobody, _ := present(sans, "urn:mec:app:a", "urn:mec:console", "app")
		g.refuses("anonymous", nobody)
		require.Nil(t, g.takes(nobody, at("/health")))
	}
	unverified := func(r *http.Request) { app(r); r.TLS.VerifiedChains = nil }
	g.refuses("certificate", unverified)
}

func TestASPIFFEIDIsAPatternLikeAnyOther(t *testing.T) {
	c := conf.Default().Identity
	c.Certificate = conf.CertificateIdentity{Enabled: true, Pattern: "spiffe://edge.example/ns/mec/app/{appInstanceId}"}
	g := newGate(t)
	g.certificates = newCertificates(c)
	present := g.certificate
	app, _ := present(uris("spiffe://edge.example/ns/mec/app/a-1"))
	require.Equal(t, "a-1", g.takes(app).App)
	for _, bad := range []string{"spiffe://edge.example/ns/mec/app/a/b", "spiffe://edge.example/ns/mec/app/%61", "spiffe://edge.example/ns/mec/app/a?b", "spiffe://edge.example/ns/mec/app/"} {
		one, _ := present(uris(bad))
		g.refuses("certificate", one)
	}
	for _, other := range []string{"spiffe://other.example/ns/mec/app/a", "spiffe://edge.example/ns/mec/app2/a", "spiffe://edge.example.evil/ns/mec/app/a", "spiffe://x@edge.example/ns/mec/app/a"} {
		one, _ := present(uris(other))
		g.refuses("anonymous", one)
	}
}

func TestACertificateThatEndsOnALivingConnectionProvesNothingMore(t *testing.T) {
	g := newGate(t)
	mine, p := g.certificate(uris("urn:mec:app:app"))
	answer, _, _ := g.ask(mine)
	require.Empty(t, answer.Header().Get("Connection"))
	g.now = p.TLS.Leaf.NotAfter.Add(-renewalTime)
	answer, who, _ := g.ask(mine)
	require.Equal(t, "app", who.Name)
	require.Equal(t, "close", answer.Header().Get("Connection"), "a client that has a newer one shows it before this one ends")
	g.now = p.TLS.Leaf.NotAfter
	g.refuses("certificate_expired", mine)
	g.refuses("certificate_expired", mine, bearing(g.token(nil)))
}

func TestATokenBoundToACertificateNeedsExactlyThatOne(t *testing.T) {
	g := newGate(t)
	present := g.certificate
	mine, p := present(nil)
	another, _ := present(nil)
	sum := sha256.Sum256(p.TLS.Leaf.Raw)
	bound := bearing(g.token(map[string]any{"cnf": map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}}))
	for range 2 { // also when it is remembered
		require.Equal(t, "app", g.takes(bound, mine).Name)
		g.refuses("certificate_binding", bound)
		g.refuses("certificate_binding", bound, another)
	}
}
