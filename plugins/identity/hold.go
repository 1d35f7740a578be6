package identity

import (
	"context"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// heldBurst is the part of a second's requests that a caller who paused is answered without
	// delay. More would fill the processors' queues before anything is held up.
	heldBurst = 1. / 5
	// longestHold bounds how late an answer becomes.
	longestHold = 3 * time.Second
	// What a request counts as, in requests: a list of up to listSize bytes and each further
	// listSize; and one that is refused, for whoever is refused and asks again at once would
	// otherwise get the processors that heartbeats need. A list must count so little that
	// limits.listsPerSecond is met before.
	listCost, refusalCost = 5, 20
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
	slots  *slots
}

func newHolder(l *limits, m *plugins.Collectors) *holder {
	h := &holder{limits: l, slots: newSlots(!l.callers.rates[requests].off(), m)}
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
	next = h.slots.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !plugins.Beats(r) && !plugins.BeatsMany(r) && !plugins.RegistryBeats(r) {
			h.wait(r.Context(), h.limits.hold(plugins.CallerOf(r.Context()), r.RemoteAddr, costOf(r), false), false)
			if err := r.Context().Err(); err != nil { // a stream that was reset must not be carried out without its wait
				server.RefuseError(w, err, 1)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// refused holds the refusal of a request up.
func (h *holder) refused(r *http.Request, c *plugins.Caller) {
	h.wait(r.Context(), h.limits.hold(c, r.RemoteAddr, refusalCost, true), true)
}

// costOf is what a request counts as before it is answered.
func costOf(r *http.Request) float64 {
	if plugins.Lists(r) {
		return listCost
	}
	return 1
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
	if wait <= longestHold {
		b.of[requests].take(r, n)
		return wait
	}
	// nothing more is owed, or a pause would not be enough; but those that wait must not all come
	// at the same moment, so the golden ratio spreads them over the second half
	_, l.spread = math.Modf(l.spread + math.Phi)
	return longestHold/2 + time.Duration(l.spread*float64(longestHold/2))
}
