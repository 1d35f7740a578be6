package notify

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/failpoint"
)

// stopGrace is how long a POST that is under way may go on after its worker was asked to
// stop.
const stopGrace = time.Second

// workerDeps is what a worker needs of its dispatcher.
type workerDeps interface {
	clock() (plugins.Instant, int64)
	// trustsLease says whether no other replica can send to the subscription at now.
	trustsLease(now plugins.Instant) bool
	// acquirePermit waits for a permit for a POST until ctx or halted ends; nil: one did.
	acquirePermit(ctx context.Context, halted <-chan struct{}, class consumerClass, host, app string) (*permit, context.Context)
	post(ctx context.Context, d delivery, wall int64) result
	moveCursor(ctx context.Context, id string, c plugins.Cursor) (heartbeat.Revision, error)
	readCursor(ctx context.Context, id string) (plugins.Cursor, error)
	// attempted is called after each attempt, with how many failed in a row up to it; retry
	// says whether the one before had failed.
	attempted(s *plugins.Subscription, r result, failures int, retry bool)
	// tested is called after each attempt to send a test notification.
	tested(s *plugins.Subscription, r result)
}

// worker sends to one subscription, one POST at a time.
type worker struct {
	sub  *plugins.Subscription
	host string // of its consumer
	deps workerDeps

	mu     sync.Mutex
	q      *queue
	halted bool
	to     stream // of a consumer that is told through one; nil: it has none open
	progress

	wake      chan struct{}
	interrupt chan struct{}   // closed to end the wait for a permit
	halting   chan struct{}   // closed by halt
	testing   sync.WaitGroup  // the test notification
	ctx       context.Context // of all POSTs and of all calls of the store
	cancel    context.CancelFunc
	done      chan struct{}
}

func newWorker(s *plugins.Subscription, q *queue, deps workerDeps) *worker {
	ctx, cancel := context.WithCancel(context.Background())
	q.absent = s.Asked.ByWebSocket()
	return &worker{sub: s, host: hostOf(s), deps: deps, q: q, wake: make(chan struct{}, 1), interrupt: make(chan struct{}), halting: make(chan struct{}), ctx: ctx, cancel: cancel, done: make(chan struct{})}
}

// add gives the worker events that match, in order; it does not block.
func (w *worker) add(ms []*message) {
	w.mu.Lock()
	for _, m := range ms {
		w.q.add(m)
	}
	w.interruptWait()
	w.mu.Unlock()
	w.wakeUp()
}

// interruptWait ends the wait for a permit if more is retained than the limit: the cursor that
// sheds events must be written however long the wait would be. w.mu is held.
func (w *worker) interruptWait() {
	if !w.halted && w.q.bytes > w.q.limit() {
		close(w.interrupt)
		w.interrupt = make(chan struct{})
	}
}

// connect gives the worker the stream to its consumer; nil: there is none.
func (w *worker) connect(to stream) {
	w.mu.Lock()
	w.to = to
	w.q.connected(to != nil)
	w.mu.Unlock()
	w.wakeUp()
}

// wakeUp has the worker ask its queue again what to do.
func (w *worker) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// oldestAge is the age of the oldest event that is still to be sent; 0: there is none.
func (w *worker) oldestAge(now plugins.Instant) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.q.oldestAge(now)
}

// seenUpTo says that every matching event up to a revision was added.
func (w *worker) seenUpTo(upTo heartbeat.Revision) {
	w.mu.Lock()
	w.q.seenUpTo(upTo)
	w.mu.Unlock()
	w.wakeUp()
}

// halt has no POST start any more.
func (w *worker) halt() {
	w.mu.Lock()
	if !w.halted {
		w.halted = true
		close(w.interrupt)
		close(w.halting)
	}
	w.mu.Unlock()
	w.wakeUp()
}

// stop halts the worker. When it returns, no POST is under way either: one is waited for
// until stopGrace is over, and then cut off.
func (w *worker) stop() {
	w.halt()
	t := time.NewTimer(stopGrace)
	defer t.Stop()
	select {
	case <-w.done:
	case <-t.C:
	}
	w.cancel()
	<-w.done
}

