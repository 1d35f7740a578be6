package heartbeat

import "time"

// tick lets a second pass.
func (m *model) tick(w *world) {
	for x := range w.rep {
		r := &w.rep[x]
		r.unhealthy = false
		if r.status == paused {
			r.asleep = min(r.asleep+1, 3)
			r.unhealthy = true
		}
		if r.status == running {
			if m.busy(r) {
				w.left.slow-- // a slow claim keeps nobody from refuting
				claim := r.slots[slotClaim]
				r.slots[slotClaim].phase = slotIdle
				r.unhealthy = m.busy(r)
				r.slots[slotClaim] = claim
			}
			if r.queue[0] != nil {
				w.left.late--
				r.unhealthy = true
			}
			for range int(time.Second / Tick) {
				r.health.AddTime(Tick)
			}
			if r.health.Full != w.store.full { // a late reply was older than what the pulse knows
				r.health.SetFull(w.store.full)
			}
			r.ran = m.age(r.ran)
		}
		for i := range r.slots {
			if r.slots[i].phase != slotIdle {
				r.slots[i].age = m.age(r.slots[i].age)
			}
		}
		r.answeredAge = m.age(r.answeredAge)
		m.rebase(r, time.Second)
	}
	w.app.since = m.age(w.app.since)
	if m.silences && (w.rep[0].status == running || w.rep[1].status == running) {
		w.app.platformRan = m.age(w.app.platformRan)
	}
	w.covered = m.age(w.covered)
	ids := w.store.leases
	for i := range ids {
		if l := w.store.lease(ids[i].id); l != nil {
			if l.left--; l.left <= m.endsAt(l) {
				m.end(w, l.id)
			}
		}
	}
}

// age is an age a second later; beyond the longest window it makes no difference.
func (m *model) age(a int8) int8 {
	if Credit(time.Duration(a)*time.Second) > -m.floorCredit {
		return never
	}
	return a + 1
}

// busy says whether a flow of the replica is under way.
func (m *model) busy(r *modelReplica) bool {
	for i := range r.slots {
		if p := r.slots[i].phase; p == slotAsking || p == slotReplying {
			return true
		}
	}
	return false
}

// rebase keeps a replica's instants relative to now, which was elapsed ago.
func (m *model) rebase(r *modelReplica, elapsed time.Duration) {
	credit := r.health.Credited
	r.health.Credited = 0
	now := func(t *Mono) { *t = max(*t-Mono(elapsed), m.floorNow) }
	credited := func(t *Credit) { *t = max(*t-credit, m.floorCredit) }
	credited(&r.health.DisturbedAt)
	credited(&r.health.WritableSince)
	credited(&r.health.StartedAt)
	if r.openSince != 0 {
		now(&r.openedAt)
	}
	l := &r.local
	if l.hasEvidence {
		now(&l.EvidenceAt)
		credited(&l.EvidenceCredit)
	}
	if l.missing {
		credited(&l.MissingSince)
	} else {
		l.MissingSince = 0
	}
	if l.probation {
		credited(&l.CountedFrom)
	} else {
		l.CountedFrom = 0
	}
	if l.suspended {
		l.SuspendedSince = max(l.SuspendedSince-credit, Credit(-m.policy.DeregisterAfter))
	} else {
		l.SuspendedSince = 0
	}
	m.rebaseSilence(l, credited)
	if l.askEndAt != 0 {
		l.askEndAt = max(l.askEndAt-credit, -1)
	}
	l.leasedAt = 0 // it is compared with the age of a lease only, which no flow asks for
	l.hasBeat = l.hasBeat && (m.paced || m.stamps)
	if l.hasBeat {
		now(&l.beatAt)
	} else {
		l.beatAt = 0
	}
	for i := range r.slots {
		ln := &r.slots[i]
		switch f := ln.flow.(type) {
		case BeatFlow:
			now(&f.grantAskedAt)
			ln.flow = f
		case RefuteFlow:
			now(&f.grantAskedAt)
			ln.flow = f
		case SilenceFlow:
			credited(&f.from)
			ln.flow = f
		case ClaimFlow:
			credited(&f.since)
			ln.flow = f
		case RegisterFlow:
			now(&f.grantAskedAt)
			now(&f.receipt.Now)
			credited(&f.receipt.Credited)
			ln.flow = f
		case UpdateFlow:
			now(&f.grantAskedAt)
			now(&f.receipt.Now)
			credited(&f.receipt.Credited)
			ln.flow = f
		}
	}
}

// wake lets a paused replica go on: its first tick notices how long it slept.
func (m *model) wake(w *world, x int) {
	r := &w.rep[x]
	if r.asleep > 0 {
		r.health.AddTime(time.Duration(r.asleep)*time.Second + Tick)
		r.unhealthy, r.wasAway = true, true
	}
	r.status, r.asleep = running, 0
	if r.health.Full != w.store.full {
		r.health.SetFull(w.store.full)
	}
	m.rebase(r, 0)
}

// restart brings a crashed replica back with nothing but what the store lists.
func (m *model) restart(w *world, x int) {
	r := &w.rep[x]
	*r = modelReplica{answeredAge: never, wasAway: true, restarted: m.silences, unhealthy: true,
		health: Health{Disturbed: true, Full: w.store.full, Alone: m.replicas == 1}}
	if m.silences && m.replicas == 1 {
		for i := range w.store.leases { // etcd starts with it
			w.store.leases[i].left, w.store.leases[i].reserved = w.store.leases[i].ttl, false
		}
	}
	r.observe(&r.health, observationsOf(modelID, &w.store.Snapshot, w.store.rev)...)
	r.health.Loaded = true
}

// setFull raises or clears the alarm; every running replica asks for it often.
func (m *model) setFull(w *world, full bool) {
	w.store.full = full
	for x := range w.rep {
		if w.rep[x].status == running {
			w.rep[x].health.SetFull(full)
		}
	}
}
