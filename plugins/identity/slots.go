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
	// slotTime is how long a request has its slot at most. One that takes longer waits, for a
	// store or for a body, and needs no processor meanwhile.
	slotTime = 250 * time.Millisecond
	// writeTime is how long a list keeps its slot while it is written. One that takes longer
	// waits for its reader.
	writeTime = 50 * time.Millisecond
	// rests is for how many times what a list took its slot rests before it is given on.
	rests = 3
	// longestWait is how long a request waits for a slot. It must be less than the server
	// gives a client to send a body, which is not read meanwhile.
	longestWait = 5 * time.Second
	// mostWaiting is how many requests of one identity wait for a slot.
	mostWaiting = 512
)

// slots bounds how many requests of one identity are worked on at a time: each takes a slot, and
// those that find none wait in the order in which they came. Those that come at once would
// otherwise be worked on at once, and a heartbeat would wait behind all of them: Go looks for what
// has arrived only when nothing else is ready to run. Lists cost most, so one after the other would
// leave an identity a processor of its own: after one its slot rests. Heartbeats need no slot. It
// is safe for concurrent use, and remembers only who has requests under way.
type slots struct {
	most   int // of one identity; 0: any number
	missed prometheus.Counter

	mu      sync.Mutex
	callers map[string]*queue
	waiting int
}

// queue is what one identity has under way.
type queue struct {
	taken   int             // slots
	waiting []chan struct{} // those that wait for a slot, the longest first
}

// newSlots leaves half of the processors to others.
func newSlots(on bool, m *plugins.Collectors) *slots {
	s := &slots{callers: map[string]*queue{}, missed: prometheus.NewCounter(prometheus.CounterOpts{Name: "mep_request_slots_missed_total",
		Help: "Requests answered 503 because others of their identity were under way for too long, or too many waited."})}
	if on {
		s.most = max(1, runtime.GOMAXPROCS(0)/2)
	}
	m.Add(s.missed)
	m.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_request_slots_waiting", Help: "Requests that wait for others of their identity."}, func() float64 {
		_, waiting := s.count()
		return float64(waiting)
	}))
	return s
}

// Handler is next, for requests that have a slot. Whoever proves nothing waits for nobody: his
// address may be that of many, and what he may ask for has limits of its own.
func (s *slots) Handler(next http.Handler) http.Handler {
	if s.most == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller := plugins.CallerOf(r.Context())
		if caller == nil || plugins.Beats(r) || plugins.BeatsMany(r) || plugins.RegistryBeats(r) {
			next.ServeHTTP(w, r)
			return
		}
		if !s.acquire(r.Context(), caller.Name) {
			s.missed.Inc()
			server.Refuse(w, http.StatusServiceUnavailable, "Too many other requests of this identity are under way; try again in a second. Heartbeats go on.", 1)
			return
		}
		held := &slotWriter{ResponseWriter: w, list: plugins.Lists(r), taken: time.Now(), release: sync.OnceFunc(func() { s.release(caller.Name) })}
		held.late = time.AfterFunc(slotTime, held.release)
		defer held.end()
		next.ServeHTTP(held, r)
	})
}

// acquire waits for a slot; false: there was none in time.
func (s *slots) acquire(ctx context.Context, name string) bool {
	granted, ok := s.enter(name)
	if granted == nil {
		return ok
	}
	late := time.NewTimer(longestWait)
	defer late.Stop()
	select {
	case <-granted:
		return true
	case <-late.C:
	case <-ctx.Done():
	}
	if !s.withdraw(name, granted) { // the slot came at the same moment
		s.release(name)
	}
	return false
}

// enter takes a slot, or a place in the queue; granted is closed when that has become a slot. If
// granted is nil, ok says whether there was a slot; otherwise there was no place either.
func (s *slots) enter(name string) (granted chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.callers[name]
	if q == nil {
		q = &queue{}
		s.callers[name] = q
	}
	switch {
	case q.taken < s.most:
		q.taken++
		return nil, true
	case len(q.waiting) >= mostWaiting:
		return nil, false
	}
	granted = make(chan struct{})
	q.waiting = append(q.waiting, granted)
	s.waiting++
	return granted, false
}

// withdraw gives a place in the queue up; false: it has become a slot.
func (s *slots) withdraw(name string, granted chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.callers[name] // it is there: granted is in it, or has a slot of it
	at := slices.Index(q.waiting, granted)
	if at < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, at, at+1)
	s.waiting--
	return true
}

// release gives a slot to whoever of the same identity waits longest.
func (s *slots) release(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.callers[name]
	if len(q.waiting) > 0 {
		close(q.waiting[0])
		q.waiting = slices.Delete(q.waiting, 0, 1)
		s.waiting--
		return
	}
	if q.taken--; q.taken == 0 {
		delete(s.callers, name)
	}
}

// count is how many identities have requests under way, and how many requests wait.
func (s *slots) count() (callers, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.callers), s.waiting
}

// slotWriter is the response to a request that has a slot, which it gives back when the response
// begins: one that is read slowly, a stream, or a refusal that is held up must not keep others
// waiting. A list is made while it is written: it keeps its slot until then, but not for a slow
// reader.
type slotWriter struct {
	http.ResponseWriter
	list    bool
	begun   bool // a list is being written
	taken   time.Time
	release func()      // may be called more than once
	late    *time.Timer // calls release
}

// begin is called when there is something to write.
func (w *slotWriter) begin(status int) {
	switch {
	case !w.list || status != http.StatusOK:
		w.release()
	case !w.begun:
		w.begun = true
		w.late.Reset(writeTime)
	}
}

// end is called when the request is done.
func (w *slotWriter) end() {
	if w.list {
		w.late.Reset(rests * time.Since(w.taken))
		return
	}
	w.late.Stop()
	w.release()
}

// Unwrap lets http.ResponseController through.
func (w *slotWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *slotWriter) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		w.begin(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *slotWriter) Write(p []byte) (int, error) {
	w.begin(http.StatusOK)
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (w *slotWriter) Flush() {
	w.release()
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (w *slotWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.release()
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
