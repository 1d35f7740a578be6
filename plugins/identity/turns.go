package identity

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// turnTime is how long a request has its turn at most. One that takes longer waits, for a
	// store or for a body, and needs no processor meanwhile.
	turnTime = 250 * time.Millisecond
	// longestWait is how long a request waits for its turn. It must be less than the server
	// gives a client to send a body, which is not read meanwhile.
	longestWait = 5 * time.Second
	// mostWaiting is how many requests of one identity wait for their turns.
	mostWaiting = 512
)

// turns bounds how many requests of one identity are worked on at a time. Those that come at
// once would otherwise be worked on at once, and a heartbeat would wait behind all of them: Go
// looks for what has arrived only when nothing else is ready to run. Heartbeats need no turn.
// It is safe for concurrent use, and remembers only who has requests under way.
type turns struct {
	most   int // of one identity; 0: any number
	missed prometheus.Counter

	mu      sync.Mutex
	callers map[string]*queue
	waiting int
}

// queue is what one identity has under way.
type queue struct {
	taken int
	next  []chan struct{} // those that wait, the longest first
}

// newTurns leaves half of the processors to others.
func newTurns(on bool, m *plugins.Collectors) *turns {
	t := &turns{callers: map[string]*queue{}, missed: prometheus.NewCounter(prometheus.CounterOpts{Name: "mep_turns_missed_total",
		Help: "Requests answered 503 because others of their identity were under way for too long, or too many waited."})}
	if on {
		t.most = max(1, runtime.GOMAXPROCS(0)/2)
	}
	m.Add(t.missed)
	m.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_turns_waiting", Help: "Requests that wait for others of their identity."}, func() float64 {
		_, waiting := t.count()
		return float64(waiting)
	}))
	return t
}

// Handler is next, in turns. Whoever proves nothing waits for nobody: his address may be that of
// many, and what he may ask for has limits of its own.
func (t *turns) Handler(next http.Handler) http.Handler {
	if t.most == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller := plugins.CallerOf(r.Context())
		if caller == nil || plugins.Beats(r) || plugins.RegistryBeats(r) {
			next.ServeHTTP(w, r)
			return
		}
		if !t.take(r.Context(), caller.Name) {
			t.missed.Inc()
			server.Refuse(w, http.StatusServiceUnavailable, "Too many other requests of this identity are under way; try again in a second. Heartbeats go on.", 1)
			return
		}
		mine := &turn{ResponseWriter: w, end: sync.OnceFunc(func() { t.end(caller.Name) })}
		defer mine.end()
		late := time.AfterFunc(turnTime, mine.end)
		defer late.Stop()
		next.ServeHTTP(mine, r)
	})
}

// take waits for a turn; false: there was none in time.
func (t *turns) take(ctx context.Context, name string) bool {
	mine, ok := t.enter(name)
	if mine == nil {
		return ok
	}
	late := time.NewTimer(longestWait)
	defer late.Stop()
	select {
	case <-mine:
		return true
	case <-late.C:
	case <-ctx.Done():
	}
	if !t.leave(name, mine) { // the turn came at the same moment
		t.end(name)
	}
	return false
}

// enter takes a turn, or a place in the queue; mine is closed when it is its turn. If mine is
// nil, ok says whether there was a turn; otherwise there was no place either.
func (t *turns) enter(name string) (mine chan struct{}, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.callers[name]
	if q == nil {
		q = &queue{}
		t.callers[name] = q
	}
	switch {
	case q.taken < t.most:
		q.taken++
		return nil, true
	case len(q.next) >= mostWaiting:
		return nil, false
	}
	mine = make(chan struct{})
	q.next = append(q.next, mine)
	t.waiting++
	return mine, false
}

// leave gives a place in the queue up; false: it has become a turn.
func (t *turns) leave(name string, mine chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.callers[name] // it is there: mine waits in it, or has a turn of it
	at := slices.Index(q.next, mine)
	if at < 0 {
		return false
	}
	q.next = slices.Delete(q.next, at, at+1)
	t.waiting--
	return true
}

// end gives a turn to whoever of the same identity waits longest.
func (t *turns) end(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.callers[name]
	if len(q.next) > 0 {
		close(q.next[0])
		q.next = slices.Delete(q.next, 0, 1)
		t.waiting--
		return
	}
	if q.taken--; q.taken == 0 {
		delete(t.callers, name)
	}
}

// count is how many identities have requests under way, and how many requests wait.
func (t *turns) count() (callers, waiting int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.callers), t.waiting
}

// turn is the response to a request that has its turn. It ends when the response begins: one
// that is read slowly, a stream, or a refusal that is held up must not keep others waiting.
type turn struct {
	http.ResponseWriter
	end func() // may be called more than once
}

// Unwrap lets http.ResponseController through.
func (t *turn) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (t *turn) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		t.end()
	}
	t.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (t *turn) Write(p []byte) (int, error) {
	t.end()
	return t.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (t *turn) Flush() {
	t.end()
	_ = http.NewResponseController(t.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (t *turn) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	t.end()
	return http.NewResponseController(t.ResponseWriter).Hijack()
}
