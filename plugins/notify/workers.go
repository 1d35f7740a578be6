package notify

import (
	"context"
	"slices"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// stopWorker stops the worker of an entry in the background, and then unlocks the
// subscription if it was deleted; d.mu is held.
func (d *dispatcher) stopWorker(id string, en *entry) {
	w := en.worker
	if w == nil {
		return
	}
	en.worker = nil
	d.stopping[id] = w
	w.halt() // at once: as soon as there is a new lease it would trust a lock that is lost
	go func() {
		w.stop()
		d.mu.Lock()
		deleted := d.entries[id] != en
		d.mu.Unlock()
		if deleted { // else the lock is gone, or was taken anew for the next worker
			d.unlock(id)
		}
		d.mu.Lock()
		if d.stopping[id] == w {
			delete(d.stopping, id)
		}
		d.mu.Unlock()
		d.lease.wakeUp()
	}()
}

// startWorker starts the worker of an entry from its cursor. It returns false if the entry
// is gone meanwhile, or the lock that was taken on a lease at a revision.
func (d *dispatcher) startWorker(id string, en *entry, c plugins.Cursor, on heartbeat.LeaseID, at heartbeat.Revision) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.entries[id] != en || en.worker != nil || d.closed || !d.stillLocked(en, on, at) {
		return false
	}
	s := en.sub
	var w *worker
	q := newQueue(c, d.giveUp, d.retention, d.random, func(why stage, lost []*message) {
		d.observer.lost(s, why, int64(len(lost)))
		if w != nil { // its queue is called with w.mu held
			w.noteLost(why, lost)
		}
	})
	now, _ := d.now()
	for _, m := range d.events.behind(c.After, &s.Asked) {
		if m.until == 0 && slices.Contains(c.PutOff, m.at) { // else this replica judged it itself
			d.flaps.Resume(heartbeat.ID(m.instance()), m.change == mp1.AttributesChanged, now)
		}
		q.add(m)
	}
	q.seenUpTo(d.seen)
	switch {
	case d.alone:
		q.others = d.seen
	case !s.Asked.ByWebSocket(): // whose lock is taken while another replica may still send
		q.others = at
	}
	w = newWorker(s, q, d)
	en.worker = w
	w.test(&en.testsLeft)
	if en.stream != nil {
		w.connect(en.stream)
	}
	if d.seen < c.Needs() {
		d.lagging[w] = c.Needs()
	}
	go func() {
		w.run()
		d.workerEnded(id, w)
	}()
	return true
}

// workerEnded has the subscription locked anew if its worker ended by itself, because
// somebody else wrote its cursor. Where the consumer is connected the lock is kept: either that
// was a sender from before, or the watch shows presently that the lock is gone.
func (d *dispatcher) workerEnded(id string, w *worker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if en := d.entries[id]; en != nil && en.worker == w {
		en.worker = nil
		if en.stream != nil {
			now, _ := d.now()
			en.tryAt = now + contestedPause
			d.lease.wakeUp()
			return
		}
		en.tryAt = d.jittered(newJitter)
		if !d.alone {
			go d.unlock(id)
		}
	}
}

// workers are those of all subscriptions that this replica sends to.
func (d *dispatcher) workers() (out []*worker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, en := range d.entries {
		if en.worker != nil {
			out = append(out, en.worker)
		}
	}
	return out
}

// The rest implements workerDeps.

func (d *dispatcher) clock() (plugins.Instant, int64) { return d.now() }

func (d *dispatcher) acquirePermit(ctx context.Context, halted <-chan struct{}, class consumerClass, host, app string) (*permit, context.Context) {
	return d.permits.acquire(ctx, halted, class, host, app)
}

func (d *dispatcher) post(ctx context.Context, p delivery, wall int64) result {
	return d.poster.post(ctx, p, wall)
}

func (d *dispatcher) moveCursor(ctx context.Context, id string, c plugins.Cursor) (heartbeat.Revision, error) {
	return d.store.MoveCursor(ctx, id, c)
}

func (d *dispatcher) readCursor(ctx context.Context, id string) (plugins.Cursor, error) {
	return d.store.Cursor(ctx, id)
}

func (d *dispatcher) tested(s *plugins.Subscription, r result) { d.observer.tested(s, r) }

func (d *dispatcher) attempted(s *plugins.Subscription, r result, failures int, retry bool) {
	d.observer.attempt(s, r, failures, retry)
}