// run does what the queue says until the worker is halted, or the cursor was written by
// somebody else.
func (w *worker) run() {
	defer close(w.done)
	defer w.cancel()
	defer w.testing.Wait() // until stop cuts it off
	defer w.halt()
	defer w.releaseEvents()
	var granted *permit
	var ctx context.Context // of the POST in that permit
	defer func() { granted.release() }()
	for {
		w.mu.Lock()
		if w.halted {
			w.mu.Unlock()
			return
		}
		now, wall := w.deps.clock()
		a := action{until: never} // until a renewal of the lease wakes it
		if w.deps.trustsLease(now) {
			a = w.q.next(now)
		}
		class, interrupt, to := w.q.class(), w.interrupt, w.to
		w.mu.Unlock()
		if a.kind == sendPost && to != nil { // nothing is dialled, so that no permit is needed
			w.attemptThrough(to, a.events)
			continue
		}
		if a.kind == sendPost && granted == nil { // the wait may be long: the queue is asked again after it
			granted, ctx = w.deps.acquirePermit(w.ctx, interrupt, class, w.host, w.sub.Owner)
			continue
		}
		switch a.kind {
		case sendPost:
			w.attempt(ctx, a.events, wall)
		case writeCursor:
			if !w.writeCursor(a.cursor) {
				w.cancel() // its test notification too
				return
			}
		}
		granted.release() // also if there is nothing to send any more
		granted = nil
		if a.kind == waitUntil {
			w.sleep(a.until - now)
		}
	}
}

func (w *worker) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-w.ctx.Done():
	case <-w.wake:
	case <-t.C:
	}
}

// attempt makes a POST under ctx, which ends with the worker's own, or when others need the
// permit.
func (w *worker) attempt(ctx context.Context, events []*message, wall int64) {
	if failpoint.On {
		_ = failpoint.Hit("post.before")
	}
	w.attempted(w.deps.post(ctx, compose(w.sub, events), wall))
}

// attemptThrough sends through a stream. After a failure the consumer is absent until it
// connects again; that its connection ended says nothing about it.
func (w *worker) attemptThrough(to stream, events []*message) {
	if failpoint.On {
		_ = failpoint.Hit("post.before")
	}
	r := to.send(w.ctx, compose(w.sub, events))
	if !r.delivered() {
		w.mu.Lock()
		if w.to == to {
			w.to = nil
			w.q.connected(false)
		}
		w.mu.Unlock()
	}
	if r.outcome != disconnected {
		w.attempted(r)
	} else if w.ctx.Err() == nil {
		w.deps.attempted(w.sub, r, 0, false)
	}
}

// attempted takes in how an attempt ended.
func (w *worker) attempted(r result) {
	if w.ctx.Err() != nil {
		return // the worker was stopped, which says nothing about the consumer
	}
	now, wall := w.deps.clock()
	w.mu.Lock()
	retry := w.q.failures > 0
	w.noteAttempt(r, w.q.head, wall)
	w.q.posted(r, now)
	failures := w.q.failures
	w.mu.Unlock()
	w.deps.attempted(w.sub, r, failures, retry)
}

// writeCursor writes the cursor to the store. false: the stored cursor is not the one that
// this worker wrote last. Another replica sends to the subscription, it was deleted, or a
// write that seemed to fail was done after all; the next sender begins at what is stored.
func (w *worker) writeCursor(to plugins.Cursor) bool {
	at, err := w.deps.moveCursor(w.ctx, w.sub.ID, to)
	if err != nil {
		is, readErr := w.deps.readCursor(w.ctx, w.sub.ID)
		if errors.Is(readErr, heartbeat.ErrConflict) || errors.Is(readErr, heartbeat.ErrUnusable) || readErr == nil && is.At != to.At {
			return false
		}
	}
	now, _ := w.deps.clock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.q.cursorFailed(now)
	} else {
		w.q.cursorWritten(at)
	}
	return true
}
