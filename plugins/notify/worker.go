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

// linger is how long a POST that is under way may go on after its worker was told to
// stop.
const stopGrace = time.Second

// surroundings are what a worker needs of its dispatcher.
type workerDeps interface {
	clock() (plugins.Instant, int64)
	// holds says whether this replica is surely the only one that sends.
	trustsLease(now plugins.Instant) bool
	// slot waits for a permit for a POST until ctx or halted ends; nil: one of them did.
	acquirePermit(ctx context.Context, halted <-chan struct{}, in consumerClass, host, app string) (*permit, context.Context)
	post(ctx context.Context, d delivery, wall int64) result
	moveCursor(ctx context.Context, id string, c plugins.Cursor) (heartbeat.Revision, error)
	readCursor(ctx context.Context, id string) (plugins.Cursor, error)
	// attempted is told of each attempt, and how many failed in a row up to it.
	attempted(s *plugins.Subscription, r result, failures int, again bool)
}

// worker sends to one subscription, one POST at a time.
type worker struct {
	sub  *plugins.Subscription
	host string // of its consumer
	deps workerDeps

	mu     sync.Mutex
	q      *queue
	halted bool

	wake      chan struct{}
	interrupt chan struct{}   // closed when it is to wait for a permit no longer
	ctx       context.Context // of all that it does
	cancel    context.CancelFunc
	done      chan struct{}
}

func newWorker(s *plugins.Subscription, q *queue, deps workerDeps) *worker {
	ctx, cancel := context.WithCancel(context.Background())
	return &worker{sub: s, host: hostOf(s), deps: deps, q: q, wake: make(chan struct{}, 1), interrupt: make(chan struct{}), ctx: ctx, cancel: cancel, done: make(chan struct{})}
}

// add shows the worker events; it does not block.
func (w *worker) add(ms []*message) {
	w.mu.Lock()
	for _, m := range ms {
		w.q.add(m)
	}
	w.interruptWait()
	w.mu.Unlock()
	w.wakeUp()
}

// interruptWait has the worker wait for a permit no longer if more is kept than may be: that is to
// be said in the store first, however long the wait is. w.mu is held.
func (w *worker) interruptWait() {
	if !w.halted && w.q.bytes > w.q.limit() {
		close(w.interrupt)
		w.interrupt = make(chan struct{})
	}
}

// look has the worker look again what there is to do.
func (w *worker) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// oldest is the age of the oldest event that is not delivered; 0: there is none.
func (w *worker) oldestAge(now plugins.Instant) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.q.oldestAge(now)
}

// shown tells the worker that it was shown everything up to a revision.
func (w *worker) seenUpTo(upTo heartbeat.Revision) {
	w.mu.Lock()
	w.q.seenUpTo(upTo)
	w.mu.Unlock()
	w.wakeUp()
}

// load is what the store keeps for the subscription of a worker.
type usage struct {
	w        *worker
	bytes    int64
	last     heartbeat.Revision // the newest of it
	shedding bool               // to keep less, and has not got round to it
}

func (w *worker) usage() usage {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := usage{w: w, bytes: w.q.bytes, shedding: w.q.shedTo != 0}
	if n := len(w.q.pending); n > 0 {
		l.last = w.q.pending[n-1].at
	} else if n := len(w.q.head); n > 0 {
		l.last = w.q.head[n-1].at
	}
	return l
}

// keep asks the worker to keep no more than so many bytes.
func (w *worker) shedTo(most int64) {
	w.mu.Lock()
	w.q.shedTo = max(most, 1)
	w.interruptWait()
	w.mu.Unlock()
	w.wakeUp()
}

// forget ends what is held for the subscription: whoever sends to it next holds it.
func (w *worker) releaseEvents() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.q.close()
}

// halt lets no POST start any more.
func (w *worker) halt() {
	w.mu.Lock()
	if !w.halted {
		w.halted = true
		close(w.interrupt)
	}
	w.mu.Unlock()
	w.wakeUp()
}

// stop halts the worker. When it returns, no POST is under way either: a subscriber
// that answers is waited for, one that does not is left.
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

// run works until it is halted or the cursor turns out to be somebody else's.
func (w *worker) run() {
	defer close(w.done)
	defer w.cancel()
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
		a := action{until: never} // until the dispatcher knows again that its locks are sure
		if w.deps.trustsLease(now) {
			a = w.q.next(now)
		}
		class, interrupt := w.q.class(), w.interrupt
		w.mu.Unlock()
		if a.kind == sendPost && granted == nil { // it may take long: then all is looked at again
			granted, ctx = w.deps.acquirePermit(w.ctx, interrupt, class, w.host, w.sub.Owner)
			continue
		}
		switch a.kind {
		case sendPost:
			w.attempt(ctx, a.events, wall)
		case writeCursor:
			if !w.writeCursor(a.cursor) {
				return
			}
		}
		granted.release() // also if there was nothing to send any more
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

// attempt makes a POST under ctx, which ends with the worker's, or when others need its permit.
func (w *worker) attempt(ctx context.Context, events []*message, wall int64) {
	if failpoint.On {
		_ = failpoint.Hit("post.before")
	}
	r := w.deps.post(ctx, compose(w.sub, events), wall)
	if w.ctx.Err() != nil {
		return // it was cut off, which says nothing about the subscriber
	}
	now, _ := w.deps.clock()
	w.mu.Lock()
	again := w.q.failures > 0
	w.q.posted(r, now)
	failures := w.q.failures
	w.mu.Unlock()
	w.deps.attempted(w.sub, r, failures, again)
}

// move writes the cursor. false: it is not where this worker left it: another one works
// for the subscription, it is deleted, or a write without an answer was done after all.
// Whoever comes next begins at what the store has.
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
