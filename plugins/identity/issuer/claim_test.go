package issuer

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins"
)

// listener is what the audit log hears of one request.
type listener struct {
	*httptest.ResponseRecorder
	caller *plugins.Caller
	claims []string
}

func (l *listener) NoteCaller(c *plugins.Caller) { l.caller = c }
func (l *listener) NoteClaim(id string)          { l.claims = append(l.claims, id) }
func (l *listener) NoteRoute(string, bool)       {}

// A wrong secret must not be anonymous in the audit log, nor may it bring a secret into it.
func TestTheAuditLogHearsWhoseSecretWasGuessed(t *testing.T) {
	p := newPlatform(t, true)
	secret := p.added(t, NewCredential{ID: "app"})
	login, sc := p.login(), answer(p.tokenForServiceComb).ServeHTTP
	hears := func(handler http.HandlerFunc, path, kind, body string, headers ...string) *listener {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		l := &listener{ResponseRecorder: httptest.NewRecorder()}
		handler(l, r)
		return l
	}
	const grant = "grant_type=client_credentials"
	of := func(id string) []*listener {
		return []*listener{
			hears(p.serveToken, plugins.TokenPath, formType, grant+"&client_secret=wrong&client_id="+id),
			hears(p.serveToken, plugins.TokenPath, formType, grant, "Authorization", basicOf(id, "wrong")),
			hears(sc, "/v4/token", "application/json", `{"name":"`+id+`","password":"wrong"}`),
			hears(login.enter, plugins.LoginPath, formType, "client_secret=wrong&client_id="+id),
			hears(login.enter, plugins.LoginPath, "application/json", `{"client_id":"`+id+`","client_secret":"wrong"}`),
		}
	}
	for _, id := range []string{"app", "no-such-app"} {
		for i, l := range of(id) {
			require.Equal(t, http.StatusUnauthorized, l.Code, i)
			require.Equal(t, []string{id}, l.claims, i)
			require.Nil(t, l.caller, i)
		}
	}
	for _, id := range []string{secret, "../x", "a b", "a:b", strings.Repeat("a", 129)} {
		for i, l := range of(id) {
			require.Empty(t, l.claims, "%s %d", id, i)
			require.Nil(t, l.caller, i)
		}
	}
	require.Empty(t, hears(login.enter, plugins.LoginPath, "application/json", `{"token":"wrong"}`).claims)
	require.Equal(t, "app", hears(p.serveToken, plugins.TokenPath, formType, grant+"&client_id=app&client_secret="+secret).caller.Name)
}
