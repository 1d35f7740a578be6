package heartbeat

import (
	"fmt"
	"time"
)

// The invariants, by the numbers of docs/protocol.md. Each is judged where it can
// break first: I3, I4, I5, I2 and the state table by the transaction that is about
// to happen; I7 when a lease is revoked; I6 in every world; coverage when a
// heartbeat is answered and before time passes; I1 by fair continuations.

// checkCommit looks at a transaction that is about to be carried out.
func (m *model) checkCommit(w *world, slot int, t *Txn) {
	old, now := w.store.Snapshot, w.store.Snapshot
	switch t.RecordOp {
	case Put:
		now.Record, now.At = t.Record, w.store.rev+1
	case Erase:
		now.Record, now.At = Record{}, 0
	}
	switch t.ProjectionOp {
	case Put:
		now.Projection = Projection{Revision: w.store.rev + 1, Lease: t.Record.Lease}
	case Erase:
		now.Projection = Projection{}
	}
	m.checkEvent(t, &old, &now)
	m.checkAgents(w, t)
	if slot == slotEnd {
		m.checkEnd(w, old.Projection.Lease)
	}
	switch p := now.Projection; {
	case w.store.removed && now.Exists():
		m.breaks("I4 %s brings a removed instance back", t.Kind)
	case p.Present() && !now.Exists():
		m.breaks("I4 %s leaves a projection without a record", t.Kind)
	case p.Present() && p.Lease != now.Record.Lease:
		m.breaks("I5 %s leaves the projection on lease %d and the record on %d", t.Kind, p.Lease, now.Record.Lease)
	case now.Exists() && !now.Record.Expires() && (!p.Present() || p.Lease != 0):
		m.breaks("I5 %s leaves a %s record without a lasting projection", t.Kind, now.Record.State)
	case now.Exists() && now.Record.Expires() && p.Present() && p.Lease == 0:
		m.breaks("I5 %s leaves a projection that never ends", t.Kind)
	}
	m.checkMove(w, slot, t, old.Record.State, now.Record.State)
	m.checkDrained(w, t, &now)
}

// checkEvent is I3: seq grows by one with exactly one event, and there is no event
// without its change.
func (m *model) checkEvent(t *Txn, old, now *Snapshot) {
	seq := old.Record.Seq
	if t.Change != NoChange {
		seq++
	}
	if t.RecordOp == Keep && t.Change != NoChange || t.RecordOp != Keep && t.Record.Seq != seq {
		m.breaks("I3 %s tells %q and leads from seq %d to %d", t.Kind, t.Change, old.Record.Seq, t.Record.Seq)
	}
	state, rest := old.Record.State.Shown() != now.Record.State.Shown(), old.Record.Attributes != now.Record.Attributes || old.Record.Proposed != now.Record.Proposed
	because := old.Exists() && now.Exists() && old.Record.Cause != now.Record.Cause
	right := map[Change]bool{
		NoChange:          !state && !rest && !because,
		CauseChanged:      !state && !rest && because,
		Added:             !old.Exists() && now.Exists(),
		StateChanged:      old.Exists() && now.Exists() && state && old.Record.Attributes == now.Record.Attributes,
		AttributesChanged: old.Exists() && now.Exists() && rest,
		Removed:           old.Exists() && !now.Exists(),
	}
	if !right[t.Change] {
		m.breaks("I3 %s tells %q of a change from %s to %s", t.Kind, t.Change, old.Record.State, now.Record.State)
	}
}

