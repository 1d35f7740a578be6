package issuer

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// administrated serves the administration of a platform alone.
func (p *platform) administrated() http.Handler {
	mux := http.NewServeMux()
	for _, r := range (administration{p.accounts, p.known.listed}).routes() {
		mux.Handle(r.pattern, r.handler)
	}
	return mux
}

func do(h http.Handler, method, path, body string) (status int, out map[string]any) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	_ = json.Unmarshal(w.Body.Bytes(), &out)
	return w.Code, out
}

func TestCredentialsAreAdministrated(t *testing.T) {
	p := newPlatform(t, true)
	h := p.administrated()
	status, out := do(h, "POST", CredentialsPath, `{"id":"b","roles":["host"],"apps":["x-*"]}`)
	require.Equal(t, http.StatusCreated, status)
	first := out["secret"].(string)
	require.NotEmpty(t, p.tokenOf(t, "b", first))
	status, _ = do(h, "POST", CredentialsPath, `{"id":"b"}`)
	require.Equal(t, http.StatusConflict, status)
	status, _ = do(h, "POST", CredentialsPath, `{"id":"a"}`)
	require.Equal(t, http.StatusCreated, status)

	status, out = do(h, "GET", CredentialsPath, "")
	require.Equal(t, http.StatusOK, status)
	all := out["credentials"].([]any)
	require.Len(t, all, 2)
	require.Equal(t, "a", all[0].(map[string]any)["id"])
	require.Equal(t, []any{"x-*"}, all[1].(map[string]any)["apps"])
	for _, one := range all {
		require.NotContains(t, one, "secret")
	}

	status, out = do(h, "POST", CredentialsPath+"/b/rotate", "")
	require.Equal(t, http.StatusOK, status)
	require.NotEqual(t, first, out["secret"])
	require.NotEmpty(t, p.tokenOf(t, "b", first), "for a day")
	status, out = do(h, "POST", CredentialsPath+"/b/rotate", `{"grace":"0s"}`)
	require.Equal(t, http.StatusOK, status)
	_, err := p.grant(t.Context(), "b", first, "", "")
	require.ErrorIs(t, err, errClient)
	require.NotEmpty(t, p.tokenOf(t, "b", out["secret"].(string)))

	status, _ = do(h, "DELETE", CredentialsPath+"/b", "")
	require.Equal(t, http.StatusNoContent, status)
	status, _ = do(h, "DELETE", CredentialsPath+"/b", "")
	require.Equal(t, http.StatusNotFound, status)
	_, out = do(h, "GET", CredentialsPath, "")
	require.Len(t, out["credentials"], 1)
}

func TestWhatTheAdministrationDoesNotTakeChangesNothing(t *testing.T) {
	p := newPlatform(t, true)
	h := p.administrated()
	p.added(t, NewCredential{ID: "app"})
	before := p.store.at
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", CredentialsPath, ``, 400},
		{"POST", CredentialsPath, `{"id":"x"`, 400},
		{"POST", CredentialsPath, `{"id":"x"} {}`, 400},
		{"POST", CredentialsPath, `{"id":"x","id":"y"}`, 400},
		{"POST", CredentialsPath, `{"ID":"x"}`, 400},
		{"POST", CredentialsPath, `{"id":"x","secret":"mine"}`, 400},
		{"POST", CredentialsPath, `{"id":7}`, 400},
		{"POST", CredentialsPath, `{"id":"x","roles":"admin"}`, 400},
		{"POST", CredentialsPath, `["x"]`, 400},
		{"POST", CredentialsPath, `null`, 400},
		{"POST", CredentialsPath, `{"id":"` + strings.Repeat("x", maxAdminBody) + `"}`, 400},
		{"POST", CredentialsPath + "/app/rotate", `{"grace":"-1h"}`, 400},
		{"POST", CredentialsPath + "/app/rotate", `{"grace":"soon"}`, 400},
		{"POST", CredentialsPath + "/app/rotate", `{"grace":"10000h"}`, 400},
		{"POST", CredentialsPath + "/other/rotate", ``, 404},
		{"POST", CredentialsPath + "/..%2Frec/rotate", ``, 404},
		{"DELETE", CredentialsPath + "/..%2Frec%2Fx", ``, 404},
		{"DELETE", CredentialsPath + "/a%00b", ``, 404},
		{"PUT", CredentialsPath, ``, 405},
		{"GET", CredentialsPath + "/app", ``, 405},
		{"GET", CredentialsPath + "/app/rotate", ``, 405},
	} {
		status, out := do(h, c.method, c.path, c.body)
		require.Equal(t, c.status, status, "%s %s %.80s", c.method, c.path, c.body)
		require.NotContains(t, out["detail"], "mine")
	}
	require.Equal(t, before, p.store.at)
	r := httptest.NewRequest("POST", CredentialsPath, strings.NewReader(`{"id":"x"}`))
	r.Header.Set("Content-Type", "text/plain")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, 400, w.Code, "which a page may send anywhere")
}

func FuzzDecodeObject(f *testing.F) {
	for _, s := range []string{`{}`, `{"id":"a","roles":["app"]}`, `{"id":"a","id":"b"}`, `{"x":1}`, `[`, `{"roles":[[[`, `{"id":"a"}x`, "\xff", `{"id":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var n NewCredential
		err := decodeObject(body, map[string]any{"id": &n.ID, "roles": &n.Roles, "apps": &n.Apps})
		var bad *mp1.Invalid
		if err != nil {
			require.ErrorAs(t, err, &bad)
			return
		}
		require.True(t, json.Valid(body))
		var loose map[string]any
		require.NoError(t, json.Unmarshal(body, &loose))
		if id, ok := loose["id"].(string); ok {
			require.Equal(t, id, n.ID)
		}
	})
}

func FuzzForm(f *testing.F) {
	for _, s := range []string{"a=b", "a=b&a=c", "%zz", "a;b", "grant_type=client_credentials&client_id=a%3Ab&client_secret=%00", "=&=", "\xff=\xff"} {
		f.Add([]byte(s), "Basic YTpi")
	}
	f.Add([]byte(""), "basic YTolMDA=")
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		parsed, err := parseForm(body)
		if err != nil {
			require.Nil(t, parsed)
			parsed = form{}
		}
		r := httptest.NewRequest("POST", plugins.TokenPath, nil)
		r.Header["Authorization"] = []string{header}
		if id, secret, err := parsed.client(r); err == nil {
			require.NotEmpty(t, id)
			require.NotEmpty(t, secret)
		}
	})
}

func FuzzVerify(f *testing.F) {
	p := newPlatform(f, true)
	p.store.of["app"] = written("app", "g", 1)
	p.known.see(written("app", "g", 1), false)
	c := written("app", "g", 1)
	keys := p.keys()
	good, err := keys.sign(&c, []string{"app"}, p.clock, 1e9)
	require.NoError(f, err)
	f.Add(good)
	f.Add("a.b.c")
	f.Add(good[:len(good)-4])
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		if v, err := keys.verify(token, p.clock); err == nil {
			require.Equal(t, "app", v.Credential)
		}
	})
}
