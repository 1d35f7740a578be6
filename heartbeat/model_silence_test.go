package heartbeat

import "time"

// What the model has of silences that outlive a replica. The platform's run time is not
// modelled: a silence counts for what was kept of it, which is the least.

// handleSilence does what the tick owes a silence; it says whether that did anything.
func (m *model) handleSilence(w *world, x int) bool {
	r := &w.rep[x]
	if r.slots[slotSilence].phase != slotIdle || w.store.full {
		return false
	}
	at, ends := r.local.expireAt(&m.policy, &r.health, &r.view.Snapshot)
	switch {
	case ends && r.health.Credited >= at:
		m.start(w, x, slotSilence, ExpireFlow{})
	case r.local.keepDue(&r.health, &r.view.Record) && (!r.view.Absent() || r.local.probation):
		m.start(w, x, slotSilence, SilenceFlow{})
	default:
		return false
	}
	return true
}

// rebaseSilence keeps the instants of a silence relative to now.
func (m *model) rebaseSilence(l *Local, credited func(*Credit)) {
	credited(&l.seenAt)
	if l.silenceChecked = l.silenceChecked && m.silences; l.silenceChecked {
		credited(&l.checkedFrom)
	} else {
		l.checkedFrom = 0
	}
	l.keptUntil = 0 // how many silences are kept is judged elsewhere
}

// leaseAge is how long ago a lease was renewed.
func (m *model) leaseAge(w *world, id LeaseID) Result {
	l := w.store.lease(id)
	if l == nil {
		return Result{Outcome: LeaseGone}
	}
	return Result{Age: time.Duration(l.ttl-l.left) * time.Second}
}

// waited: after a restart an interval is enough, if the platform as a whole has run for a
// window since the last heartbeat.
func (m *model) waited(w *world, x int) bool {
	r := &w.rep[x]
	return r.restarted && int(w.app.platformRan) >= w.store.Record.Window && int(r.ran) >= w.store.Record.Interval
}

// checkRestarts is I1 where the platform is restarted again and again, each time before a
// window is over: a dead application becomes SUSPENDED all the same.
func (m *model) checkRestarts(from *world) {
	if !m.silences || m.bad != "" {
		return
	}
	w := *from
	w.left, w.float = budget{}, nil
	m.quiesce(&w)
	for range 4 {
		for x := range m.replicas {
			w.rep[x] = modelReplica{status: crashed, answeredAge: never}
			m.restart(&w, x)
		}
		if w.store.full {
			m.setFull(&w, false)
		}
		for range w.store.Record.Window - 1 {
			m.quiesce(&w)
			m.tick(&w)
			m.checkWorld(&w)
		}
		m.quiesce(&w)
	}
	if m.bad == "" && w.store.Record.State == Active {
		m.breaks("I1 a dead application stays ACTIVE while the platform is restarted again and again")
	}
}