// checkMove is who may move an instance where, and I2.
func (m *model) checkMove(w *world, slot int, t *Txn, from, to State) {
	by := map[[2]State][]int{
		{None, Active}: {slotOwner}, {None, Inactive}: {slotOwner},
		{Active, Suspended}: {slotClaim}, {Active, Inactive}: {slotOwner},
		{Suspended, Active}: {slotBeat, slotOwner}, {Suspended, Inactive}: {slotOwner},
		{Inactive, Active}: {slotOwner},
		{Active, None}:     {slotOwner}, {Inactive, None}: {slotOwner}, {Suspended, None}: {slotOwner, slotRetain},
		{Drained, None}: {slotOwner}, {DrainedInactive, None}: {slotOwner}, {Drained, DrainedInactive}: {slotOwner},
		{Active, Drained}: {slotDrain}, {Suspended, Drained}: {slotDrain}, {Inactive, DrainedInactive}: {slotDrain},
		{Drained, Suspended}: {slotDrain}, {DrainedInactive, Inactive}: {slotDrain}, // all of the model must be heard
	}[[2]State{from, to}]
	allowed := from == to
	for _, l := range by {
		allowed = allowed || l == slot
	}
	if !allowed {
		m.breaks("STATE %s leads from %s to %s", t.Kind, from, to)
	}
	if to != Suspended || from == to || from.Drained() {
		return
	}
	window := w.store.Record.Window
	if m.paced {
		window = max(window, m.policy.Window(int(w.app.interval)))
	}
	for y := range w.rep {
		if r := &w.rep[y]; r.status == running && !r.unhealthy && int(r.answeredAge) < window {
			m.breaks("I2 SUSPENDED although %c is healthy and answered a heartbeat %d s ago; the window is %d s", 'A'+y, r.answeredAge, window)
		}
	}
}

// checkClaim looks at the decision to claim: whoever was away must have run for a
// window since, so that the living had the time to be heard.
func (m *model) checkClaim(w *world, x int) {
	if m.waited(w, x) {
		return
	}
	if r := &w.rep[x]; r.wasAway && int(r.ran) < w.store.Record.Window {
		m.breaks("I2 %c decides to claim, away for a while and running for only %d s since the last heartbeat; the window is %d s", 'A'+x, r.ran, w.store.Record.Window)
	}
}

// checkBeat looks at a heartbeat that is answered 2xx: the live lease, if there is
// one, was renewed for it.
func (m *model) checkBeat(w *world, ln *modelSlot) {
	s := &w.store
	if !s.Record.Expires() || !s.Projection.Present() || w.short || ln.delayed {
		return
	}
	if l := s.lease(s.Projection.Lease); int(l.left) < s.Record.Window-int(ln.age) {
		m.breaks("COV a heartbeat of %d s ago is answered 2xx while the live lease lasts %d s; the window is %d s", ln.age, l.left, s.Record.Window)
	}
}

// checkPut looks at an answer to a PUT that names an interval: it tells the window that
// counts from now on.
func (m *model) checkPut(ln *modelSlot, a *Response) {
	f, is := ln.flow.(UpdateFlow)
	if r := &a.Record; is && f.Update.Proposed >= 0 && r.Expires() && r.Window != m.policy.Window(r.Interval) {
		m.breaks("I6 a PUT is told %d s, and the window is %d s", r.Interval, r.Window)
	}
}

// checkCovered looks at a world in which time is about to pass: when nothing is under
// way and nobody was sick, the last heartbeat answered 2xx is covered.
func (m *model) checkCovered(w *world) {
	s := &w.store
	if !s.Record.Expires() || !s.Projection.Present() || w.short {
		return
	}
	for x := range w.rep {
		if r := &w.rep[x]; r.status != running && x < m.replicas || r.unhealthy || m.busy(r) || r.queue[0] != nil {
			return
		}
	}
	if l := s.lease(s.Projection.Lease); int(l.left) < s.Record.Window-int(w.covered) {
		m.breaks("COV the live lease lasts %d s, the last heartbeat was %d s ago; the window is %d s", l.left, w.covered, s.Record.Window)
	}
}

