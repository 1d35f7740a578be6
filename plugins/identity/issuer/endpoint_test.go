package issuer

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins"
)

const formType = "application/x-www-form-urlencoded"

// asked posts a body to a handler.
func asked(handler http.HandlerFunc, target, kind, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler(w, r)
	return w
}

func basicOf(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

// RFC 6749 §4.4, §5.1: by the header or by the body, and no cache keeps the answer.
func TestAClientGetsATokenByHeaderOrByBody(t *testing.T) {
	p := newPlatform(t, true)
	secret := p.added(t, NewCredential{ID: "app"})
	for name, w := range map[string]*httptest.ResponseRecorder{
		"header":             asked(p.serveToken, plugins.TokenPath, formType, "grant_type=client_credentials", "Authorization", basicOf("app", secret)),
		"header and its id":  asked(p.serveToken, plugins.TokenPath, formType, "grant_type=client_credentials&client_id=app", "Authorization", basicOf("app", secret)),
		"body":               asked(p.serveToken, plugins.TokenPath, formType, "grant_type=client_credentials&client_id=app&client_secret="+secret),
		"charset":            asked(p.serveToken, plugins.TokenPath, formType+";charset=UTF-8", "grant_type=client_credentials&client_id=app&client_secret="+secret),
		"unknown parameters": asked(p.serveToken, plugins.TokenPath, formType, "resource=x&grant_type=client_credentials&client_id=app&client_secret="+secret),
		"scope":              asked(p.serveToken, plugins.TokenPath, formType, "scope=app&grant_type=client_credentials&client_id=app&client_secret="+secret),
	} {
		require.Equal(t, http.StatusOK, w.Code, "%s: %s", name, w.Body)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		var out struct {
			Token string `json:"access_token"`
			Type  string `json:"token_type"`
			Life  int    `json:"expires_in"`
			Scope string `json:"scope"`
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
		require.Equal(t, []any{"Bearer", 900, "app"}, []any{out.Type, out.Life, out.Scope})
		_, err := p.Verify(t.Context(), out.Token)
		require.NoError(t, err)
	}
}

// RFC 6749 §5.2. No answer repeats anything of the request.
func TestWhoIsNoClientGetsTheErrorOfTheStandard(t *testing.T) {
	p := newPlatform(t, true)
	secret := p.added(t, NewCredential{ID: "app"})
	body := "grant_type=client_credentials&client_id=app&client_secret=" + secret
	for name, c := range map[string]struct {
		target, kind, body string
		headers            []string
		status             int
		code               string
	}{
		"no client":              {plugins.TokenPath, formType, "grant_type=client_credentials", nil, 401, "invalid_client"},
		"a wrong secret":         {plugins.TokenPath, formType, "grant_type=client_credentials&client_id=app&client_secret=wrong", nil, 401, "invalid_client"},
		"an unknown client":      {plugins.TokenPath, formType, "grant_type=client_credentials&client_id=other&client_secret=" + secret, nil, 401, "invalid_client"},
		"a client that is a key": {plugins.TokenPath, formType, "grant_type=client_credentials&client_id=..%2Frec%2Fx&client_secret=" + secret, nil, 401, "invalid_client"},
		"no secret":              {plugins.TokenPath, formType, "grant_type=client_credentials&client_id=app&client_secret=", nil, 401, "invalid_client"},
		"a wrong header":         {plugins.TokenPath, formType, "grant_type=client_credentials", []string{"Authorization", basicOf("app", "wrong")}, 401, "invalid_client"},
		"a header of no secret":  {plugins.TokenPath, formType, "grant_type=client_credentials", []string{"Authorization", "Basic YXBw"}, 401, "invalid_client"},
		"a bearer":               {plugins.TokenPath, formType, "grant_type=client_credentials", []string{"Authorization", "Bearer x"}, 401, "invalid_client"},
		"two ways":               {plugins.TokenPath, formType, body, []string{"Authorization", basicOf("app", secret)}, 400, "invalid_request"},
		"two headers":            {plugins.TokenPath, formType, "grant_type=client_credentials", []string{"Authorization", basicOf("app", secret), "Authorization", basicOf("app", secret)}, 400, "invalid_request"},
		"two names":              {plugins.TokenPath, formType, "grant_type=client_credentials&client_id=other", []string{"Authorization", basicOf("app", secret)}, 400, "invalid_request"},
		"a parameter twice":      {plugins.TokenPath, formType, body + "&client_id=app", nil, 400, "invalid_request"},
		"in the URI":             {plugins.TokenPath + "?" + body, formType, "", nil, 400, "invalid_request"},
		"in the URI, too":        {plugins.TokenPath + "?x", formType, body, nil, 400, "invalid_request"},
		"JSON":                   {plugins.TokenPath, "application/json", `{"grant_type":"client_credentials"}`, nil, 400, "invalid_request"},
		"no type":                {plugins.TokenPath, "", body, nil, 400, "invalid_request"},
		"a bad escape":           {plugins.TokenPath, formType, body + "&x=%zz", nil, 400, "invalid_request"},
		"a semicolon":            {plugins.TokenPath, formType, body + ";x=y", nil, 400, "invalid_request"},
		"compressed":             {plugins.TokenPath, formType, body, []string{"Content-Encoding", "gzip"}, 400, "invalid_request"},
		"too large":              {plugins.TokenPath, formType, body + "&x=" + strings.Repeat("a", maxForm), nil, 413, "invalid_request"},
		"no grant":               {plugins.TokenPath, formType, "client_id=app&client_secret=" + secret, nil, 400, "invalid_request"},
		"another grant":          {plugins.TokenPath, formType, "grant_type=password&client_id=app&client_secret=" + secret, nil, 400, "unsupported_grant_type"},
		"a grant in capitals":    {plugins.TokenPath, formType, "grant_type=CLIENT_CREDENTIALS&client_id=app&client_secret=" + secret, nil, 400, "unsupported_grant_type"},
		"a role it has not":      {plugins.TokenPath, formType, body + "&scope=admin", nil, 400, "invalid_scope"},
	} {
		w := asked(p.serveToken, c.target, c.kind, c.body, c.headers...)
		require.Equal(t, c.status, w.Code, "%s: %s", name, w.Body)
		var out map[string]string
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out), name)
		require.Equal(t, c.code, out["error"], name)
		require.NotContains(t, w.Body.String(), secret)
		require.NotContains(t, w.Body.String(), "wrong")
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.Equal(t, c.status == 401, w.Header().Get("WWW-Authenticate") == basicRealm, name)
	}
}

