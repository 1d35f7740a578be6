package browser

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

// spoken is what a screen reader is given, as "role: name" lines in order.
func (b *tab) spoken() (lines []string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		tree, err := cdp.Call(ctx, t, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		if err != nil {
			return err
		}
		lines = nil
		for _, n := range tree.Nodes {
			if n.Ignored || n.Role == nil {
				continue
			}
			lines = append(lines, strings.TrimSpace(textOf(n.Role)+": "+strings.TrimSpace(textOf(n.Name))))
		}
		return nil
	}))
	return lines
}

func textOf(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	return strings.Trim(string(v.Value), `"`)
}

// needName are the roles of what is nothing to a listener without a name.
var needName = []string{"button", "link", "searchbox", "textbox", "combobox", "dialog", "grid", "table", "image", "img", "navigation", "complementary", "region", "search", "row", "columnheader", "log", "heading"}

// unnamed are the lines without the name that they need.
func unnamed(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool {
		role, name, _ := strings.Cut(l, ":")
		return name != "" || !slices.Contains(needName, role)
	})
}

// TestWhoListensIsToldEverything: what can be used has a role and a name, there is one headline, and
// what is read aloud by itself is read when something happens, not by the second.
func TestWhoListensIsToldEverything(t *testing.T) {
	t.Parallel()
	chromium(t)
	require.Equal(t, []string{"button:"}, unnamed([]string{"button:", "button: Pause", "StaticText:"}))
	s := mep.Start(t, mep.Fast...)
	v := s.Register("app-1", "camera", 2)
	stop := beating(v)
	defer stop()
	gone := s.Register("app-2", "microphone", 1)
	b := open(t, s.URL+"/board")
	b.shows(v.ID, "ACTIVE")
	b.shows(gone.ID, "SUSPENDED")
	b.do(chromedp.Click(chromedp.CSS(row(v.ID))))
	b.until("its panel is shown", "document.querySelector('#detail .facts')")
	lines := b.spoken()
	require.Empty(t, unnamed(lines), strings.Join(lines, "\n"))
	for _, want := range []string{"navigation: Show only services in a state", "searchbox: Filter by service, application, category or address", "combobox: Order", "grid: Services, what needs attention first",
		"columnheader: State", "columnheader: Time left", "log:", "complementary: One service", "button: Pause", "button: Help", "main:", "banner:"} {
		require.True(t, slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, want) }), "%s is missing of\n%s", want, strings.Join(lines, "\n"))
	}
	require.Equal(t, 1, b.count("h1"))
	require.Equal(t, "2", get[string](b, "String(document.querySelectorAll('#rows tr[role=row] td[role=gridcell]:first-child').length)"))
	b.press("?")
	b.until("the help is open", "document.querySelector('#help').open")
	require.Empty(t, unnamed(b.spoken()))
	b.press(kb.Escape)

	b.until("the log says who was told", `document.querySelector('#log li[data-to="SUSPENDED"] .told').textContent !== ""`)
	said := get[[]string](b, `new Promise((done) => { // whatever is read aloud by itself, in three seconds of heartbeats
		const said = [];
		const watch = new MutationObserver((all) => { for (const m of all) said.push((m.target.id || m.target.parentElement?.id || m.target.nodeName) + ": " + m.target.textContent); });
		for (const e of document.querySelectorAll('[aria-live]:not([aria-live=off]), [role=status]:not([aria-live=off]), [role=alert], [role=log]:not([aria-live=off])')) watch.observe(e, {childList: true, characterData: true, subtree: true});
		setTimeout(() => { watch.disconnect(); done(said); }, 3000);
	})`)
	said = slices.DeleteFunc(said, func(line string) bool { return strings.Contains(line, "This is old.") }) // on a machine so busy that this is true, it is said
	require.Empty(t, said, "nothing happened")
	require.Positive(t, get[int](b, `[...document.querySelectorAll('#said[role=status], #banners[role=alert], #log[role=log]')].length`))
}

// TestWhoListensIsToldOfEachBurst of changes once, and of the next one again.
func TestWhoListensIsToldOfEachBurst(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	b := open(t, s.URL+"/board")
	b.until("it is live", `document.querySelector('#pill').dataset.link === 'live'`)
	get[int](b, `(() => { window.told = 0; new MutationObserver(() => { if (document.querySelector("#said").textContent.startsWith("Many services change")) window.told++ })
		.observe(document.querySelector("#said"), { childList: true, characterData: true, subtree: true }); return 0 })()`)
	const many = 20
	for burst := 1; burst <= 2; burst++ {
		b.press("p") // so that all of it is drawn at once
		var registering sync.WaitGroup
		for i := range many {
			registering.Go(func() { _, _ = s.TryRegister("factory", fmt.Sprintf("robot-%d-%02d", burst, i), 600) })
		}
		registering.Wait()
		b.until("all have come", fmt.Sprintf("/ %d changes since/.test(document.querySelector('#pill-text').innerText)", many))
		b.press("p")
		b.until("all are listed", fmt.Sprintf("document.querySelectorAll('#log li').length >= %d", burst*many))
		b.until("it is said", fmt.Sprintf("window.told >= %d", burst))
		b.until("and no longer there, once it is over", `document.querySelector('#said').textContent === ''`)
		require.Equal(t, burst, get[int](b, "window.told"), "once")
	}
}

