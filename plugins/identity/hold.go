package identity

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// heldBurst is for how many seconds a caller that paused may be answered without delay.
	heldBurst = 2
	// longestHold bounds how late an answer becomes.
	longestHold = time.Second
	// refusalShare is the part of a second's requests that a refused one counts as: whoever is
	// refused and asks again at once would otherwise get the processors that heartbeats need.
	refusalShare = 1. / 50
	// mostHeld bounds the goroutines that hold an answer up.
	mostHeld = 8192
)

// holder answers callers that ask for very much later, so that the processors are free for the
// heartbeats of others: a client that waits for its answer before it asks again asks less.
// Nothing is refused, and no heartbeat is held up unless it is itself refused.
type holder struct {
	limits *limits
	held   atomic.Int64
	counts [2]prometheus.Counter // requests, refusals
}

func newHolder(l *limits, m *plugins.Collectors) *holder {
	h := &holder{limits: l}
	counts := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mep_requests_held_total",
		Help: "Requests answered later because their caller asks for more than limits.requestsPerSecond, by whether they were refused."}, []string{"refused"})
	h.counts = [...]prometheus.Counter{counts.WithLabelValues("false"), counts.WithLabelValues("true")}
	m.Add(counts)
	m.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_requests_held", Help: "Requests whose answers are being held up."},
		func() float64 { return float64(h.held.Load()) }))
	return h
}

// Handler is next, later for callers that ask for too much. It stands behind whoever finds out
// who calls, and in front of everything that is held in common.
func (h *holder) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !plugins.Beats(r) {
			h.wait(r.Context(), h.limits.hold(plugins.CallerOf(r.Context()), r.RemoteAddr, 1, false), false)
		}
		next.ServeHTTP(w, r)
	})
}

// refused holds the refusal of a request up.
func (h *holder) refused(r *http.Request, c *plugins.Caller) {
	n := max(1, float64(h.limits.callers.rates[requests].perSecond*refusalShare))
	h.wait(r.Context(), h.limits.hold(c, r.RemoteAddr, n, true), true)
}

func (h *holder) wait(ctx context.Context, d time.Duration, refused bool) {
	if d <= 0 {
		return
	}
	if h.held.Add(1); h.held.Load() <= mostHeld {
		if refused {
			h.counts[1].Inc()
		} else {
			h.counts[0].Inc()
		}
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	h.held.Add(-1)
}

// hold counts n requests of a caller and says how late the answer is to be.
func (l *limits) hold(c *plugins.Caller, peer string, n float64, refused bool) time.Duration {
	if l.callers.rates[requests].off() {
		return 0
	}
	name, _ := names(c, "", peer)
	if c == nil && refused { // others of that address, who will prove who they are, must not wait for it
		name = "refused " + name
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock()
	b, r := l.callers.of(name, now), l.callers.rates[requests]
	b.of[requests].fill(r, now)
	wait := b.of[requests].wait(r, n)
	if wait <= longestHold { // beyond it nothing more is owed, or a pause would not be enough
		b.of[requests].take(r, n)
	}
	return min(wait, longestHold)
}
