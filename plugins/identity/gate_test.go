package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/identity/keys"
	"github.com/mec-liveness/mepserver/test/pki"
)

// gate is a door with an issuer of tokens, and a clock of its own.
type gate struct {
	*door
	t     testing.TB
	key   *ecdsa.PrivateKey
	now   time.Time
	why   []string // what was refused
	reads int
	keys  *heldKeys
	ca    *pki.Authority
}

// heldKeys are keys that a test changes.
type heldKeys struct{ set *keys.Set }

func (h *heldKeys) Current() *keys.Set                         { return h.set }
func (h *heldKeys) Renew(context.Context, *keys.Set) *keys.Set { return nil }

func newGate(t testing.TB) *gate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	g := &gate{t: t, key: key, now: time.Now(), keys: &heldKeys{keys.NewSet([]*keys.Key{{ID: "a", Public: key.Public()}})}}
	g.ca = pki.New(t)
	c := conf.Default().Identity
	c.Certificate.Enabled = true
	c.Certificate.Roles = conf.Roles{"urn:mec:console": {conf.RoleReader}, "urn:mec:app:both": {conf.RoleApp, conf.RoleReader}}
	c.Proxy = conf.ProxyIdentity{Header: "x-app", From: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, SAN: "proxy.example"}
	c.JWT.Issuer, c.JWT.Audience, c.JWT.KeyFile = "https://issuer", "mep", "keys"
	clock := func() time.Time { return g.now }
	g.door = &door{on: true, clock: clock, refused: func(why string) { g.why = append(g.why, why) }, issuer: func() plugins.Issuer { return nil },
		certificates: newCertificates(c), proxy: newProxy(c.Proxy),
		tokens: &tokens{clock: clock, known: newCache[tokenHash, bearer](), read: func() { g.reads++ }, verifier: newVerifier(c.JWT, g.keys)}}
	g.Route("GET /health", "health", server.Open)
	return g
}

// token makes a token of the issuer.
func (g *gate) token(claims map[string]any) string {
	g.t.Helper()
	all := map[string]any{"iss": "https://issuer", "aud": "mep", "exp": g.now.Unix() + 60, "sub": "app"}
	for k, v := range claims {
		all[k] = v
	}
	body, err := json.Marshal(all)
	require.NoError(g.t, err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: g.key, KeyID: "a"}}, nil)
	require.NoError(g.t, err)
	signed, err := signer.Sign(body)
	require.NoError(g.t, err)
	raw, err := signed.CompactSerialize()
	require.NoError(g.t, err)
	return raw
}

// ask sends a request through the door, and gives its answer, the caller behind it, and the
// request as it came there (nil: it did not).
func (g *gate) ask(change ...func(*http.Request)) (answer *httptest.ResponseRecorder, who *plugins.Caller, inside *http.Request) {
	r := httptest.NewRequest("GET", "/mec_service_mgmt/v1/services", nil)
	r.RemoteAddr = "192.0.2.1:1000"
	for _, f := range change {
		f(r)
	}
	answer = httptest.NewRecorder()
	g.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inside, who = r, plugins.CallerOf(r.Context()) })).ServeHTTP(answer, r)
	return answer, who, inside
}

// refuses checks that a request gets 401 and comes no further.
func (g *gate) refuses(why string, change ...func(*http.Request)) {
	g.t.Helper()
	g.why = nil
	answer, _, inside := g.ask(change...)
	require.Nil(g.t, inside, why)
	require.Equal(g.t, http.StatusUnauthorized, answer.Code, why)
	require.Equal(g.t, []string{why}, g.why)
	wanted := `Bearer realm="mep", error="invalid_token"`
	if why == "anonymous" {
		wanted = `Bearer realm="mep"`
	}
	require.Equal(g.t, wanted, answer.Header().Get("WWW-Authenticate"))
	require.Equal(g.t, "application/problem+json", answer.Header().Get("Content-Type"))
}

func (g *gate) takes(change ...func(*http.Request)) *plugins.Caller {
	g.t.Helper()
	answer, who, inside := g.ask(change...)
	require.NotNil(g.t, inside, answer.Body)
	return who
}

func with(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
}
func bearing(raw string) func(*http.Request) { return with("Authorization", "Bearer "+raw) }
func from(address string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = address }
}
func at(path string) func(*http.Request) { return func(r *http.Request) { r.URL.Path = path } }

// showing presents a client certificate as TLS would have verified it.
func showing(p pki.Pair, authority *x509.Certificate) func(*http.Request) {
	return func(r *http.Request) {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{p.TLS.Leaf}, VerifiedChains: [][]*x509.Certificate{{p.TLS.Leaf, authority}}}
	}
}

// naming has a certificate name some URIs and DNS names.
func naming(uris []string, dns ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, text := range uris {
			u, _ := url.Parse(text)
			c.URIs = append(c.URIs, u)
		}
		c.DNSNames = append(c.DNSNames, dns...)
	}
}

// certificate makes a certificate of the gate's authority, and the way to present it.
func (g *gate) certificate(uris []string, dns ...string) (func(*http.Request), pki.Pair) {
	p := g.ca.Client("subject", naming(uris, dns...))
	return showing(p, p.TLS.Leaf), p
}

func uris(all ...string) []string { return all }
