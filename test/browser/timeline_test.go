package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

// described is a service of a category and a locality.
func described(t *testing.T, name, category, locality string, interval int) string {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(mep.Info(name, interval)), &v))
	v["scopeOfLocality"] = locality
	if category != "" {
		v["serCategory"] = map[string]any{"href": "/c", "id": category + "-id", "name": category, "version": "1"}
	}
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// marks are the marks of the time line: line, state and number.
const marks = `[...document.querySelectorAll('#timeline [data-mark]')].map(e => e.dataset.mark.split('/')[0] + ' ' + e.dataset.state + ' ' + e.dataset.n)`

// listed are the services of the transitions that are listed, the newest first.
const listed = `[...document.querySelectorAll('#log li[data-id]')].map(e => e.querySelector('button').innerText + ' ' + e.dataset.to)`

// TestTheLastHourIsThereWhenThePageIsOpened, also of services that are gone, and what follows.
func TestTheLastHourIsThereWhenThePageIsOpened(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	const hostile = `"><script>alert(1)</script>`
	video := s.RegisterInfo("parking", described(t, "camera", "edge video", "ZONE", 1))
	gone := s.RegisterInfo("robots", described(t, hostile, "maps", "MEC_SYSTEM", 30))
	stays := s.RegisterInfo("robots", described(t, "arm", "", "", 30))
	s.Want(204, "DELETE", gone.Location, "")
	s.Want(200, "PUT", "/mec_liveness/v1/services/"+stays.ID+"/drain", `{"reason":"its disk is replaced"}`)
	b := open(t, s.URL+"/board")
	b.shows(video.ID, "SUSPENDED")
	b.until("it is told", `(`+listed+`).length === 6`)
	b.do(chromedp.Reload())
	b.shows(video.ID, "SUSPENDED")
	b.until("what happened before is listed, each once", `(`+listed+`).length === 6`)
	require.ElementsMatch(t, []string{"camera ACTIVE", hostile + " ACTIVE", "arm ACTIVE", hostile + " removed", "arm INACTIVE", "camera SUSPENDED"}, get[[]string](b, listed))
	b.until("and drawn, by lines and shapes", `(() => { const m = `+marks+`; return ['ACTIVE ACTIVE', 'SUSPENDED SUSPENDED', 'INACTIVE drained', 'removed removed'].every(of => m.some(one => one.startsWith(of))) })()`)
	require.Equal(t, 4, get[int](b, `new Set([...document.querySelectorAll('#timeline [data-mark] .glyph path')].map(e => e.getAttribute('d'))).size`), "each state has its shape")
	require.Equal(t, []string{"ACTIVE", "SUSPENDED", "INACTIVE", "removed"}, get[[]string](b, `[...document.querySelectorAll('#timeline .of text')].map(e => e.textContent)`), "and its word")
	require.GreaterOrEqual(t, b.count("#timeline .hour"), 3)
	require.Equal(t, []int{5, 5, 15, 60, 60}, moduleOf[[]int](b, "timeline.js", `((now) => [[], [now - 250e3], [now - 250e3, now - 400e3], [now - 35 * 60e3], [now - 9e6]].map((of, n) => m.spanOf(of.map((at) => ({ at })), now, now - (n === 4 ? 9e6 : 5e3)) / 60e3))(1e12)`), "as far back as something is known")
	small := `Math.max(...[...document.querySelectorAll('#timeline .glyph')].map(e => e.getBoundingClientRect().width))`
	require.Less(t, get[float64](b, small), 20.0)
	last := `document.querySelector('#timeline svg').getBoundingClientRect().right - Math.max(...[...document.querySelectorAll('#timeline .mark')].map(e => e.getBoundingClientRect().right))`
	require.GreaterOrEqual(t, get[float64](b, last), 0.0, "nothing is cut off")
	require.Contains(t, get[string](b, "document.querySelector('#timeline svg').getAttribute('aria-label')"), "1 SUSPENDED, 1 INACTIVE, 1 removed")
	require.Zero(t, b.count("#main img, #main script"))
	b.shot("timeline")

	for _, of := range []struct {
		text string
		want []string
	}{
		{`category:"edge video"`, []string{"camera SUSPENDED", "camera ACTIVE"}}, {"category:maps", []string{hostile + " removed", hostile + " ACTIVE"}}, {"locality:zone", []string{"camera SUSPENDED", "camera ACTIVE"}},
		{"locality:MEC_SYSTEM name:arm", nil}, {"app:robots name:arm", []string{"arm INACTIVE", "arm ACTIVE"}}, {"app:park", []string{"camera SUSPENDED", "camera ACTIVE"}}, {"name:", nil},
	} {
		get[int](b, fmt.Sprintf(`(() => { const e = document.querySelector('#filter'); e.value = %q; e.dispatchEvent(new Event('input')); return 0 })()`, of.text))
		if of.text == "name:" {
			b.until("a word that is still typed leaves all", `(`+listed+`).length === 6`)
			continue
		}
		b.until(of.text+" filters what happened", fmt.Sprintf(`(%s).join("\n") === %q`, listed, strings.Join(of.want, "\n")))
	}
	get[int](b, `(() => { const e = document.querySelector('#of-category'); e.value = 'edge video'; e.dispatchEvent(new Event('change')); return 0 })()`)
	b.until("what is chosen of a list is a word too", `document.querySelector('#filter').value === 'category:"edge video"' && document.querySelectorAll('#rows tr').length === 1`)
	require.Equal(t, "SUSPENDED SUSPENDED 1", get[[]string](b, marks)[len(get[[]string](b, marks))-1])
	b.do(chromedp.Reload())
	b.until("and stands in the address", `document.querySelectorAll('#rows tr').length === 1 && (`+listed+`).length === 2 && document.querySelector('#of-category').value === 'edge video'`)
}

