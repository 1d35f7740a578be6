package heartbeat

import (
	"context"
	"sync"
	"time"
)

// Hooks are what the engine calls when something happened. They are called without any lock
// of the engine, by goroutines that do nothing else: one that blocks stops neither
// heartbeats nor claims, ticks or the end of Run. What it does stop is said below.
// Subscribers are told from the outbox only, which the transaction itself writes: a call of a
// hook may be dropped, or stand for several changes, and after a crash none is repeated.
type Hooks struct {
	// Changed: the record of id is now s (At 0: it is gone). Calls for one id are in
	// order; of several changes in a row only the last may be reported. What a replica
	// acknowledges was reported before, so that while Changed blocks, requests that change
	// something end with ErrUnavailable after two seconds (all the same, what they
	// asked for is written), and so does a list before it counts as loaded.
	Changed func(id ID, s *Snapshot)
	// Committed: this replica carried out a transaction. Committed, Disturbed and
	// Overruled are called one at a time and in order; while one blocks, the calls
	// wait, and those over some thousands are dropped and counted (Stats.HooksDropped).
	Committed func(t *Txn)
	// Disturbed: this replica does not trust its own observation for a while.
	Disturbed func(reason string)
	// Overruled: another replica suspended an instance that this one had heard within
	// its window, and could not refute in time: it was cut off from the store.
	Overruled func(id ID)
	// StoreRestored: a list shows that the store was restored; whoever follows the store must
	// call Restored and Load. It must return at once. nil: Restored is called and that list
	// is taken in, which is enough if no watch can still show the old history.
	StoreRestored func()
}

// fill replaces what is nil by a function that does nothing.
func (h *Hooks) fill() {
	if h.Changed == nil {
		h.Changed = func(ID, *Snapshot) {}
	}
	if h.Committed == nil {
		h.Committed = func(*Txn) {}
	}
	if h.Disturbed == nil {
		h.Disturbed = func(string) {}
	}
	if h.Overruled == nil {
		h.Overruled = func(ID) {}
	}
}

const (
	// changedWorkers is how many calls of Changed are made at once, each for another id.
	changedWorkers = 4
	maxNotices     = 8192
	// hookTimeout is how long a request waits for Changed, or the end of Run for any hook.
	hookTimeout = 2 * time.Second
)

// hookCalls carries the calls of the hooks out.
type hookCalls struct {
	changes workQueue[*entry]
	notices workQueue[func()]
	mu      sync.Mutex
	running int
	idle    chan struct{} // not nil: somebody waits until nothing runs
}

func (h *hookCalls) setUp(changed func(*entry)) {
	h.changes = workQueue[*entry]{spawn: h.spawn, workers: changedWorkers, do: changed}
	h.notices = workQueue[func()]{spawn: h.spawn, workers: 1, maxLen: maxNotices, do: func(call func()) { call() }}
}

func (h *hookCalls) spawn(work func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running++
	go func() {
		work()
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.running--; h.running == 0 && h.idle != nil {
			close(h.idle)
			h.idle = nil
		}
	}()
	return true
}

// drain waits until every call has been made. A hook may block for ever, so it gives up when
// none was made for hookTimeout.
func (h *hookCalls) drain(ctx context.Context) {
	for left := -1; ; {
		n := h.changes.length() + h.notices.length()
		if h.idleWithin(ctx, hookTimeout) || n == left {
			return
		}
		left = n
	}
}

func (h *hookCalls) idleWithin(ctx context.Context, d time.Duration) bool {
	h.mu.Lock()
	if h.running == 0 {
		h.mu.Unlock()
		return true
	}
	if h.idle == nil {
		h.idle = make(chan struct{})
	}
	idle := h.idle
	h.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-idle:
		return true
	case <-t.C:
		return false
	case <-ctx.Done():
		return true
	}
}

// hookProgress is how far the calls of Changed are behind what is known of an instance.
type hookProgress struct {
	changes, reported uint32
	queued            bool          // it is queued, or a worker calls Changed
	onReported        chan struct{} // not nil: closed when the next call has returned
}

// reportChange has Changed called soon; en.mu is held.
func (e *Engine) reportChange(en *entry) {
	en.changes++
	if !en.queued {
		en.queued = true
		e.unreported.Add(1)
		e.hooks.changes.put(en)
	}
}

// callChanged calls Changed until nothing is left to report.
func (e *Engine) callChanged(en *entry) {
	en.mu.Lock()
	defer en.mu.Unlock()
	for en.reported != en.changes {
		upTo, s := en.changes, en.view.Snapshot
		en.mu.Unlock()
		e.Hooks.Changed(en.id, &s)
		en.mu.Lock()
		en.reported = upTo
		if en.onReported != nil {
			close(en.onReported)
			en.onReported = nil
		}
	}
	en.queued = false
	e.unreported.Add(-1)
}

// awaitReported waits until what is known of the instance now was reported to Changed: what a
// replica acknowledged, its next response must show.
func (e *Engine) awaitReported(ctx context.Context, en *entry) error {
	en.mu.Lock()
	upTo := en.changes
	if en.reported == upTo {
		en.mu.Unlock()
		return nil
	}
	t := time.NewTimer(hookTimeout)
	defer t.Stop()
	for int32(upTo-en.reported) > 0 {
		if en.onReported == nil {
			en.onReported = make(chan struct{})
		}
		c := en.onReported
		en.mu.Unlock()
		select {
		case <-c:
		case <-t.C:
			return ErrUnavailable
		case <-ctx.Done():
			return ErrUnavailable
		}
		en.mu.Lock()
	}
	en.mu.Unlock()
	return nil
}

// queueNotice has a hook called soon, unless too many calls wait.
func (e *Engine) queueNotice(call func()) { e.hooks.notices.put(call) }
