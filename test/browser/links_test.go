package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

// moduleOf evaluates an expression with what a file of the page exports as m.
func moduleOf[T any](b *tab, file, expression string) T {
	b.t.Helper()
	return get[T](b, fmt.Sprintf(`import(new URL("board/%s", document.baseURI)).then((m) => %s)`, file, expression))
}

// TestLinksLeadToWhereTheOperatorWants, whatever a service is called; below /mep too, where no console is.
func TestLinksLeadToWhereTheOperatorWants(t *testing.T) {
	t.Parallel()
	chromium(t)
	console := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(console, "index.html"), []byte("<html></html>"), 0o600))
	s := mep.Start(t, append(mep.Fast, "MEP_SERVER_CONSOLE_DIR="+console, "MEP_BOARD_DASHBOARD_URL=https://grafana.example/d/mec/{serName}?app={appInstanceId}#{serInstanceId}")...)
	const name = `a/../b?c=d&e#"><script>alert(1)</script>`
	v := s.RegisterInfo("app-1", mep.Info(name, 30))
	for at, console := range map[string]string{"/board": `^` + s.URL + `/servicecomb/#!/sc/[0-9a-f]+/instance$`, "/mep/board": ""} {
		b := open(t, s.URL+at)
		b.shows(v.ID, "ACTIVE")
		b.until("it is live", `document.querySelector('#pill').dataset.link === 'live'`)
		require.Equal(t, name, b.text(row(v.ID)+" .name"))
		b.do(chromedp.Click(chromedp.CSS(row(v.ID))))
		b.until("its panel is shown", "[...document.querySelectorAll('#detail .buttons a')].some(a => a.href.startsWith('https://grafana.example/'))")
		links := get[[]string](b, "[...document.querySelectorAll('#detail .buttons a')].map(a => a.href)")
		place := s.URL + at[:len(at)-len("board")]
		if console != "" {
			require.Regexp(t, console, links[0])
			links = links[1:]
		}
		require.Equal(t, []string{"https://grafana.example/d/mec/a%2F..%2Fb%3Fc%3Dd%26e%23%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E?app=app-1#" + v.ID}, links)
		require.Equal(t, "noopener noreferrer", get[string](b, "document.querySelector('#detail .buttons a').rel"))
		require.Contains(t, b.text("#detail .command code"), "'"+place+"mec_service_mgmt/v1/applications/app-1/services/"+v.ID+"/liveness'", "the command goes where the page came from")
		for template, want := range map[string]string{"javascript:alert(1)//{serName}": "", "https://{serName}/": "", "http://[{serName}]/": "", "https://x.example/{serName}": "https://x.example/evil.example"} {
			require.Equal(t, want, moduleOf[string](b, "links.js", fmt.Sprintf(`m.dashboardOf({serName: "evil.example"}, %q)?.[1] ?? ""`, template)), template)
		}
		require.Empty(t, b.complaints())
	}
	s.Want(http.StatusNotFound, "GET", "/mep/servicecomb/", "")
}

// saved is the file that a button has the browser save.
func (b *tab) saved(button string) string {
	b.t.Helper()
	get[int](b, `(() => { const make = URL.createObjectURL; window.saved = null; URL.createObjectURL = (blob) => { window.saved = blob; return make(blob) }; return 0 })()`)
	b.do(chromedp.Click(chromedp.CSS("#" + button)))
	b.until("it is saved", "window.saved")
	return get[string](b, "window.saved.text()")
}

// TestWhatIsShownIsSavedForSpreadsheets, and no name becomes a formula in them.
func TestWhatIsShownIsSavedForSpreadsheets(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	v := s.RegisterInfo("app-1", mep.Info(`=HYPERLINK("http://evil.example","x")`, 30))
	s.RegisterInfo("app-2", mep.Info("other", 30))
	b := open(t, s.URL+"/board?name=evil")
	b.shows(v.ID, "ACTIVE")
	text := b.saved("csv")
	require.Regexp(t, `^serName,state,shownAs,since,reason,appInstanceId,`, text)
	require.Contains(t, text, "\r\n\"'=HYPERLINK(\"\"http://evil.example\"\",\"\"x\"\")\",ACTIVE,ACTIVE,", "as text, and only what the filter shows")
	require.Contains(t, text, v.ID)
	require.NotContains(t, text, "other")
	for value, want := range map[string]string{"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(1)": "'@SUM(1)", "\t=1": "\"'\t'=1\"", "  =1": "'  =1", "＝1": "'＝1", "a,b": `"a,b"`, "a\nb": "\"a\nb\"", `a"b`: `"a""b"`, "plain": "plain", "": "",
		// where the separator is no comma
		"1;=1+1;2": `"1;'=1+1;2"`, "a;@x": `"a;'@x"`, "a\t -1;+2": "\"a\t '-1;'+2\"", "a|＝1": "a|'＝1", "a\n=1": "\"a\n'=1\"", `a;"=1`: `"a;""'=1"`, "a;b-c": `"a;b-c"`, "a-b=c@d": "a-b=c@d"} {
		require.Equal(t, want, moduleOf[string](b, "csv.js", fmt.Sprintf("m.cell(%q)", value)), value)
	}
}

// TestWhatIsShownIsSavedAsJSON, whatever it was chosen by: those rows, in their order, and no others.
func TestWhatIsShownIsSavedAsJSON(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	one, two, other := s.Register("robots", "camera", 30), s.Register("robots", "microphone", 30), s.Register("office", "printer", 30)
	still := s.RegisterInfo("office", mep.Info("clock", -1))
	b := open(t, s.URL+"/board")
	for _, of := range []struct {
		search string
		ids    []string
	}{
		{"?name=robots&order=service", []string{one.ID, two.ID}}, {"?liveness=false", []string{still.ID}},
		{"?state=ACTIVE&order=app&name=10.0.0.5", []string{still.ID, other.ID, one.ID, two.ID}}, {"?order=service", []string{one.ID, still.ID, two.ID, other.ID}},
	} {
		b.do(chromedp.Navigate(s.URL + "/board" + of.search))
		b.until("it is shown", fmt.Sprintf("document.querySelector('#shown').innerText.startsWith('%d service')", len(of.ids)))
		var file struct {
			Revision int64
			Services []struct {
				SerInstanceID, SerName, State, Since string
				Endpoints                            []string
			}
		}
		require.NoError(t, json.Unmarshal([]byte(b.saved("json")), &file))
		var ids []string
		for _, v := range file.Services {
			ids = append(ids, v.SerInstanceID)
			require.Equal(t, "ACTIVE", v.State)
			require.NotEmpty(t, v.Since)
			require.NotEmpty(t, v.Endpoints)
		}
		require.Equal(t, of.ids, ids, of.search)
		require.Positive(t, file.Revision)
	}
}
