package browser

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
)

// edges are how the drawn edges to subscribers are, each with the style that it has beside its colour.
const edges = `[...document.querySelectorAll('#network .edge[data-stage]')].map(e => e.dataset.to.slice(2) + ' ' + e.dataset.stage)`

// TestWhoHasWhatAndWhoIsToldIsDrawn: all applications, services and subscribers, by the last delivery.
func TestWhoHasWhatAndWhoIsToldIsDrawn(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, mep.Fast...)
	const hostile = `<img src=x onerror=alert(1)>`
	good, bad := consumer.Start(t), consumer.Start(t)
	bad.Answer(http.StatusInternalServerError)
	s.Subscribe("control-room", good.URL, "")
	s.Subscribe("broken-screen", bad.URL, "")
	one := s.Register("app-1", "camera", 60)
	s.Register("app-1", "microphone", 60)
	dies := s.RegisterInfo("app-2", mep.Info(hostile, 1))
	b := open(t, s.URL+"/board")
	b.shows(dies.ID, "SUSPENDED")
	b.press("g")
	b.until("all of it is drawn", `document.querySelectorAll('#network [data-node]').length === 7`)
	require.Equal(t, "?view=graph", get[string](b, "location.search"))
	b.until("with who was told and who was not", `(`+edges+`).filter(e => e === 'control-room told').length === 3 && (`+edges+`).filter(e => e === 'broken-screen failing').length === 3`)
	style := func(stage string) string {
		return fmt.Sprintf(`(() => { const e = document.querySelector('#network .edge[data-stage="%s"]'), c = getComputedStyle(e); return c.stroke + '|' + c.strokeDasharray + '|' + document.querySelector(e.getAttribute('marker-end').slice(4, -1)).firstChild.getAttribute('d') })()`, stage)
	}
	told, failing := get[string](b, style("told")), get[string](b, style("failing"))
	require.NotEqual(t, told, failing)
	require.Regexp(t, `\|none\|`, told)
	require.NotRegexp(t, `\|none\|`, failing, "another line, for whoever sees no colours")
	require.Equal(t, hostile, get[string](b, fmt.Sprintf(`document.querySelector('#network [data-node="s %s"] text').textContent`, dies.ID)))
	require.Contains(t, get[string](b, fmt.Sprintf(`document.querySelector('#network [data-node="s %s"]').getAttribute('aria-label')`, dies.ID)), "of app-2: SUSPENDED")
	require.Zero(t, b.count("#network img"))
	b.shot("network")

	b.press(kb.ArrowDown)
	b.until("the keyboard reaches it", `document.activeElement.dataset.node === 'a app-1'`)
	b.press(kb.ArrowDown)
	b.until("down goes down", `document.activeElement.dataset.node === 'a app-2'`)
	b.press(kb.ArrowRight)
	b.until("right goes along the line", fmt.Sprintf(`document.activeElement.dataset.node === 's %s'`, dies.ID))
	b.until("what belongs to it stands out", `document.querySelectorAll('#network .edge.near').length === 3`)
	b.press(kb.ArrowRight)
	b.until("and to who is told", `document.activeElement.dataset.node.startsWith('t ')`)
	b.press(kb.ArrowLeft)
	b.press(kb.Home)
	b.until("home is the first of the column", fmt.Sprintf(`document.activeElement.dataset.node === 's %s'`, one.ID))
	b.press(kb.Enter)
	b.until("a service opens its panel", "document.querySelector('#detail h2')?.innerText === 'camera'")
	b.press(kb.Escape)
	b.until("and the focus is where it was", fmt.Sprintf(`document.activeElement.dataset.node === 's %s'`, one.ID))

	bad.Answer(http.StatusNoContent)
	b.until("what is delivered in the end is drawn", `(`+edges+`).filter(e => e === 'broken-screen told').length === 3`)
	b.do(chromedp.Click(chromedp.CSS("#network summary")))
	b.until("the same stands in a table", `document.querySelectorAll('#network tbody tr').length === 6 && [...document.querySelectorAll('#network tbody tr')].some(e => /app-2.*SUSPENDED.*control-room.*told/s.test(e.innerText))`)
	b.do(chromedp.Focus(chromedp.CSS(`#network [data-node="a app-2"]`)))
	b.press(kb.Enter)
	b.until("an application shows only what it has", `location.search === '?name=app%3A%22app-2%22&view=graph' && document.querySelectorAll('#network [data-node]').length === 4`)
	b.do(chromedp.Reload())
	b.until("the address shows the same to anybody", `document.querySelectorAll('#network [data-node]').length === 4 && document.querySelector('#scroll').hidden`)
	b.press("g")
	b.shows(dies.ID, "SUSPENDED")
}

// TestVeryManyAreAGrid: above 500 nodes nobody could read a drawing.
func TestVeryManyAreAGrid(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := mep.Start(t, "MEP_APPLICATIONS_MAX_SERVICES=1000000")
	const n = 520
	var registering sync.WaitGroup
	for worker := range 16 {
		registering.Go(func() {
			for i := worker; i < n; i += 16 {
				_, _ = s.TryRegister(fmt.Sprint("app-", i%30), fmt.Sprintf("service-%03d", i), 3600)
			}
		})
	}
	registering.Wait()
	to := consumer.Start(t)
	s.Subscribe("control-room", to.URL, "")
	b := open(t, s.URL+"/board?view=graph&order=service")
	b.until("each is a field", fmt.Sprintf("document.querySelectorAll('#network .cell').length === %d", n))
	require.Zero(t, b.count("#network .edge"))
	require.Contains(t, b.text("#network .legend"), "520 services, applications and subscribers are too many for a drawing")
	b.press(kb.ArrowDown)
	b.until("the keyboard reaches it", `document.activeElement.querySelector('span')?.innerText === 'service-000'`)
	b.press(kb.ArrowRight)
	b.press(kb.ArrowRight)
	b.press(kb.ArrowLeft)
	b.until("and goes on", `document.activeElement.querySelector('span').innerText === 'service-001'`)
	b.shot("network-grid")
	b.press("/")
	b.do(typed("name:service-00"))
	b.until("of few there is a drawing again: ten applications, each with a service", "document.querySelectorAll('#network [data-node]').length === 20 && document.querySelectorAll('#network .edge').length === 10 && !document.querySelector('#network .cell')")
}
