package browser

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

// typed types text where the focus is.
func typed(text string) chromedp.Action[chromedp.Void] { return chromedp.KeyEvent(text) }

// TestWhatApplicationsWriteIsOnlyText: names, addresses and reasons that would like to be more.
func TestWhatApplicationsWriteIsOnlyText(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	const image = `<img src=x onerror=alert(1)>`
	const script = `</td></tr><script>alert(2)</script>`
	const address = `javascript:alert(3)`
	info := func(name string) string {
		text, err := json.Marshal(map[string]any{"serName": name, "version": "1.0", "state": "ACTIVE", "serializer": "JSON", "livenessInterval": 30,
			"serCategory":   map[string]any{"href": "/x", "id": "x", "name": image, "version": "1"},
			"transportInfo": map[string]any{"id": "t", "name": "t", "type": "REST_HTTP", "protocol": "HTTP", "version": "1", "endpoint": map[string]any{"uris": []string{address}}, "security": map[string]any{}}})
		require.NoError(t, err)
		return string(text)
	}
	first := s.RegisterInfo("app-1", info(image))
	second := s.RegisterInfo("app-1", info(script))
	b := open(t, s.URL+"/board")
	b.shows(first.ID, "ACTIVE")
	b.shows(second.ID, "ACTIVE")
	require.Equal(t, image, b.text(row(first.ID)+" .name"))
	require.Equal(t, script, b.text(row(second.ID)+" .name"))
	s.Want(200, "PUT", "/mec_liveness/v1/services/"+second.ID+"/drain", `{"reason":"<img src=x onerror=alert(4)>"}`)
	b.shows(second.ID, "drained")
	require.Contains(t, b.text(row(second.ID)+" .c-why"), "<img src=x onerror=alert(4)>")
	for _, id := range []string{first.ID, second.ID} {
		b.do(chromedp.Click(chromedp.CSS(row(id))))
		b.until("its panel is shown", fmt.Sprintf("document.querySelector('#detail').innerText.includes('%s') && document.querySelector('#detail code')", id))
		require.Contains(t, b.text("#detail"), address)
	}
	b.shot("hostile")
	require.Zero(t, b.count("#main img, #log img, #main script, #log script, iframe, object"))
	require.Equal(t, 1, b.count("script"), "the page's own")
	for _, href := range get[[]string](b, "[...document.querySelectorAll('a[href], form[action]')].map(e => e.href ?? e.action)") {
		require.Regexp(t, "^http://"+s.Listen, href)
	}
	require.Empty(t, b.complaints(), "no dialog, and nothing that the policy had to forbid")
}

// TestThePolicyForbidsWhatAnInjectionWouldNeed, and this module would hear of it.
func TestThePolicyForbidsWhatAnInjectionWouldNeed(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t)
	b := open(t, s.URL+"/board")
	b.until("it is there", "document.querySelector('#sentence').innerText.includes('ACTIVE')")
	for _, injected := range []string{
		`document.body.append(Object.assign(document.createElement("script"), {textContent: "window.hacked = 1"}))`,
		`document.body.append(Object.assign(document.createElement("img"), {src: "https://elsewhere.example/x.png"}))`,
		`document.body.insertAdjacentHTML("beforeend", "<p onclick='window.hacked = 1' id=trap>x</p>"), document.querySelector("#trap").click()`,
		`fetch("https://elsewhere.example/").catch(() => 0)`,
	} {
		require.Empty(t, b.complaints())
		get[int](b, "("+injected+", 0)")
		heard := []string{}
		b.until("it is forbidden", "true")
		for i := 0; i < 100 && len(heard) == 0; i++ {
			heard = b.complaints()
			get[int](b, "new Promise((done) => setTimeout(() => done(0), 50))")
		}
		require.NotEmpty(t, heard, injected)
		require.Contains(t, heard[0], "Content Security Policy")
		b.complaints()
	}
	require.False(t, get[bool](b, "'hacked' in window"))
}