// checkLastBeat is I9: nobody tells a later time than that of the last heartbeat.
func (m *model) checkLastBeat(w *world) {
	if !m.stamps {
		return
	}
	last := 2 * int64(w.app.beatsReceived)
	for x := range w.rep {
		if r := &w.rep[x]; r.view.Exists() && r.lastBeat(m.replicas == 1) > last {
			m.breaks("I9 %c tells a time that is later than the last heartbeat", 'A'+x)
		}
	}
	if w.store.Record.LastBeat > last {
		m.breaks("I9 the record says a time that is later than the last heartbeat")
	}
}

// checkWorld is I6, and that the live lease does not outlast the window.
func (m *model) checkWorld(w *world) {
	m.checkLastBeat(w)
	s := &w.store
	if !s.Record.Expires() || !s.Projection.Present() {
		return
	}
	l := s.lease(s.Projection.Lease)
	if l == nil {
		m.breaks("MODEL the projection hangs on lease %d, which does not exist", s.Projection.Lease)
		return
	}
	if !w.short && int(l.ttl) < s.Record.Window {
		m.breaks("I6 the live lease is of %d s, the window of %d s", l.ttl, s.Record.Window)
	}
	if told := m.policy.Window(int(w.app.interval)); m.paced && s.Record.Window < told {
		m.breaks("I6 the window is %d s, but the application keeps the interval of %d s that it was told", s.Record.Window, w.app.interval)
	}
	if m.replicas == 1 && !m.silences && m.left.slow+m.left.pauses+m.left.lost == 0 && int(l.left) > max(s.Record.Window-int(w.app.since), 1) {
		m.breaks("I1 the live lease lasts %d s more, %d s after the last heartbeat; the window is %d s", l.left, w.app.since, s.Record.Window)
	}
}

// revoke revokes a lease for a flow that is done with it: I7.
func (m *model) revoke(w *world, x int, id LeaseID) {
	if w.store.Projection.Present() && w.store.Projection.Lease == id {
		m.breaks("I7 %c revokes lease %d, on which the projection hangs", 'A'+x, id)
	}
	if !m.litter {
		m.end(w, id)
	}
}

// quiesce lets everything that is under way end well.
func (m *model) quiesce(w *world) {
	for range 100 {
		quiet := true
		for x := range w.rep {
			r := &w.rep[x]
			if r.status != running {
				continue
			}
			for r.queue[0] != nil {
				m.deliver(w, x)
				quiet = false
			}
			for slot := range r.slots {
				switch ln := &r.slots[slot]; ln.phase {
				case slotAsking:
					m.execute(w, x, slot, answered)
				case slotReplying:
					m.reply(w, x, slot, ln.res.(Result))
				case slotResponding:
					w.app.interval = ln.tells
					*ln = modelSlot{}
				default:
					continue
				}
				quiet = false
			}
			if r.queue[0] == nil && m.handleDue(w, x) {
				quiet = false
			}
			if m.dueAt(w, x) && !w.store.full {
				m.start(w, x, slotRetain, RetentionFlow{})
				quiet = false
			}
		}
		if quiet {
			return
		}
	}
	m.breaks("I1 the platform never comes to rest")
}

// continued is a fair continuation of w without faults, in which the application
// is dead or keeps its interval; full leaves a full store full.
func (m *model) continued(w world, alive, full bool) world {
	w.left, w.float, w.app.streak = budget{}, nil, 0
	up := false
	for x := range w.rep {
		if w.rep[x].status == paused {
			m.wake(&w, x)
		}
		up = up || w.rep[x].status == running
	}
	if !up {
		m.restart(&w, 0)
	}
	w.rep[1].heavy = w.rep[0].heavy // at last they know the same
	if w.store.full && !full {
		m.setFull(&w, false)
	}
	ticks := -int(m.floorNow/Mono(time.Second)) + 6 + int(m.policy.DeregisterAfter/time.Second)
	if alive {
		ticks += 6
	}
	for n := range ticks {
		m.quiesce(&w)
		if alive && w.app.since >= max(w.app.interval, 1) {
			x := n % 2
			if m.paced {
				x = 0 // a pace shows only to the replica that hears all of it
			}
			if w.rep[x].status != running {
				x = 1 - x
			}
			m.beat(&w, x)
			m.quiesce(&w)
		}
		if m.bad != "" {
			return w
		}
		m.checkCovered(&w)
		m.tick(&w)
		m.checkWorld(&w)
	}
	m.quiesce(&w)
	return w
}

