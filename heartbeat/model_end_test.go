package heartbeat

import "time"

// What the model has of leases that a replica ends by itself. Where it does, the store ends what
// has run out a tick later, and renews it no more.

// handleEnd does what the tick owes an instance whose window is over; it says whether that did
// anything.
func (m *model) handleEnd(w *world, x int) bool {
	r := &w.rep[x]
	if r.slots[slotEnd].phase != slotIdle || r.slots[slotOwner].phase != slotIdle || !r.local.endDue(0, &r.health, &r.view.Snapshot) {
		return false
	}
	m.start(w, x, slotEnd, EndFlow{})
	return true
}

// asked does what a worker does when the flow has ended.
func (r *modelReplica) asked(ln *modelSlot, a *Response) {
	f, is := ln.flow.(EndFlow)
	if !is {
		return
	}
	after := max(f.left, Tick)
	if a.Err != nil {
		after = retryDelay
	}
	r.local.askEndAt = r.health.Credited.Add(after)
}

// endLease ends a lease if it has run out, in one step.
func (m *model) endLease(w *world, id LeaseID) Result {
	l := w.store.lease(id)
	switch {
	case l == nil:
		return Result{Outcome: LeaseGone}
	case l.left > 0:
		return Result{Left: time.Duration(l.left) * time.Second}
	}
	m.end(w, id)
	return Result{}
}

// checkEnd is I11: no replica ends what a lease still holds. EXPIRE is another thing: it ends what etcd
// extended without asking anybody, and what is heard while it is under way is refuted.
func (m *model) checkEnd(w *world, id LeaseID) {
	if l := w.store.lease(id); l != nil && l.left > 0 {
		m.breaks("I11 the lease that is ended would have held for %d s", l.left)
	}
}
