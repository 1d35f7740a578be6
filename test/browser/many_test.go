package browser

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

// many is how many services there are; MEP_ROWS changes it.
func many() int {
	if n, err := strconv.Atoi(os.Getenv("MEP_ROWS")); err == nil && n > 0 {
		return n
	}
	return 10000
}

// TestTenThousandServicesAreShownByFewElements, and none of them is out of reach.
func TestTenThousandServicesAreShownByFewElements(t *testing.T) {
	chromium(t)
	n := many()
	s := mep.Start(t, "MEP_APPLICATIONS_MAX_SERVICES=1000000")
	var at sync.Mutex
	next, failed := 0, error(nil)
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for {
				at.Lock()
				i := next
				next++
				stop := i >= n || failed != nil
				at.Unlock()
				if stop {
					return
				}
				if _, err := s.TryRegister(fmt.Sprintf("app-%d", i/20), fmt.Sprintf("service-%05d", i), 3600); err != nil {
					at.Lock()
					failed = err
					at.Unlock()
				}
			}
		})
	}
	workers.Wait()
	require.NoError(t, failed)
	b := open(t, s.URL+"/board?order=service")
	b.until("all are there", fmt.Sprintf("document.querySelector('#table').getAttribute('aria-rowcount') === '%d'", n+1))
	bounded := func(where string) {
		t.Helper()
		rows := b.count("#rows tr")
		require.Greater(t, rows, 5, where)
		require.Less(t, rows, 100, "%s: only what is seen is made", where)
	}
	bounded("top")
	b.shot("many")
	for share := 1; share <= 4; share++ {
		get[int](b, fmt.Sprintf("(() => { const e = document.querySelector('#scroll'); e.scrollTop = e.scrollHeight * %d / 4; return 0 })()", share))
		b.until("rows follow", fmt.Sprintf(`(() => { const i = [...document.querySelectorAll('#rows tr')].map(e => Number(e.getAttribute('aria-rowindex')));
			const e = document.querySelector('#scroll'), top = Math.floor(e.scrollTop / 38) + 2;
			return i.length > 0 && i[0] <= top && i.at(-1) >= Math.min(top + 3, %d) })()`, n+1))
		bounded(fmt.Sprint(share, "/4"))
	}
	b.until("the last is reached", fmt.Sprintf("document.querySelector('#rows tr:last-child .name').innerText === 'service-%05d'", n-1))
	frames := get[float64](b, `new Promise((done) => { // the longest time between two frames while somebody scrolls
		const e = document.querySelector('#scroll'); let last = performance.now(), longest = 0, n = 0;
		const step = (now) => { longest = Math.max(longest, now - last); last = now; e.scrollTop = (e.scrollHeight / 120) * n; if (n++ < 120) requestAnimationFrame(step); else done(longest); };
		requestAnimationFrame(step);
	})`)
	tasks := get[[]float64](b, `new Promise((done) => { // how long the page did not answer, from its beginning to now
		const all = [];
		new PerformanceObserver((list) => all.push(...list.getEntries().map((e) => e.duration))).observe({ type: "longtask", buffered: true });
		setTimeout(() => done(all), 100);
	})`)
	sum := 0.0
	for _, ms := range tasks {
		sum += ms
	}
	t.Logf("%d services, at most %.0f ms between two frames; %d tasks above 50 ms, the longest of %.0f ms, %.0f ms together", n, frames, len(tasks), slices.Max(append(tasks, 0)), sum)
	bounded("after scrolling")
	b.press("/")
	b.do(typed(fmt.Sprintf("service-%05d", n/2)))
	b.until("one is found among all", "document.querySelectorAll('#rows tr').length === 1")
	require.Equal(t, fmt.Sprintf("service-%05d", n/2), b.text("#rows .name"))
	b.shot("many-found")
}
