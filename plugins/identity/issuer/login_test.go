package issuer

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins"
)

func (p *platform) login() login {
	return login{grant: p.grant, now: p.now, bearer: func(ctx context.Context, token string) (time.Time, error) {
		t, err := p.Verify(ctx, token)
		if err != nil {
			return time.Time{}, err
		}
		return t.Ends, nil
	}}
}

// Neither a script nor another site gets at the session.
func TestALoginSetsACookieThatOnlyTheServerGets(t *testing.T) {
	p := newPlatform(t, true)
	secret := p.added(t, NewCredential{ID: "console", Roles: []string{"reader"}})
	token := p.tokenOf(t, "console", secret)
	l := p.login()
	for name, w := range map[string]*httptest.ResponseRecorder{
		"form":         asked(l.enter, plugins.LoginPath, formType, "client_id=console&token=&client_secret="+secret),
		"form, token":  asked(l.enter, plugins.LoginPath, formType, "client_id=&client_secret=&token="+token),
		"JSON":         asked(l.enter, plugins.LoginPath, "application/json", `{"client_id":"console","client_secret":"`+secret+`"}`),
		"JSON, token ": asked(l.enter, plugins.LoginPath, "application/json", `{"token":"`+token+`"}`),
	} {
		if strings.HasPrefix(name, "form") {
			require.Equal(t, http.StatusSeeOther, w.Code, name)
			require.Equal(t, afterLogin, w.Header().Get("Location"))
		} else {
			require.Equal(t, http.StatusNoContent, w.Code, name)
		}
		require.Len(t, w.Result().Cookies(), 1)
		c := w.Result().Cookies()[0]
		require.Equal(t, "__Host-mep", c.Name)
		require.True(t, c.Secure && c.HttpOnly && c.SameSite == http.SameSiteStrictMode && c.Path == "/" && c.Domain == "")
		require.InDelta(t, 900, c.MaxAge, 1, "no longer than the token")
		issued, err := p.Verify(t.Context(), c.Value)
		require.NoError(t, err)
		require.Equal(t, "console", issued.Credential)
		require.Empty(t, w.Body.String())
	}
}

// Nobody is led from the login to where somebody else wants them.
func TestALoginLeadsToOurOwnPagesOnly(t *testing.T) {
	p := newPlatform(t, true)
	body := "client_id=console&client_secret=" + p.added(t, NewCredential{ID: "console", Roles: []string{"reader"}})
	l := p.login()
	for next, want := range map[string]string{"board": "/board", "console": "/servicecomb/", "": "/docs", "/board": "/docs", "https://elsewhere.example": "/docs", "//elsewhere.example/board": "/docs", `"><script>`: "/docs"} {
		page := httptest.NewRecorder()
		l.form(page, httptest.NewRequest(http.MethodGet, plugins.LoginPath+"?next="+url.QueryEscape(next), nil))
		require.Equal(t, want != afterLogin, strings.Contains(page.Body.String(), `name="next" value="`+next+`"`), next)
		require.NotContains(t, page.Body.String(), "elsewhere")
		require.NotContains(t, page.Body.String(), "script")
		w := asked(l.enter, plugins.LoginPath, formType, body+"&next="+url.QueryEscape(next))
		require.Equal(t, http.StatusSeeOther, w.Code)
		require.Equal(t, want, w.Header().Get("Location"), next)
		w = asked(l.enter, plugins.LoginPath, formType, "client_id=console&client_secret=wrong&next="+url.QueryEscape(next))
		require.Equal(t, want != afterLogin, strings.Contains(w.Body.String(), `name="next" value="`+next+`"`), "the next try leads there too")
	}
}

func TestALoginThatFailsSetsNothingAndRepeatsNothing(t *testing.T) {
	p := newPlatform(t, true)
	secret := p.added(t, NewCredential{ID: "console"})
	l := p.login()
	for _, c := range []struct {
		kind, body string
		status     int
	}{
		{formType, "client_id=console&client_secret=wrong<script>", 401},
		{formType, "token=wrong<script>", 401},
		{formType, "client_id=console", 400},
		{formType, "", 400},
		{formType, "client_id=console&client_secret=" + secret + "&token=wrong", 400},
		{formType, "client_id=a&client_id=b&client_secret=" + secret, 400},
		{"application/json", `{"client_id":"console","client_secret":"wrong"}`, 401},
		{"application/json", `{"token":"wrong"}`, 401},
		{"application/json", `{"token":"wrong","client_id":"console"}`, 400},
		{"application/json", `{}`, 400},
		{"application/json", `{"client_id":"console","client_secret":"` + secret + `","next":"https://elsewhere.example"}`, 400},
		{"text/plain", "client_id=console&client_secret=" + secret, 400},
	} {
		w := asked(l.enter, plugins.LoginPath, c.kind, c.body)
		require.Equal(t, c.status, w.Code, "%s: %s", c.body, w.Body)
		require.Empty(t, w.Result().Cookies())
		require.NotContains(t, w.Body.String(), "wrong")
		require.NotContains(t, w.Body.String(), secret)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	}
	require.Equal(t, 400, asked(l.enter, plugins.LoginPath+"?client_id=console&client_secret="+secret, formType, "").Code, "a URI ends in logs")
	for range 30 {
		asked(l.enter, plugins.LoginPath, formType, "client_id=console&client_secret=wrong")
	}
	require.Equal(t, 429, asked(l.enter, plugins.LoginPath, formType, "client_id=console&client_secret=wrong").Code)
	l.grant = nil
	require.Equal(t, 401, asked(l.enter, plugins.LoginPath, "application/json", `{"client_id":"console","client_secret":"`+secret+`"}`).Code, "there is no issuer")
}

func TestTheLoginPageRunsNothingAndStandsInNoFrame(t *testing.T) {
	w := httptest.NewRecorder()
	login{}.form(w, httptest.NewRequest(http.MethodGet, plugins.LoginPath, nil))
	require.Equal(t, "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'", w.Header().Get("Content-Security-Policy"))
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	require.NotContains(t, w.Body.String(), "<script")
	require.NotContains(t, w.Body.String(), "http")
}

func TestALogoutTakesTheCookieAway(t *testing.T) {
	l := newPlatform(t, true).login()
	for kind, status := range map[string]int{formType: http.StatusSeeOther, "": http.StatusNoContent} {
		w := asked(l.exit, plugins.LogoutPath, kind, "")
		require.Equal(t, status, w.Code)
		c := w.Result().Cookies()[0]
		require.True(t, c.Name == plugins.SessionCookie && c.Value == "" && c.MaxAge < 0 && c.Secure && c.HttpOnly && c.Path == "/")
	}
}
