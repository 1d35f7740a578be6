package heartbeat

import "time"

// What the model has of leases that a replica ends by itself. Where it does, the store ends what
// has run out a tick later, and renews it no more.

// endsAt is with how many seconds left the store ends a lease: a tick after it has run out where a replica
// ends leases by itself, and two ticks later what that has reserved.
func (m *model) endsAt(l *modelLease) int8 {
	switch {
	case !m.prompt:
		return 0
	case l.reserved:
		return -3
	}
	return -1
}

// reserve keeps a lease for longer; nobody sees more of that than that it ends late.
func (m *model) reserve(w *world, id LeaseID) {
	if l := w.store.lease(id); l != nil && l.left > 0 {
		l.reserved = true
	}
}

// handleEnd does what the tick owes an instance whose window is over; it says whether that did
// anything.
func (m *model) handleEnd(w *world, x int) bool {
	r := &w.rep[x]
	if r.slots[slotEnd].phase != slotIdle || r.slots[slotOwner].phase != slotIdle ||
		!r.local.endDue(0, &r.health, &r.view.Snapshot) && !r.local.reserveDue(0, &r.health, &r.view.Snapshot) {
		return false
	}
	m.start(w, x, slotEnd, EndFlow{})
	return true
}

// beginHold does what the engine does when it has ended a lease.
func (m *model) beginHold(r *modelReplica, t *Txn) {
	ln := &r.slots[slotClaim]
	if t.Kind != End || ln.phase != slotIdle {
		return
	}
	if f := claimAfterEnd(Input{Known: &r.view.Snapshot, Health: &r.health}, t); f != nil {
		*ln = modelSlot{phase: slotWaiting, flow: *f}
	}
}

// asked does what a worker does when the flow has ended.
func (r *modelReplica) asked(ln *modelSlot, a *Response) {
	f, is := ln.flow.(EndFlow)
	if !is {
		return
	}
	after := max(f.left, shortTick)
	if a.Err != nil {
		after = retryDelay
	}
	r.local.askEndAt = r.health.Credited.Add(after)
}

// endLease carries a transaction out if the lease has run out, in one step.
func (m *model) endLease(w *world, slot int, a *Action) Result {
	if l := w.store.lease(a.Lease); l != nil && l.left > 0 {
		return Result{Left: time.Duration(l.left) * time.Second}
	}
	return Result{Outcome: m.commit(w, slot, &a.Txn), Revision: w.store.rev}
}

// commits says whether an action that ended so has written.
func (a *Action) commits(res Result) bool {
	return res.Outcome == Done && (a.Do == DoCommit || a.Do == DoEnd && res.Left == 0)
}

// checkEnd is I11: no replica ends what a lease still holds. EXPIRE is another thing: it ends what etcd
// extended without asking anybody, and what is heard while it is under way is refuted.
func (m *model) checkEnd(w *world, id LeaseID) {
	if l := w.store.lease(id); l != nil && l.left > 0 {
		m.breaks("I11 the lease that is ended would have held for %d s", l.left)
	}
}
