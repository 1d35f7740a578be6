package browser

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

// logIn fills the form of the login in.
func (b *tab) logIn(c mep.Credential) {
	b.t.Helper()
	b.until("the login is shown", "location.pathname === '/login' && document.querySelector('input[name=client_id]')")
	b.do(chromedp.SendKeys(chromedp.CSS("input[name=client_id]"), c.ID), chromedp.SendKeys(chromedp.CSS("input[name=client_secret]"), c.Secret),
		chromedp.Click(chromedp.CSS("form[action='/login'] button")))
	b.until("the board is shown", "location.pathname === '/board'")
}

// TestWhoLogsInSeesTheBoardAndOnlyAnAdminDrains: with identities the login leads to what was
// asked for.
func TestWhoLogsInSeesTheBoardAndOnlyAnAdminDrains(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Secure(t, mep.Fast...)
	reader, admin, app := s.Add("watcher", "reader"), s.Add("boss", "admin"), s.Add("app-1")
	v := s.As(app).Register("app-1", "camera", 60)
	defer func() {
		if t.Failed() {
			t.Log(s.Stderr)
		}
	}()
	b := open(t, s.URL+"/board?name=cam")
	b.logIn(reader)
	b.until("it leads back", "location.search === '?name=cam' && document.querySelector('#filter').value === 'cam'")
	b.shows(v.ID, "ACTIVE")
	require.Equal(t, "watcher", b.text("#who"))
	b.do(chromedp.Click(chromedp.CSS(row(v.ID))))
	b.until("its panel is shown", "document.querySelector('#detail .facts')")
	require.NotContains(t, b.text("#detail"), "Drain", "a reader only reads")
	b.shot("reader")
	b.do(chromedp.Click(chromedp.CSS("#logout button")))
	b.until("the login is shown", "location.pathname === '/login'")
	b.do(chromedp.Navigate(s.URL + "/board"))
	b.logIn(admin)
	b.shows(v.ID, "ACTIVE")
	b.do(chromedp.Click(chromedp.CSS(row(v.ID))))
	b.do(chromedp.Click(chromedp.CSS(`#detail [data-focus="drain"]`)))
	b.until("it asks for a reason", "document.querySelector('#drain').open")
	require.Contains(t, b.text("#drain"), "This is the last instance of camera")
	b.do(typed("its lens is cleaned"))
	b.shot("drain")
	b.do(chromedp.Click(chromedp.CSS("#drain button.danger")))
	b.shows(v.ID, "drained")
	require.Contains(t, b.text(row(v.ID)+" .c-why"), "its lens is cleaned")
	require.Contains(t, b.text(row(v.ID)+" .c-why"), "boss")
	require.Equal(t, "INACTIVE", s.As(reader).State(v.ID))
	b.until("it can be undrained", `document.querySelector('#detail [data-focus="drain"]')?.innerText.includes('Undrain')`)
	b.do(chromedp.Click(chromedp.CSS(`#detail [data-focus="drain"]`)))
	b.do(chromedp.Click(chromedp.CSS("#drain button.primary")))
	b.until("it is no longer drained", fmt.Sprintf(`document.querySelector('%s:not([data-kind="drained"])')`, row(v.ID)))
	s.As(app).Beat("app-1", v.ID)
	b.shows(v.ID, "ACTIVE")
	require.Empty(t, b.complaints())

	b.losing(true) // to be refused is a failure, for a browser
	b.do(chromedp.Click(chromedp.CSS("#logout button")))
	b.until("the login is shown", "location.pathname === '/login'")
	b.do(chromedp.Navigate(s.URL + "/board"))
	b.logIn(app)
	b.until("an application may not see it, and is told so", "document.querySelector('#banners').innerText.includes('needs the role reader')")
	require.Zero(t, b.count("#rows tr"))
	b.shot("refused")
}

// TestBelowMepAReaderIsToldWhereToLogIn: EdgeGallery's gateway has no login to lead to.
func TestBelowMepAReaderIsToldWhereToLogIn(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Secure(t, mep.Fast...)
	b := open(t, s.URL+"/mep/board")
	b.until("it is said", "document.querySelector('#banners').innerText.includes('log in at the server itself, at /board')")
	require.True(t, get[bool](b, `(async () => { // whatever is refused, too
		window.fetch = async () => new Response("{}", { status: 401 });
		const m = await import(new URL("board/session.js", document.baseURI));
		return !m.login() && (await m.who(() => {})).mayRead === false;
	})()`))
	require.Equal(t, "/mep/board", get[string](b, "location.pathname"))
	require.Zero(t, b.count("#rows tr"))
}
