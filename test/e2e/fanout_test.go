package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// subscribers are many behind one address, of which the first may hang.
type subscribers struct {
	mu    sync.Mutex
	got   map[string]time.Time // by path, of this round
	posts int
	hang  chan struct{} // while it is open, the first does not answer; nil: it answers
}

func (h *subscribers) receive(n consumer.Receipt) (status int) {
	h.mu.Lock()
	h.got[n.Path] = n.At
	h.posts++
	hang := h.hang
	h.mu.Unlock()
	if hang != nil && n.Path == "/0" {
		<-hang
	}
	return http.StatusNoContent
}

// Of a hundred subscribers one hangs: all others are told meanwhile, each of everything
// and once. How long that takes is printed, beside rounds in which none hangs.
func TestOneHangingSubscriberAmongAHundred(t *testing.T) {
	tier.Long(t, "test/e2e", "tells a hundred subscribers of forty changes, one after the other")
	const hundred, rounds = 100, 40
	h := &subscribers{}
	url := consumer.Listen(t, consumer.Handler(h.receive))
	s := mep.Start(t, append(mep.Fast, "MEP_NOTIFY_TIMEOUT=10m")...)
	for i := range hundred {
		s.Subscribe("watcher", fmt.Sprint(url, "/", i), "")
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
			return len(h.got) == hundred
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
	require.Equal(t, rounds*hundred, h.posts)
	p99 := func(d []time.Duration) time.Duration {
		slices.Sort(d)
		return d[len(d)*99/100].Round(100 * time.Microsecond)
	}
	t.Logf("a change told to 99 subscribers: p99 %v; while the hundredth hangs: p99 %v", p99(took[false]), p99(took[true]))
}
