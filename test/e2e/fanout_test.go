package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Of a hundred subscribers one hangs: all others are told meanwhile, of everything and
// once. How long it takes them is printed, for machines differ.
func TestOneHangingSubscriberAmongAHundred(t *testing.T) {
	const subscribers, rounds = 100, 20
	var mu sync.Mutex
	got := map[string]time.Time{} // by path and round
	round, hang := 0, false
	end := make(chan struct{})
	var hung sync.WaitGroup
	c := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		got[fmt.Sprint(r.URL.Path, " ", round)] = time.Now()
		stuck := hang && r.URL.Path == "/0"
		mu.Unlock()
		if stuck {
			hung.Go(func() { <-end })
			<-end
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer c.Close()
	defer close(end)
	s := start(t, append(fast, "MEP_NOTIFY_TIMEOUT=1m")...)
	for i := range subscribers {
		s.subscribe("watcher", fmt.Sprint(c.URL, "/", i), "")
	}
	measure := func(hangs bool) (took []time.Duration) {
		for range rounds {
			mu.Lock()
			round++
			n := round
			hang = hangs
			mu.Unlock()
			at := time.Now()
			s.register("p", fmt.Sprint("s", n), -1)
			eventually(t, "all others told", func() bool {
				mu.Lock()
				defer mu.Unlock()
				took = took[:len(took)-len(took)%(subscribers-1)]
				for i := 1; i < subscribers; i++ {
					when, ok := got[fmt.Sprint("/", i, " ", n)]
					if !ok {
						return false
					}
					took = append(took, when.Sub(at))
				}
				return true
			})
			time.Sleep(250 * time.Millisecond) // longer than the time within which changes go together
		}
		return took
	}
	p99 := func(d []time.Duration) time.Duration {
		slices.Sort(d)
		return d[len(d)*99/100].Round(100 * time.Microsecond)
	}
	before := measure(false)
	during := measure(true)
	require.Len(t, during, rounds*(subscribers-1))
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, got, rounds*subscribers+rounds*(subscribers-1)+1, "the one that hangs has one request in flight")
	t.Logf("a change told to 99 subscribers: p99 %v; while the hundredth hangs: p99 %v", p99(before), p99(during))
}
