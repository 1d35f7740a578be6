package agent

import (
	"context"
	"sync"
)

// Change is a change of what Status says of one service: of its State, of its ID, or of
// whether it is Ready.
type Change struct {
	// Before is what Status said before. Of the first Change of a service it is zero but for
	// the name.
	Before Status
	// After is what Status says since. Of the last Change of a service that was removed its
	// State is StateDeregistered.
	After Status
}

// maxWaitingChanges is how many changes wait before those of one service are joined.
const maxWaitingChanges = 1024

// changeQueue holds the changes that Options.OnChange has not been called for yet. Its owner
// never waits for the callback, which may call the agent.
type changeQueue struct {
	mu      sync.Mutex
	waiting []Change
	last    map[string]int // index of the last one that waits of a service
	closed  bool           // no more will come
	added   chan struct{}  // has room for one
}

func newChangeQueue() *changeQueue {
	return &changeQueue{last: map[string]int{}, added: make(chan struct{}, 1)}
}

// add queues a change. If many wait already, for the callback is slow, it is joined with the
// one of the same service that waits: the queue cannot grow longer than the services are
// many then, and the last state is told all the same.
func (q *changeQueue) add(c Change) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if at, ok := q.last[c.After.Service]; ok && len(q.waiting) >= maxWaitingChanges {
		q.waiting[at].After = c.After
		return
	}
	q.last[c.After.Service] = len(q.waiting)
	q.waiting = append(q.waiting, c)
	q.signal()
}

// close has tell return when it has told all that wait.
func (q *changeQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

func (q *changeQueue) signal() {
	select {
	case q.added <- struct{}{}:
	default:
	}
}

// tell calls f for each change, one at a time, until the queue is closed and empty or ctx
// ends.
func (q *changeQueue) tell(ctx context.Context, f func(Change)) {
	for {
		q.mu.Lock()
		changes, closed := q.waiting, q.closed
		q.waiting = nil
		clear(q.last)
		q.mu.Unlock()
		for _, c := range changes {
			if ctx.Err() != nil {
				return
			}
			f(c)
		}
		if len(changes) > 0 {
			continue
		}
		if closed {
			return
		}
		select {
		case <-q.added:
		case <-ctx.Done():
			return
		}
	}
}

// report queues the change of a service since it was reported last, if there is one.
func (a *Agent) report(r *registration) {
	if a.changes == nil || !a.started {
		return
	}
	before, after := r.reported, a.status(r)
	if before.State == after.State && before.ID == after.ID && before.Ready == after.Ready {
		return
	}
	before.Service = after.Service
	r.reported = after
	a.changes.add(Change{before, after})
}

// reportAll reports every service.
func (a *Agent) reportAll() {
	if a.changes != nil {
		for _, r := range a.registrations {
			a.report(r)
		}
	}
}

// tellChanges calls Options.OnChange until the function that it returns is called, which
// waits until all is told or ctx ends. A callback that does not return cannot hold up the
// end of Run.
func (a *Agent) tellChanges() (end func(ctx context.Context)) {
	if a.changes == nil {
		return func(context.Context) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	told := make(chan struct{})
	go func() {
		defer close(told)
		a.changes.tell(ctx, a.options.OnChange)
	}()
	return func(last context.Context) {
		defer cancel()
		a.changes.close()
		select {
		case <-told:
		case <-last.Done():
		}
	}
}
