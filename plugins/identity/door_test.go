package identity

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/identity/keys"
	"github.com/mec-liveness/mepserver/plugins/identity/token"
)

func TestWhoProvesNothingComesOnlyToOpenRoutes(t *testing.T) {
	g := newGate(t)
	g.refuses("anonymous")
	g.refuses("anonymous", at("/health/"))
	g.refuses("anonymous", at("/"))
	require.Nil(t, g.takes(at("/health")))
	off := &door{}
	require.NotNil(t, off.Handler(http.NotFoundHandler()))
}

// A reader's browser is led to the login from where ServiceComb's console begins; nothing else is,
// and nobody is let through.
func TestABrowserIsLedToTheLoginFromTheConsole(t *testing.T) {
	g := newGate(t)
	ask := func(also ...func(*http.Request)) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "https://mep/servicecomb/", nil)
		r.Header.Set("Accept", "text/html,*/*;q=0.8")
		for _, change := range also {
			change(r)
		}
		w := httptest.NewRecorder()
		g.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Fatal("it is let through") })).ServeHTTP(w, r)
		return w
	}
	require.Equal(t, http.StatusUnauthorized, ask().Code, "there is no login")
	g.Route("GET "+plugins.LoginPath, "login", server.Open)
	for name, change := range map[string]func(*http.Request){
		"anonymous": func(*http.Request) {}, "expired": with("Cookie", plugins.SessionCookie+"="+g.token(map[string]any{"exp": g.now.Unix() - 1})),
	} {
		g.why = nil
		w := ask(change)
		require.Equal(t, http.StatusSeeOther, w.Code, name)
		require.Equal(t, "/login?next=console", w.Header().Get("Location"))
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.Equal(t, []string{name}, g.why, "it is counted")
	}
	for name, change := range map[string]func(*http.Request){
		"a program": with("Accept", "application/json"), "a wrong token": with("Authorization", "Bearer x"), "a file of it": at("/servicecomb/index.html"),
		"another page": at("/servicecombs/"), "a POST": func(r *http.Request) { r.Method = http.MethodPost },
	} {
		require.Equal(t, http.StatusUnauthorized, ask(change).Code, name)
	}
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
	cert, _ := g.certificate(uris("urn:mec:app:app"))
	require.Equal(t, "app", g.takes(cert).Name)
	for _, values := range [][]string{{"Bearer x"}, {"Bearer"}, {"Bearer "}, {""}, {"Basic YXBwOng="}, {"Bearer  " + good}, {"Bearer " + good + ", Bearer " + good},
		{"Bearer " + good, "Bearer " + good}, {good}, {"Token " + good}, {}} {
		g.refuses("malformed", with("Authorization", values...))
		g.refuses("malformed", with("Authorization", values...), cert)
		g.refuses("malformed", with("Authorization", values...), at("/health"))
	}
	g.refuses("expired", bearing(g.token(map[string]any{"exp": g.now.Unix() - 1})), cert)
	g.refuses("proxy_header", bearing(good), with("x-app", "a b"), from("10.1.2.3:4"), g.proxyCertificate())
	g.refuses("malformed", cert, with("Cookie", "__Host-mep=x"), at("/board"))
	bad, _ := g.certificate(uris("urn:mec:app:a/b"))
	g.refuses("certificate", bearing(good), bad)
}

func (g *gate) proxyCertificate() func(*http.Request) {
	present, _ := g.certificate(nil, "proxy.example")
	return present
}

func TestAPathAtWhichCredentialsAreExchangedJudgesThemItself(t *testing.T) {
	g := newGate(t)
	for _, path := range []string{"/oauth2/token", "/v4/token", "/login", "/logout"} {
		g.Route("POST "+path, "exchange", server.Open)
		require.Nil(t, g.takes(at(path), with("Authorization", "Basic YXBwOng="), with("Cookie", "__Host-mep=ended")))
	}
}

// Whose session has ended sees the page that leads to the login; an attacker sees no more than
// without a cookie.
func TestAnOpenPageIsShownToWhoseSessionHasEnded(t *testing.T) {
	g := newGate(t)
	ended := with("Cookie", "__Host-mep="+g.token(map[string]any{"exp": g.now.Unix() - 1}))
	g.refuses("expired", ended, at("/board"))
	g.Route("GET /board", "board", server.Open)
	require.Nil(t, g.takes(ended, at("/board")))
	g.refuses("expired", ended, at("/mec_liveness/v1/state"))
	g.refuses("expired", bearing(g.token(map[string]any{"exp": g.now.Unix() - 1})), at("/board"))
}

func TestTwoCredentialsThatNameDifferentApplicationsAreRefused(t *testing.T) {
	g := newGate(t)
	present := g.certificate
	mine, _ := present(uris("urn:mec:app:app"))
	others, _ := present(uris("urn:mec:app:other"))
	console, _ := present(uris("urn:mec:console"))
	good := bearing(g.token(nil))
	require.Equal(t, "token", g.takes(good, mine).Source, "the roles are the token's")
	g.refuses("disagreeing", good, others)
	g.refuses("disagreeing", bearing(g.token(map[string]any{"roles": "admin"})), others)
	g.refuses("disagreeing", good, console) // whatever role the certificate has, it is another's
	g.refuses("disagreeing", bearing(g.token(map[string]any{"roles": "admin"})), console)
	cookie := func(name string) func(*http.Request) {
		return with("Cookie", "__Host-mep="+g.token(map[string]any{"sub": name}))
	}
	require.Equal(t, "token", g.takes(good, cookie("app"), at("/board")).Source)
	g.refuses("disagreeing", good, cookie("other"), at("/board"))
	proxy := []func(*http.Request){from("10.1.2.3:4"), g.proxyCertificate(), good}
	require.Equal(t, "token", g.takes(append(proxy, with("x-app", "app"))...).Source)
	g.refuses("disagreeing", append(proxy, with("x-app", "other"))...)
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
	proxy, header, near := g.proxyCertificate(), with("x-app", "app"), from("10.1.2.3:4")
	require.Equal(t, &plugins.Caller{Name: "app", App: "app", Roles: []string{"app"}, Source: "proxy"}, g.takes(proxy, header, near))
	require.Equal(t, "app", g.takes(proxy, header, from("[::ffff:10.1.2.3]:4")).Name)
	g.refuses("anonymous", proxy, near)

	mine, _ := g.certificate(uris("urn:mec:app:other"))
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
	relative, _ := g.certificate(uris("proxy.example"))
	g.refuses("anonymous", relative, header, near)
	twoFaced, _ := g.certificate(uris("urn:mec:app:other"), "proxy.example")
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
	mine, _ := g.certificate(uris("urn:mec:app:app"))
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