// TestTheFocusIsSeenAndGoesFromTopToEnd.
func TestTheFocusIsSeenAndGoesFromTopToEnd(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	v := s.Register("app-1", "camera", 60)
	b := open(t, s.URL+"/board")
	b.shows(v.ID, "ACTIVE")
	b.until("its registration is listed", "document.querySelector('#log li button')")
	var places []string
	for range 40 {
		b.press(kb.Tab)
		place := get[string](b, `(() => { const e = document.activeElement; return e === document.body ? "" : e.id.replace(/-\d+$/, "") || e.className || e.dataset.tile && "tile-" + e.dataset.tile || (e.dataset.id && "row") || e.tagName })()`)
		if place == "" || len(places) > 0 && place == places[0] {
			break
		}
		require.True(t, get[bool](b, `(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect(); return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 && r.width > 0 && r.right > 0 && r.bottom > 0 })()`), "the focus is not seen on %s", place)
		places = append(places, place)
	}
	order := []string{"skip", "pause", "json", "csv", "help-open", "tile-ACTIVE", "tile-late", "tile-SUSPENDED", "tile-INACTIVE", "tile-drained", "tile-none", "tile-all", "filter", "order", "view", "group", "row", "mark-ACTIVE", "log", "link"}
	require.Equal(t, order, places)
}

// contrast is a script that returns each text that is shown and whose contrast to what lies behind it
// is less than WCAG 2.2 AA asks for (1.4.3).
const contrast = `(() => {
	const parse = (c) => { const n = c.match(/[\d.]+/g).map(Number); return { rgb: n.slice(0, 3), a: n[3] ?? 1 }; };
	const over = (top, under) => top.rgb.map((v, i) => v * top.a + under[i] * (1 - top.a));
	const light = (rgb) => rgb.map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (e) => { const all = []; for (; e; e = e.parentElement) { const b = parse(getComputedStyle(e).backgroundColor); if (b.a > 0) all.unshift(b); } return all.reduce((under, b) => over(b, under), [255, 255, 255]); };
	const poor = new Set();
	const walk = document.createTreeWalker(document.querySelector("dialog[open]") ?? document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement;
		if (!walk.currentNode.textContent.trim() || !e.checkVisibility({ visibilityProperty: true }) || e.closest("svg, .hidden, .skip, script, style, option, noscript")) continue;
		const s = getComputedStyle(e), ground = behind(e), text = over({ ...parse(s.color), a: parse(s.color).a * Number(s.opacity) }, ground);
		const [a, b] = [light(text), light(ground)].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05), large = parseFloat(s.fontSize) >= 24 || (parseFloat(s.fontSize) >= 18.66 && Number(s.fontWeight) >= 700);
		if (ratio < (large ? 3 : 4.5)) poor.add(ratio.toFixed(2) + " " + e.tagName + "." + e.className + "#" + e.id + " " + walk.currentNode.textContent.trim().slice(0, 30));
	}
	return [...poor];
})()`

// TestEveryTextCanBeRead, light and dark, at every width, and none is cut off by the page.
func TestEveryTextCanBeRead(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	drained := s.Register("app-0", "payment", 30)
	s.Want(200, "PUT", "/mec_liveness/v1/services/"+drained.ID+"/drain", `{"reason":"its disk is replaced"}`)
	v := s.Register("app-1", "camera", 2)
	stop := beating(v)
	defer stop()
	gone := s.Register("app-2", "a-microphone-with-a-name-that-is-longer-than-any-column", 1)
	late := s.Register("app-3", "turntable", 40)
	for _, scheme := range []string{"light", "dark"} {
		b := open(t, s.URL+"/board", "prefers-color-scheme="+scheme)
		for _, of := range []struct{ id, kind string }{{v.ID, "ACTIVE"}, {gone.ID, "SUSPENDED"}, {drained.ID, "drained"}} {
			b.shows(of.id, of.kind)
		}
		b.until("what happened is listed", "document.querySelectorAll('#log li button').length >= 4")
		read := func(where string) {
			t.Helper()
			require.Empty(t, get[[]string](b, contrast), "%s, %s", scheme, where)
		}
		for _, width := range []int64{1920, 1280, 1000, 390} {
			b.do(chromedp.EmulateViewport(width, 900))
			read(fmt.Sprint(width))
			require.LessOrEqual(t, get[int](b, "document.documentElement.scrollWidth"), int(width), "%s: nobody has to scroll sideways at %d", scheme, width)
			require.Zero(t, get[int](b, "(() => { const e = document.querySelector('#scroll'); return e.scrollWidth - e.clientWidth })()"), "%s: the table fits at %d", scheme, width)
			b.shot(fmt.Sprintf("width-%d-%s", width, scheme))
		}
		b.do(chromedp.EmulateViewport(1280, 900), chromedp.Click(chromedp.CSS(row(gone.ID))))
		b.until("its panel is shown", "document.querySelector('#detail .facts')")
		read("panel")
		b.press("?")
		read("help")
		for view, there := range map[string]string{"group=service&open=camera": row(v.ID), "view=graph": "#network .node"} {
			b.do(chromedp.Navigate(s.URL + "/board?" + view))
			b.until(view, fmt.Sprintf("document.querySelector('%s') && document.querySelector('#timeline .mark')", there))
			for _, width := range []int64{1280, 390} {
				b.do(chromedp.EmulateViewport(width, 900))
				b.until("it fits", "(() => { const e = document.querySelector('#network'); return e.hidden || e.scrollWidth <= e.clientWidth })()")
				read(fmt.Sprint(view, width))
				require.LessOrEqual(t, get[int](b, "document.documentElement.scrollWidth"), int(width), "%s: nobody has to scroll sideways at %d", view, width)
				b.shot(fmt.Sprintf("%s-%d-%s", view[:5], width, scheme))
			}
		}
	}
	_ = late
}
