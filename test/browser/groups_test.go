package browser

import (
	"fmt"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

// group is the selector of the row of a service name.
func group(name string) string { return fmt.Sprintf(`#rows tr[data-group="%s"]`, name) }

// grouped waits until the row of a name is as the worst of its instances, and says how many are how.
func (b *tab) grouped(name, kind, counts string) {
	b.t.Helper()
	b.until(name+" is shown "+kind, fmt.Sprintf(`document.querySelector('%s[data-kind="%s"]')?.querySelector('.counts').textContent === %q`, group(name), kind, counts))
}

// TestAServiceIsAsTheWorstOfItsInstances, and opened by a click or a key, it shows each of them.
func TestAServiceIsAsTheWorstOfItsInstances(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	const hostile = `<img src=x onerror=alert(1)>`
	one, two, dies := s.Register("app-1", "camera", 30), s.Register("app-2", "camera", 30), s.Register("app-3", "camera", 2)
	lonely := s.Register("app-1", "printer", 30)
	s.RegisterInfo("app-4", mep.Info(hostile, 30))
	stop := beating(dies)
	defer stop()
	b := open(t, s.URL+"/board?order=service")
	b.shows(one.ID, "ACTIVE")
	b.press("s")
	b.grouped("camera", "ACTIVE", "3 ACTIVE")
	require.Equal(t, "?order=service&group=service", get[string](b, "location.search"))
	require.Equal(t, []int{3, 0}, []int{b.count("#rows tr"), b.count("#rows tr[data-id]")}, "one row for each name")
	require.Equal(t, hostile, b.text("#rows tr:first-child .name"))
	require.Zero(t, b.count("#main img"))
	require.Equal(t, "3 services with 5 instances shown", b.text("#shown"))
	stop()
	b.grouped("camera", "SUSPENDED", "1 SUSPENDED2 ACTIVE")
	require.Equal(t, "SUSPENDED", b.text(group("camera")+" .chip"), "a word, and not a colour alone")
	require.Equal(t, 2, b.count(group("camera")+" .counts .glyph"), "and shapes")
	s.Want(200, "PUT", "/mec_liveness/v1/services/"+two.ID+"/drain", `{"reason":"its disk is replaced"}`)
	b.grouped("camera", "SUSPENDED", "1 SUSPENDED1 drained1 ACTIVE")

	b.do(chromedp.Click(chromedp.CSS(group("camera"))))
	b.until("its instances are there", "document.querySelectorAll('#rows tr[data-id]').length === 3")
	require.Equal(t, []string{"treegrid", "true", "1", "2"}, get[[]string](b, fmt.Sprintf(`[document.querySelector('#table').getAttribute('role'), document.querySelector('%s').getAttribute('aria-expanded'),
		document.querySelector('%s').getAttribute('aria-level'), document.querySelector('%s').getAttribute('aria-level')]`, group("camera"), group("camera"), row(dies.ID))))
	require.GreaterOrEqual(t, get[float64](b, fmt.Sprintf(`(() => { const e = document.querySelector('%s'), all = [...e.querySelectorAll('.state-count')].map(c => c.getBoundingClientRect());
		return Math.min(all[0].left - e.querySelector('.left-text').getBoundingClientRect().right, e.getBoundingClientRect().right - all.at(-1).right) })()`, group("camera"))), 0.0, "all states are in sight")
	b.shot("groups")
	b.do(chromedp.EmulateViewport(390, 800))
	b.until("on a telephone they stand below the name", fmt.Sprintf("document.querySelector('%s .brief').checkVisibility() && document.querySelector('%s .brief').innerText === '1 SUSPENDED, 1 drained, 1 ACTIVE'", group("camera"), group("camera")))
	b.shot("groups-narrow")
	b.do(chromedp.EmulateViewport(1280, 800))
	address := get[string](b, "location.href")
	b.do(chromedp.Navigate(s.URL+"/board"), chromedp.Navigate(address))
	b.until("the address shows the same to anybody", fmt.Sprintf("document.querySelector('%s') && document.querySelectorAll('#rows tr').length === 6", row(two.ID)))

	chosen := func(selector string) {
		t.Helper()
		b.until("it is chosen: "+selector, fmt.Sprintf("document.activeElement === document.querySelector('%s')", selector))
	}
	b.do(chromedp.Focus(chromedp.CSS(row(two.ID))))
	b.do(chromedp.Click(chromedp.CSS(row(two.ID))))
	b.until("the panel of an instance says who drained it, and why", `/Drained by\s+administrator: its disk is replaced/.test(document.querySelector('#detail .facts')?.innerText)`)
	b.press(kb.Escape)
	chosen(row(two.ID))
	b.press(kb.ArrowLeft)
	chosen(group("camera"))
	b.press(kb.ArrowLeft)
	b.until("it is closed", fmt.Sprintf("!document.querySelector('%s') && document.querySelector('%s').getAttribute('aria-expanded') === 'false'", row(two.ID), group("camera")))
	chosen(group("camera"))
	b.press(kb.ArrowDown)
	chosen(group("printer"))
	b.press(kb.ArrowRight)
	b.until("it is opened by a key", fmt.Sprintf("document.querySelector('%s')", row(lonely.ID)))
	b.press(kb.ArrowRight)
	chosen(row(lonely.ID))
	b.press("s")
	b.until("each instance has its row again", "document.querySelectorAll('#rows tr[data-id]').length === 5 && document.querySelector('#table').getAttribute('role') === 'grid'")
	b.do(chromedp.Navigate(s.URL + "/board?group=service&state=ACTIVE"))
	b.grouped("camera", "SUSPENDED", "1 SUSPENDED1 drained1 ACTIVE")
	require.Contains(t, b.text(group("camera")+" .c-service"), "1 of 3 instances", "what a filter leaves out is no reason to call it well")
}

// TestManyInstancesOfANameAreShownByFewElements, however they are grouped.
func TestManyInstancesOfANameAreShownByFewElements(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, "MEP_APPLICATIONS_MAX_SERVICES=1000000")
	const n = 1200
	var registering sync.WaitGroup
	for worker := range 16 {
		registering.Go(func() {
			for i := worker; i < n; i += 16 {
				_, _ = s.TryRegister(fmt.Sprint("app-", i%40), fmt.Sprintf("service-%03d", i%300), 3600)
			}
		})
	}
	registering.Wait()
	b := open(t, s.URL+"/board?order=service&group=service")
	b.until("all names are there", "document.querySelector('#table').getAttribute('aria-rowcount') === '301'")
	require.Less(t, b.count("#rows tr"), 100)
	b.do(chromedp.Navigate(s.URL + "/board?order=service&group=service&open=service-000&open=service-150"))
	b.until("what is opened has rows", "document.querySelector('#table').getAttribute('aria-rowcount') === '309'")
	get[int](b, "(() => { const e = document.querySelector('#scroll'); e.scrollTop = e.scrollHeight / 2; return 0 })()")
	b.until("the middle is shown", `[...document.querySelectorAll('#rows tr[data-id] .name')].some(e => e.innerText === 'service-150')`)
	require.Less(t, b.count("#rows tr"), 100)
	get[int](b, "(() => { const e = document.querySelector('#scroll'); e.scrollTop = e.scrollHeight; return 0 })()")
	b.until("the last is reached", "document.querySelector('#rows tr:last-child .name').innerText === 'service-299'")
}
