package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
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
	"github.com/mec-liveness/mepserver/plugins/identity/token"
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
}

// heldKeys are keys that a test changes.
type heldKeys struct{ set *keys.Set }

func (h *heldKeys) Current() *keys.Set                         { return h.set }
func (h *heldKeys) Renew(context.Context, *keys.Set) *keys.Set { return nil }

func newGate(t testing.TB) *gate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	g := &gate{t: t, key: key, now: time.Now(), keys: &heldKeys{keys.NewSet([]*keys.Key{{ID: "a", Public: key.Public()}})}}
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

// issue makes certificates, and the way to present them.
func issue(t testing.TB) func(uris []string, dns ...string) (func(*http.Request), pki.Pair) {
	authority := pki.New(t)
	return func(uris []string, dns ...string) (func(*http.Request), pki.Pair) {
		p := authority.Client("subject", naming(uris, dns...))
		return showing(p, p.TLS.Leaf), p
	}
}

func uris(all ...string) []string { return all }

func TestWhoProvesNothingComesOnlyToOpenRoutes(t *testing.T) {
	g := newGate(t)
	g.refuses("anonymous")
	g.refuses("anonymous", at("/health/"))
	g.refuses("anonymous", at("/"))
	require.Nil(t, g.takes(at("/health")))
	off := &door{}
	require.NotNil(t, off.Handler(http.NotFoundHandler()))
}

func TestATokenInAuthorizationSaysWhoCalls(t *testing.T) {
	g := newGate(t)
	require.Equal(t, &plugins.Caller{Name: "app", App: "app", Roles: []string{"app"}, Source: "token"}, g.takes(bearing(g.token(nil))))
	require.Equal(t, "app", g.takes(with("Authorization", "bearer "+g.token(nil))).Name)
	host := g.takes(bearing(g.token(map[string]any{"roles": "host", "apps": []string{"a", "b-*"}})))
	require.True(t, host.MayActFor("b-1"))
	require.False(t, host.MayActFor("app"), "what a host is called is no application that it acts for")
}

func TestACredentialThatIsWrongIsRefusedWhateverElseProves(t *testing.T) {
	g := newGate(t)
	good := g.token(nil)
	cert, _ := issue(t)(uris("urn:mec:app:app"))
	require.Equal(t, "app", g.takes(cert).Name)
	for _, values := range [][]string{{"Bearer x"}, {"Bearer"}, {"Bearer "}, {""}, {"Basic YXBwOng="}, {"Bearer  " + good}, {"Bearer " + good + ", Bearer " + good},
		{"Bearer " + good, "Bearer " + good}, {good}, {"Token " + good}, {}} {
		g.refuses("malformed", with("Authorization", values...))
		g.refuses("malformed", with("Authorization", values...), cert)
		g.refuses("malformed", with("Authorization", values...), at("/health"))
	}
	g.refuses("expired", bearing(g.token(map[string]any{"exp": g.now.Unix() - 1})), cert)
	g.refuses("proxy_header", bearing(good), with("x-app", "a b"), from("10.1.2.3:4"), proxyCertificate(t))
	g.refuses("malformed", cert, with("Cookie", "__Host-mep=x"), at("/board"))
	bad, _ := issue(t)(uris("urn:mec:app:a/b"))
	g.refuses("certificate", bearing(good), bad)
}

func proxyCertificate(t testing.TB) func(*http.Request) {
	present, _ := issue(t)(nil, "proxy.example")
	return present
}

func TestAPathAtWhichCredentialsAreExchangedJudgesThemItself(t *testing.T) {
	g := newGate(t)
	for _, path := range []string{"/oauth2/token", "/v4/token", "/login", "/logout"} {
		g.Route("POST "+path, "exchange", server.Open)
		require.Nil(t, g.takes(at(path), with("Authorization", "Basic YXBwOng="), with("Cookie", "__Host-mep=ended")))
	}
}

func TestTwoCredentialsThatNameDifferentApplicationsAreRefused(t *testing.T) {
	g := newGate(t)
	present := issue(t)
	mine, _ := present(uris("urn:mec:app:app"))
	others, _ := present(uris("urn:mec:app:other"))
	console, _ := present(uris("urn:mec:console"))
	good := bearing(g.token(nil))
	require.Equal(t, "token", g.takes(good, mine).Source, "the roles are the token's")
	g.refuses("disagreeing", good, others)
	g.refuses("disagreeing", bearing(g.token(map[string]any{"roles": "admin"})), others)
	require.Equal(t, []string{"app"}, g.takes(good, console).Roles, "roles are not added up")
	cookie := func(name string) func(*http.Request) {
		return with("Cookie", "__Host-mep="+g.token(map[string]any{"sub": name}))
	}
	require.Equal(t, "token", g.takes(good, cookie("app"), at("/board")).Source)
	g.refuses("disagreeing", good, cookie("other"), at("/board"))
	proxy := []func(*http.Request){from("10.1.2.3:4"), proxyCertificate(t), good}
	require.Equal(t, "token", g.takes(append(proxy, with("x-app", "app"))...).Source)
	g.refuses("disagreeing", append(proxy, with("x-app", "other"))...)
}