// checkFair is I1, and the end of I5.
func (m *model) checkFair(w *world) {
	if w.store.rev == 0 {
		return // not registered yet
	}
	dead := m.continued(*w, false, false)
	s := &dead.store
	switch st := s.Record.State; {
	case m.bad != "":
	case st == Active:
		m.breaks("I1 a dead application stays ACTIVE, its projection present: %t", s.Projection.Present())
	case st == Suspended && s.Record.Left:
		m.breaks("I1 what its agents have left stays SUSPENDED")
	case st == Suspended && m.policy.DeregisterAfter > 0:
		m.breaks("I1 what was SUSPENDED for too long is not removed")
	case (st != None) != s.Projection.Present() || s.Projection.Lease != 0:
		m.breaks("I5 at last %s, projection present: %t on lease %d", st, s.Projection.Present(), s.Projection.Lease)
	}
	m.checkViews(&dead)
	if w.store.full && m.bad == "" {
		hidden := m.continued(*w, false, true)
		for x := range hidden.rep {
			r := &hidden.rep[x]
			if r.status == running && r.view.Record.Expires() && !r.local.hidden(m.input(&hidden, x, slotClaim), &r.view.Record) {
				m.breaks("I1 %c still shows a dead application, because the store is full", 'A'+x)
			}
		}
	}
	if m.bad == "" {
		m.checkRestarts(w)
		alive := m.continued(*w, true, false)
		m.checkAlive(&alive)
		m.checkViews(&alive)
	}
	if m.bad != "" {
		m.bad += " (in a fair continuation)"
	}
}

func (m *model) checkAlive(w *world) {
	s := &w.store
	r := &s.Record
	l := s.lease(s.Projection.Lease)
	switch {
	case m.bad != "" || !s.Exists() || r.State.Shown() == Inactive:
	case r.State != Active || l == nil || !s.on(l.id):
		m.breaks("I1 a living application ends %s, projection present: %t", r.State, s.Projection.Present())
	case w.app.streak < 3:
		m.breaks("I1 heartbeats of a living application are refused")
	case int(l.ttl) < r.Window:
		m.breaks("I6 at last the live lease is of %d s, the window of %d s", l.ttl, r.Window)
	case m.paced && (r.Interval != m.policy.negotiate(r.Proposed, r.Interval, w.rep[0].load()) || r.Previous != 0 || r.Window != m.policy.Window(r.Interval)):
		m.breaks("I1 the interval does not settle: %d s, before %d s, window %d s", r.Interval, r.Previous, r.Window)
	case m.paced && int(w.app.interval) > r.Interval:
		m.breaks("I1 the application keeps %d s, the record says %d s", w.app.interval, r.Interval)
	}
}

// checkViews: at rest every replica knows what the store holds.
func (m *model) checkViews(w *world) {
	for x := range w.rep {
		if r := &w.rep[x]; m.bad == "" && r.status == running && r.view.Snapshot != w.store.Snapshot {
			m.breaks("VIEW %c knows %s, the store holds %s", 'A'+x, brief(&r.view.Snapshot), brief(&w.store.Snapshot))
		}
	}
}

func brief(s *Snapshot) string {
	if !s.Exists() && !s.Projection.Present() {
		return "nothing"
	}
	r := &s.Record
	return fmt.Sprintf("%s@%d seq %d interval %d/%d window %d lease %d, projection@%d on %d",
		r.State, s.At, r.Seq, r.Interval, r.Previous, r.Window, r.Lease, s.Projection.Revision, s.Projection.Lease)
}