// TestATimeIsChosenByTheKeyboard, stands in the address, and Escape leaves it.
func TestATimeIsChosenByTheKeyboard(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	dies := s.Register("app-1", "camera", 1)
	well := s.Register("app-1", "printer", 30)
	b := open(t, s.URL+"/board")
	b.shows(dies.ID, "SUSPENDED")
	b.until("three changes are drawn", `document.querySelectorAll('#timeline [data-mark]').length >= 2 && (`+listed+`).length === 3`)
	require.Equal(t, 1, b.count(`#timeline [tabindex="0"]`), "one place for the tabulator")
	b.do(chromedp.Focus(chromedp.CSS(`#timeline [tabindex="0"]`)))
	b.press(kb.End)
	b.until("the last is reached", `document.activeElement === [...document.querySelectorAll('#timeline [data-mark]')].at(-1)`)
	b.press(kb.Home)
	b.until("the first is reached", `document.activeElement === document.querySelector('#timeline [data-mark]')`)
	for range 10 {
		if get[string](b, "document.activeElement.dataset.state ?? ''") == "SUSPENDED" {
			break
		}
		b.press(kb.ArrowRight)
	}
	b.until("a death is reached", `document.activeElement.dataset.state === 'SUSPENDED' && /camera → SUSPENDED, at \d/.test(document.activeElement.getAttribute('aria-label'))`)
	b.press(kb.Enter)
	b.until("only what happened in that time is listed", `/^\?from=\S+Z&to=\S+Z$/.test(decodeURIComponent(location.search)) && /from \d\d:\d\d:\d\d to/.test(document.querySelector('#changes-note').innerText)`)
	b.until("it is marked", `document.activeElement.getAttribute('aria-pressed') === 'true'`)
	b.do(chromedp.Reload())
	b.shows(well.ID, "ACTIVE")
	b.until("the address shows the same to anybody", `document.querySelector('#timeline .period') && [...document.querySelectorAll('#log li[data-id]')].some(e => e.dataset.to === 'SUSPENDED')`)
	b.press(kb.Escape)
	b.until("Escape leaves it", `location.search === '' && (`+listed+`).length === 3`)
}

// TestMoreThanTheServerGivesIsSaid: what is cut off is no secret.
func TestMoreThanTheServerGivesIsSaid(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	s.Register("app-1", "camera", 30)
	b := open(t, s.URL+"/board")
	b.until("it is there", "document.querySelectorAll('#rows tr').length === 1")
	text := moduleOf[[]int](b, "model.js", `(() => { const model = new m.Model();
		model.recall({ from: "2026-01-01T00:00:00Z", left: 7, changes: Array.from({ length: 2000 }, (_, n) => ({ revision: n + 1, time: "2026-01-01T00:00:00Z", serInstanceId: "i" + n, serName: "n", change: "REMOVED" })) });
		model.recall({ from: "2026-01-01T00:00:00Z", left: 7, changes: [{ revision: 2000, time: "2026-01-01T00:00:00Z", serInstanceId: "i1999", change: "REMOVED" }, { revision: 2001, time: "2026-01-01T00:00:00Z" }] });
		return [model.changes.length, model.changes[0].revision, model.changes.at(-1).revision, model.left] })()`)
	require.Equal(t, []int{2000, 2001, 2, 7}, text, "each once, the newest, and no more than so many")
	moduleOf[int](b, "timeline.js", `(m.note({ loading: false, listed: 5, left: 7, period: null }), 0)`)
	require.Contains(t, b.text("#changes-note"), "7 older ones of the last hour left out")
}