func TestWhomACertificateNames(t *testing.T) {
	g := newGate(t)
	present := issue(t)
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
		nobody, _ := present(sans, "urn:mec:app:a", "app")
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
	present := issue(t)
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
	mine, p := issue(t)(uris("urn:mec:app:app"))
	answer, _, _ := g.ask(mine)
	require.Empty(t, answer.Header().Get("Connection"))
	g.now = p.TLS.Leaf.NotAfter.Add(-lastMinute)
	answer, who, _ := g.ask(mine)
	require.Equal(t, "app", who.Name)
	require.Equal(t, "close", answer.Header().Get("Connection"), "a client that has a newer one shows it before this one ends")
	g.now = p.TLS.Leaf.NotAfter
	g.refuses("certificate_expired", mine)
	g.refuses("certificate_expired", mine, bearing(g.token(nil)))
}

func TestATokenBoundToACertificateNeedsExactlyThatOne(t *testing.T) {
	g := newGate(t)
	present := issue(t)
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

func TestATokenIsVerifiedOnceAndOnlyAsLongAsItIsValid(t *testing.T) {
	g := newGate(t)
	raw := g.token(nil)
	for range 3 {
		require.Equal(t, "app", g.takes(bearing(raw)).Name)
	}
	require.Equal(t, 1, g.reads)
	g.keys.set = keys.NewSet([]*keys.Key{{ID: "b", Public: g.key.Public()}})
	g.refuses("unknown_key", bearing(raw))
	g.keys.set = keys.NewSet([]*keys.Key{{ID: "a", Public: g.key.Public()}})
	require.Equal(t, "app", g.takes(bearing(raw)).Name, "its key is back")
	g.now = g.now.Add(time.Minute)
	g.refuses("expired", bearing(raw))
	require.Equal(t, 3, g.reads, "an ended token costs no signature")

	g.keys.set = nil
	answer, _, _ := g.ask(bearing(g.token(nil)))
	require.Equal(t, http.StatusServiceUnavailable, answer.Code, "it may be valid: nobody knows")
}

// issuerOfOurs takes one token, until it is revoked.
type issuerOfOurs struct {
	raw     string
	issued  plugins.IssuedToken
	revoked bool
}

func (i *issuerOfOurs) Verify(_ context.Context, raw string) (*plugins.IssuedToken, error) {
	if raw != i.raw || i.revoked {
		return nil, server.ErrCredential
	}
	return &i.issued, nil
}

func (i *issuerOfOurs) Check(*plugins.IssuedToken) error {
	if i.revoked {
		return server.ErrCredential
	}
	return nil
}

func TestATokenOfOurOwnEndsWithItsCredentialAndIsNoOtherIssuersToJudge(t *testing.T) {
	g := newGate(t)
	own := &issuerOfOurs{raw: g.token(map[string]any{"iss": plugins.IssuerName})}
	own.issued = plugins.IssuedToken{Caller: plugins.Caller{Name: "mine", App: "mine", Roles: []string{"app"}, Source: "token"}, Ends: g.now.Add(time.Minute)}
	g.issuer = func() plugins.Issuer { return own }
	require.Equal(t, "mine", g.takes(bearing(own.raw)).Name)
	require.Equal(t, "mine", g.takes(bearing(own.raw)).Name)
	require.Equal(t, 1, g.reads)
	require.Equal(t, "cookie", g.takes(with("Cookie", "__Host-mep="+own.raw), at("/board")).Source)
	require.Equal(t, "app", g.takes(bearing(g.token(nil))).Name)
	g.refuses("ended", bearing(g.token(map[string]any{"iss": plugins.IssuerName, "aud": "x"})))
	own.revoked = true
	g.refuses("ended", bearing(own.raw))
	g.tokens.verifier = nil
	g.refuses("issuer", bearing(g.token(nil)))
}

func TestTheCookieCountsOnlyWherePeopleLook(t *testing.T) {
	g := newGate(t)
	cookie := with("Cookie", "a=b; __Host-mep="+g.token(nil))
	for _, path := range []string{"/", "/board", "/docs", "/openapi.yaml", "/metrics", "/mec_liveness/v1/credentials", "/v4/default/registry/microservices", "/registry/v3/govern/services"} {
		require.Equal(t, "cookie", g.takes(cookie, at(path)).Source, path)
		g.refuses("anonymous", with("Cookie", "__Host-me="+g.token(nil)), at(path))
		g.refuses("malformed", with("Cookie", "__Host-mep=a; __Host-mep=b"), at(path))
		g.refuses("malformed", with("Cookie", "__Host-mep=b", "__Host-mep="+g.token(nil)), at(path))
		g.refuses("malformed", with("Cookie", "__Host-mep="), at(path))
	}
	for _, path := range []string{"/mec_service_mgmt/v1/services", "/mep/mec_service_mgmt/v1/services", "/mec_app_support/v1/registrations", "/mec_livenessx", "/health2", "/boardx"} {
		g.refuses("anonymous", cookie, at(path))
	}
	require.Nil(t, g.takes(with("Cookie", "__Host-mep=ended"), at("/health")), "and is not looked at elsewhere")
}

func TestTheProxyIsBelievedFromItsNetworksUnderItsOwnCertificate(t *testing.T) {
	g := newGate(t)
	proxy, header, near := proxyCertificate(t), with("x-app", "app"), from("10.1.2.3:4")
	require.Equal(t, &plugins.Caller{Name: "app", App: "app", Roles: []string{"app"}, Source: "proxy"}, g.takes(proxy, header, near))
	require.Equal(t, "app", g.takes(proxy, header, from("[::ffff:10.1.2.3]:4")).Name)
	g.refuses("anonymous", proxy, near)

	mine, _ := issue(t)(uris("urn:mec:app:other"))
	for name, change := range map[string][]func(*http.Request){
		"from elsewhere":            {proxy, header, from("10.2.0.1:4")},
		"from nowhere":              {proxy, header, from("@")},
		"without certificate":       {header, near},
		"under an application's":    {mine, header, near},
		"in the name of the header": {header, near, with("X-App", "app")},
	} {
		answer, who, inside := g.ask(append(change, at("/health"))...)
		require.Equal(t, http.StatusOK, answer.Code, name)
		require.NotContains(t, inside.Header, "X-App", name)
		if who != nil {
			require.Equal(t, "other", who.Name, name)
		}
	}
	for _, values := range [][]string{{}, {""}, {"app", "app"}, {"app,app"}, {"app "}, {"../app"}, {"*"}} {
		g.refuses("proxy_header", proxy, near, with("x-app", values...))
	}
	twoFaced, _ := issue(t)(uris("urn:mec:app:other"), "proxy.example")
	g.refuses("certificate", twoFaced, header, near)

	plain := newProxy(conf.ProxyIdentity{Header: "x-app", From: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	g.proxy = plain
	require.Equal(t, "app", g.takes(header, from("127.0.0.1:4")).Name)
	g.refuses("anonymous", header, from("[::1]:4"))
}

func TestTheCacheIsBoundedAndForgetsWhatIsOfNoUse(t *testing.T) {
	c := newCache[int, int]()
	for i := range 3 * cacheSets * cacheWays {
		c.put(i, &i, func(*int) bool { return false })
		require.Equal(t, &i, c.get(i), "the newest is always there")
	}
	held := 0
	for i := range 3 * cacheSets * cacheWays {
		if c.get(i) != nil {
			held++
		}
	}
	require.LessOrEqual(t, held, cacheSets*cacheWays)
	require.Greater(t, held, cacheSets*cacheWays*9/10)
	small := newCache[int, int]()
	for i := range cacheSets * cacheWays * 4 {
		v := i % 2
		small.put(i, &v, func(v *int) bool { return *v == 1 })
	}
	useless := 0
	for i := range cacheSets * cacheWays * 4 {
		if v := small.get(i); v != nil && *v == 1 {
			useless++
		}
	}
	require.Less(t, useless, cacheSets*2, "useless ones go first")
	var one int
	small.put(-1, &one, func(*int) bool { return false })
	small.put(-1, new(int), func(*int) bool { return false })
	require.NotSame(t, &one, small.get(-1), "a key has one place")
}

func BenchmarkACachedToken(b *testing.B) {
	g := newGate(b)
	raw := g.token(map[string]any{"roles": []string{"app"}, "jti": "0123456789abcdef", "iat": g.now.Unix()})
	values := []string{"Bearer " + raw}
	b.ReportAllocs()
	for b.Loop() {
		value, err := bearerOf(values)
		if err == nil {
			_, err = g.tokens.of(b.Context(), value)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	require.Equal(b, 1, g.reads)
	require.Equal(b, token.MaxBytes, 16<<10)
}

func BenchmarkTheDoor(b *testing.B) {
	g := newGate(b)
	mine, _ := issue(b)(uris("urn:mec:app:app"))
	h := g.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest("PATCH", "/x", nil)
	mine(r)
	bearing(g.token(nil))(r)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
