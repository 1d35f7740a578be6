package adminapi

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/cmd/remote"
)

// answers is a transport that answers everything alike and keeps what it was asked.
type answers struct {
	status int
	kind   string
	body   string
	asked  []string
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
	}
	a.asked = append(a.asked, strings.TrimSpace(r.Method+" "+r.URL.String()+" "+body))
	return &http.Response{StatusCode: a.status, Header: http.Header{"Content-Type": {a.kind}}, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

func TestRequestsAreThoseOfTheCredentialsRoute(t *testing.T) {
	a := &answers{status: 201, body: `{"id":"my-app","secret":"s3cret","roles":["app"]}`}
	made, err := Of(remote.By(a)).Add(t.Context(), New{ID: "my-app"})
	require.NoError(t, err)
	require.Equal(t, Issued{ID: "my-app", Secret: "s3cret", Roles: []string{"app"}}, made)
	_, err = Of(remote.By(a)).Add(t.Context(), New{ID: "other"})
	require.ErrorContains(t, err, "is no credential", "an answer about another")
	a.status = 200
	hour, never := time.Hour, time.Duration(0)
	for _, grace := range []*time.Duration{nil, &hour, &never} {
		_, err = Of(remote.By(a)).Rotate(t.Context(), "my-app", grace)
		require.NoError(t, err)
	}
	a.body = `{"credentials":[{"id":"my-app","roles":["app"]}]}`
	all, err := Of(remote.By(a)).List(t.Context())
	require.NoError(t, err)
	require.Equal(t, []Credential{{ID: "my-app", Roles: []string{"app"}}}, all)
	a.status, a.body = 204, ""
	require.NoError(t, Of(remote.By(a)).Remove(t.Context(), "my-app"))
	require.Equal(t, []string{
		`POST http://admin/mec_liveness/v1/credentials {"id":"my-app"}`,
		`POST http://admin/mec_liveness/v1/credentials {"id":"other"}`,
		`POST http://admin/mec_liveness/v1/credentials/my-app/rotate {}`,
		`POST http://admin/mec_liveness/v1/credentials/my-app/rotate {"grace":"1h0m0s"}`,
		`POST http://admin/mec_liveness/v1/credentials/my-app/rotate {"grace":"0s"}`,
		`GET http://admin/mec_liveness/v1/credentials`,
		`DELETE http://admin/mec_liveness/v1/credentials/my-app`,
	}, a.asked)
}

func TestWhatAServerSaysIsNotBelieved(t *testing.T) {
	for _, tt := range []struct {
		a    answers
		want string
	}{
		{answers{status: 409}, ErrThere.Error()},
		{answers{status: 404, kind: "application/problem+json"}, ErrUnknown.Error()},
		{answers{status: 404, kind: "text/html"}, "the server refused (404): Not Found"},
		{answers{status: 403, body: `{"detail":"no\u001b[31m role"}`}, "the server refused (403): no[31m role"},
		{answers{status: 302}, "the server refused (302): Found"},
		{answers{status: 200, body: "<html>"}, "not what was asked for"},
		{answers{status: 200, body: `{"credentials":[{"id":"a\u001bb"}]}`}, "it is not shown"},
		{answers{status: 200, body: `{"credentials":[{"id":"a","roles":["\u009b2J"]}]}`}, "it is not shown"},
		{answers{status: 200, body: `{"credentials":"` + strings.Repeat("x", 16<<20)}, "too long"},
	} {
		_, err := Of(remote.By(&tt.a)).List(t.Context())
		require.ErrorContains(t, err, tt.want)
		require.NotContains(t, err.Error(), "\x1b")
	}
	_, err := Of(remote.By(&answers{status: 201, body: `{"id":"a","secret":"x\u001b[2J"}`})).Add(t.Context(), New{ID: "a"})
	require.ErrorContains(t, err, "it is not shown")
	require.NotContains(t, err.Error(), "x\x1b")
}

func TestACredentialThatTheServerWouldRefuseIsNotAskedFor(t *testing.T) {
	for want, c := range map[string]New{
		"ID must be":            {ID: "../admin"},
		"--role must be":        {ID: "a", Roles: []string{"root"}},
		"--apps must be":        {ID: "a", Roles: []string{"host"}, Apps: []string{"*"}},
		"everything needs":      {ID: "a", Roles: []string{"host"}, Apps: []string{"a", ""}},
		"beginnings":            {ID: "a", Roles: []string{"host"}, Apps: []string{"a*b"}},
		"host needs --apps":     {ID: "a", Roles: []string{"host"}},
		"of --role host only":   {ID: "a", Apps: []string{"b"}},
		"not \"\"":              {ID: ""},
		"registry, admin, not ": {ID: "a", Roles: []string{"reader", ""}},
	} {
		require.ErrorContains(t, c.Check(), want)
	}
	for _, c := range []New{{ID: "a"}, {ID: "a", Roles: []string{"app", "reader"}}, {ID: "h", Roles: []string{"host"}, Apps: []string{"a", "site-1.*"}}} {
		require.NoError(t, c.Check())
	}
}

func TestAHandlerOfThisProcessAnswersAsAServer(t *testing.T) {
	api := Within(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || r.Method == http.MethodGet && len(b) > 0 {
			t.Error(r.Method, string(b), err)
		}
		if r.Method != http.MethodPost {
			_, _ = io.WriteString(w, `{"credentials":[]}`)
			return
		}
		w.WriteHeader(http.StatusConflict)
	}))
	_, err := api.List(t.Context())
	require.NoError(t, err)
	_, err = api.Add(t.Context(), New{ID: "a"})
	require.ErrorIs(t, err, ErrThere)
}

// Whatever a server answers, the terminal gets nothing that changes it.
func FuzzAnAnswer(f *testing.F) {
	for _, body := range []string{`{"credentials":[{"id":"a","roles":["app"],"created":"x"}]}`, `{"id":"a","secret":"s"}`, `{"detail":"no\u001b[0m"}`, "", "[", `{"credentials":null}`, "\x1b]0;x\x07"} {
		f.Add(200, body)
		f.Add(403, body)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		a := &answers{status: status, body: body, kind: "application/problem+json"}
		all, err := Of(remote.By(a)).List(t.Context())
		texts := []string{}
		if err != nil {
			texts = append(texts, err.Error())
		}
		for _, c := range all {
			texts = append(texts, append(append(c.Roles, c.Apps...), c.ID, c.Created, c.Rotated)...)
		}
		a.status = status + 1
		made, err := Of(remote.By(a)).Add(t.Context(), New{ID: "a"})
		if err != nil {
			texts = append(texts, err.Error())
		}
		for _, s := range append(texts, made.ID, made.Secret) {
			if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
				t.Fatalf("%q", s)
			}
		}
	})
}
