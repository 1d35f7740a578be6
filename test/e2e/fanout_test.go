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

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// hundred are subscribers behind one address, of which the first may hang.
type hundred struct {
	*httptest.Server
	mu    sync.Mutex
	got   map[string]time.Time // by path, of this round
	posts int
	hang  chan struct{} // while it is open, the first does not answer; nil: it answers
}

func newHundred(t *testing.T) *hundred {
	h := &hundred{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		h.mu.Lock()
		h.got[r.URL.Path] = time.Now()
		h.posts++
		hang := h.hang
		h.mu.Unlock()
		if hang != nil && r.URL.Path == "/0" {
			<-hang
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(h.Close)
	return h
}

// Of a hundred subscribers one hangs: all others are told meanwhile, each of everything
// and once. How long that takes is printed, beside rounds in which none hangs.
func TestOneHangingSubscriberAmongAHundred(t *testing.T) {
	tier.Long(t, "test/e2e", "tells a hundred subscribers of forty changes, one after the other")
	const subscribers, rounds = 100, 40
	h := newHundred(t)
	s := mep.Start(t, append(mep.Fast, "MEP_NOTIFY_TIMEOUT=10m")...)
	for i := range subscribers {
		s.Subscribe("watcher", fmt.Sprint(h.URL, "/", i), "")
	}
	took := map[bool][]time.Duration{}
	for round := range rounds {
		hangs := round%2 == 1
		h.mu.Lock()
		h.got, h.hang = map[string]time.Time{}, nil
		if hangs {
			h.hang = make(chan struct{})
		}
		h.mu.Unlock()
		at := time.Now()
		s.Register("p", fmt.Sprint("s", round), -1)
		wait.Until(t, "all told, also the one that hangs", func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			return len(h.got) == subscribers
		})
		h.mu.Lock()
		for path, when := range h.got {
			if path != "/0" {
				took[hangs] = append(took[hangs], when.Sub(at))
			}
		}
		if h.hang != nil {
			close(h.hang)
		}
		h.mu.Unlock()
		time.Sleep(250 * time.Millisecond) // longer than the time within which changes go together
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	require.Equal(t, rounds*subscribers, h.posts)
	p99 := func(d []time.Duration) time.Duration {
		slices.Sort(d)
		return d[len(d)*99/100].Round(100 * time.Microsecond)
	}
	t.Logf("a change told to 99 subscribers: p99 %v; while the hundredth hangs: p99 %v", p99(took[false]), p99(took[true]))
}