// Guesses are answered more and more slowly, and whoever knows the secret is not locked out by
// those of others.
func TestGuessesAreLimitedAndLockNobodyOut(t *testing.T) {
	p := newPlatform(t, false)
	secret := p.added(t, NewCredential{ID: "app"})
	guess := func(id, secret, peer string) error {
		_, err := p.grant(t.Context(), id, secret, "", peer)
		return err
	}
	before := p.store.reads
	refused := 0
	for range 100 {
		if w := asked(p.serveToken, plugins.TokenPath, formType, "grant_type=client_credentials&client_id=app&client_secret=wrong"); w.Code == http.StatusTooManyRequests {
			require.Equal(t, "1", w.Header().Get("Retry-After"))
			refused++
		}
	}
	require.Equal(t, 80, refused)
	require.Equal(t, before+20, p.store.reads, "nor does the store feel them")
	require.NoError(t, guess("app", secret, "192.0.2.1:1"))
	require.NotErrorIs(t, guess("app", "wrong", "198.51.100.7:1"), errClient, "nor is another address a way around it")
	require.ErrorIs(t, guess("other", "wrong", "198.51.100.7:1"), errClient)
	p.clock = p.clock.Add(time.Second)
	p.known.current(p.clock)
	require.ErrorIs(t, guess("app", "wrong", "198.51.100.7:1"), errClient)
}

func TestTokensOfOneClientAreLimited(t *testing.T) {
	p := newPlatform(t, true)
	secret, other := p.added(t, NewCredential{ID: "app"}), p.added(t, NewCredential{ID: "other"})
	made := 0
	for range 300 {
		if _, err := p.grant(t.Context(), "app", secret, "", "192.0.2.1:1"); err == nil {
			made++
		}
	}
	require.Equal(t, 100, made)
	require.NotEmpty(t, p.tokenOf(t, "other", other))
}

// go-chassis keeps a token for ten hours, whatever is answered to it.
func TestTokensOfServiceCombsClientsLastAsLongAsTheseKeepThem(t *testing.T) {
	a := newPlatform(t, true).authority
	for want, roles := range map[time.Duration][][]string{
		clientsKeep: {{"registry"}, {"reader"}, {"app", "registry"}},
		a.life:      {{"app"}, {"host"}, {"admin"}, {"admin", "registry"}, {"host", "reader"}},
	} {
		for _, r := range roles {
			require.Equal(t, want, a.serviceCombLife(&plugins.Credential{Roles: r}), r)
		}
	}
	a.life = 24 * time.Hour
	require.Equal(t, 24*time.Hour, a.serviceCombLife(&plugins.Credential{Roles: []string{"registry"}}))
}

func TestTheKeysArePublished(t *testing.T) {
	p := newPlatform(t, true)
	w := httptest.NewRecorder()
	p.serveKeys(w, httptest.NewRequest(http.MethodGet, keysPath, nil))
	require.Equal(t, "application/jwk-set+json", w.Header().Get("Content-Type"))
	require.Contains(t, w.Body.String(), `"alg":"ES256"`)
	require.NotContains(t, w.Body.String(), `"d"`)
}

func TestServiceCombsClientsGetATokenAsTheyAskForIt(t *testing.T) {
	p := newPlatform(t, true)
	secret := p.added(t, NewCredential{ID: "sc", Roles: []string{"registry"}})
	serve := answer(p.tokenForServiceComb).ServeHTTP
	w := asked(serve, "/v4/token", "application/json", `{"name":"sc","password":"`+secret+`"}`)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	var out map[string]string
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
	issued, err := p.Verify(t.Context(), out["token"])
	require.NoError(t, err)
	require.Equal(t, []string{"registry"}, issued.Caller.Roles)
	require.WithinDuration(t, p.now().Add(clientsKeep), issued.Ends, time.Second)
	for body, status := range map[string]int{`{"name":"sc","password":"wrong"}`: 401, `{"name":"sc"}`: 400, ``: 400, `[]`: 400, `{"name":"sc","password":"x","role":"admin"}`: 400} {
		require.Equal(t, status, asked(serve, "/v4/token", "application/json", body).Code, body)
	}
}