// TestThePresentDoesNotWaitForThePast: it is shown while nobody answers what happened before.
func TestThePresentDoesNotWaitForThePast(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	one := s.Register("app-1", "camera", 30)
	to, err := url.Parse(s.URL)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.FlushInterval = -1
	present := make(chan struct{}) // it was asked for
	asked := sync.OnceFunc(func() { close(present) })
	var first atomic.Bool
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/changes") {
			select {
			case <-present:
			case <-r.Context().Done(): // the page has given up
				first.Store(true)
			}
		} else if strings.HasSuffix(r.URL.Path, "/state") {
			asked()
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(slow.Close)
	b := open(t, slow.URL+"/board")
	b.shows(one.ID, "ACTIVE")
	require.False(t, first.Load(), "it is not asked for after the past")
	b.until("and the past when it comes, each once", `document.querySelectorAll('#log li[data-id]').length === 1 && !document.querySelector('#log li.before') && document.querySelector('#log li[data-change=ADDED]')`)
	two := s.Register("app-1", "printer", 30)
	b.shows(two.ID, "ACTIVE")
}

// TestWhatThePageForgetsIsNotQuiet: before the oldest change that it keeps nothing is known; and each
// change is listed once, in its place.
func TestWhatThePageForgetsIsNotQuiet(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	s.Register("app-1", "camera", 30)
	b := open(t, s.URL+"/board")
	b.until("it is there", "document.querySelectorAll('#rows tr').length === 1")
	const change = `const at = (n) => new Date(1e12 + n * 1000).toISOString(), change = (n, id = "i") => ({ revision: n, time: at(n), serInstanceId: id, serName: "n", change: "REMOVED" });`
	require.Equal(t, []int{2000, 11, 10}, moduleOf[[]int](b, "model.js", `(() => { `+change+`
		const model = new m.Model();
		model.recall({ from: at(0), changes: [] });
		for (let n = 1; n <= 2010; n++) model.change(change(n));
		return [model.changes.length, (model.known - 1e12) / 1000, model.left] })()`), "what it heard")
	require.Equal(t, []int{5}, moduleOf[[]int](b, "model.js", `(() => { `+change+`
		const model = new m.Model();
		model.recall({ from: at(0), left: 3, changes: [change(5), change(6)] });
		return [(model.known - 1e12) / 1000] })()`), "what the server leaves out")
	require.Equal(t, []string{"8/i", "7/j", "7/i", "6/i"}, moduleOf[[]string](b, "model.js", `(() => { `+change+`
		const model = new m.Model();
		model.recall({ from: at(0), changes: [change(6), change(7), change(8)] });
		for (const c of [change(6), change(7, "j"), change(7), change(8)]) model.change(c);
		return model.changes.map((c) => c.revision + "/" + c.serInstanceId) })()`), "each once")
	require.Equal(t, []string{"2/i"}, moduleOf[[]string](b, "model.js", `(() => { `+change+`
		const model = new m.Model();
		model.recall({ from: at(0), changes: [change(6), change(7)] });
		model.take({ revision: 7, services: [{ serInstanceId: "i", state: "ACTIVE", serName: "n" }] });
		model.begins(1);
		model.take({ revision: 2, services: [{ serInstanceId: "i", state: "SUSPENDED", serName: "n" }] });
		if (model.rows.get("i").kind !== "SUSPENDED") return ["it shows what was before"];
		model.change(change(2));
		return model.changes.map((c) => c.revision + "/" + c.serInstanceId) })()`), "a store that was restored begins anew")
	require.Equal(t, []string{"one", `one "two three"`, "one"}, moduleOf[[]string](b, "match.js", `[m.shortened('one "two three"', 12), m.shortened('one "two three"', 15), m.shortened('one two', 6)]`))
}

// TestWhatWasNotLookedAtIsNotNobody, where the server says of a service nothing of who is told.
func TestWhatWasNotLookedAtIsNotNobody(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	one := s.Register("app-1", "camera", 30)
	b := open(t, s.URL+"/board")
	b.shows(one.ID, "ACTIVE")
	require.Equal(t, []bool{false, true, true}, moduleOf[[]bool](b, "model.js", `(() => { const model = new m.Model();
		const item = { serInstanceId: "i", state: "ACTIVE", serName: "n" }, has = [];
		for (const subscriptions of [undefined, [], undefined]) { model.take({ revision: 1, services: [{ ...item, subscriptions }] }); has.push(model.deliveries.has("i")); }
		return has })()`), "what was known stays")
	require.Equal(t, []string{"Not looked at: there is too much to tell.", "Nobody has subscribed to it."}, moduleOf[[]string](b, "detail.js", `(() => { const d = new m.Detail({ model: { rows: new Map() } });
		const said = [];
		for (const subscriptions of [undefined, []]) { d.open("i"); d.take("i", { serInstanceId: "i", state: "ACTIVE", serName: "n", subscriptions }); said.push([...d.box.querySelectorAll("section .small")].map((e) => e.innerText).find((text) => /looked|subscribed/.test(text)) ?? ""); }
		d.close();
		return said })()`))
}
