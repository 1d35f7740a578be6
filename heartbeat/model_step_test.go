package heartbeat

// manner is how an action of a flow goes.
type manner uint8

const (
	answered manner = iota
	delayed         // carried out; the reply comes later
	silent          // carried out; the reply is lost
	undone          // not carried out, and no reply
	floating        // given up without a reply; a commit may still be carried out
)

// next asks a boxed flow for its next action and boxes it again.
func next(flow any, in Input, r Result) (any, Action) {
	switch f := flow.(type) {
	case BeatFlow:
		a := f.Next(in, r)
		return f, a
	case RefuteFlow:
		a := f.Next(in, r)
		return f, a
	case ClaimFlow:
		a := f.Next(in, r)
		return f, a
	case RegisterFlow:
		a := f.Next(in, r)
		return f, a
	case UpdateFlow:
		a := f.Next(in, r)
		return f, a
	case RemoveFlow:
		a := f.Next(in, r)
		return f, a
	case RetentionFlow:
		a := f.Next(in, r)
		return f, a
	case RepairFlow:
		a := f.Next(in, r)
		return f, a
	case SilenceFlow:
		a := f.Next(in, r)
		return f, a
	case DrainFlow:
		a := f.Next(in, r)
		return f, a
	case ExpireFlow:
		a := f.Next(in, r)
		return f, a
	case EndFlow:
		a := f.Next(in, r)
		return f, a
	}
	panic("no such flow")
}

func (m *model) input(w *world, x, slot int) Input {
	r := &w.rep[x]
	return m.inputOf(w, x, slot, &r.health, &r.view.Snapshot, &r.local)
}

func (m *model) inputOf(w *world, x, slot int, h *Health, known *Snapshot, l *Local) Input {
	in := Input{Policy: &m.policy, Health: h, Known: known, Watched: m.watched(w, x), Local: l,
		Alone: m.replicas == 1, MinLease: 1, Rank: x, Wall: m.wall(w), Load: w.rep[x].load()}
	if slot == slotRetain {
		in.Wall = int64(m.policy.DeregisterAfter) // by the wall clock it is always time
	}
	return in
}

// load is what a replica knows of it: by following and brisk, nothing or too much for the default.
func (r *modelReplica) load() (l Load) {
	if r.heavy {
		l.Free = 1
	}
	return l
}

// next asks a replica's flow. The compiler takes what a flow is given to the heap, and with a
// pointer into the world all of the world, at every step: hence copies.
func (m *model) next(w *world, x, slot int, flow any, r Result) (any, Action) {
	rep := &w.rep[x]
	given := &struct {
		health Health
		known  Snapshot
		local  Local
	}{rep.health, rep.view.Snapshot, rep.local}
	flow, a := next(flow, m.inputOf(w, x, slot, &given.health, &given.known, &given.local), r)
	rep.local = given.local
	return flow, a
}

// watched is how far the watch of a replica has come.
func (m *model) watched(w *world, x int) Revision {
	if b, behind := w.rep[x].queue[0].(modelBatch); behind {
		return b.observations[0].Revision - 1
	}
	return w.store.rev
}

// start begins a flow in a slot.
func (m *model) start(w *world, x, slot int, flow any) {
	w.rep[x].slots[slot] = modelSlot{flow: flow, after: true, sinceLeave: true, older: slot == slotBeat && m.asked(w), drained: w.drained}
	m.advance(w, x, slot, Result{})
	if ln := &w.rep[x].slots[slot]; m.plain && slot != slotBeat && ln.phase == slotAsking && ln.act.(Action).Do == DoRead {
		m.execute(w, x, slot, answered)
	}
}

// advance gives a flow the result that it waits for.
func (m *model) advance(w *world, x, slot int, r Result) {
	ln := &w.rep[x].slots[slot]
	flow, a := m.next(w, x, slot, ln.flow, r)
	for a.Do == DoToken { // a token comes at once, or later: as if it began to wait later
		flow, a = m.next(w, x, slot, flow, Result{})
	}
	if a.Revoke != 0 {
		m.revoke(w, x, a.Revoke)
	}
	switch a.Do {
	case DoRespond:
		m.respond(w, x, slot, &a.Response)
	case DoWait:
		*ln = modelSlot{phase: slotWaiting, flow: flow}
		if !w.rep[x].view.Absent() {
			*ln = modelSlot{}
		}
	default:
		if a.Do == DoCommit && (slot == slotClaim || a.Txn.Kind == Expire) || a.Do == DoEnd {
			m.checkClaim(w, x)
		}
		ln.phase, ln.flow, ln.act, ln.res = slotAsking, flow, a, nil
		if a.Do == DoGrant && m.plain {
			m.execute(w, x, slot, answered)
		}
	}
}

// respond ends a flow.
func (m *model) respond(w *world, x, slot int, a *Response) {
	r := &w.rep[x]
	ln := r.slots[slot]
	r.slots[slot] = modelSlot{}
	w.agents.answered(&ln, a)
	r.careful = r.careful || slot == slotRefute && r.view.Absent()
	r.asked(&ln, a)
	beat := slot == slotBeat
	if a.Err != nil {
		if beat {
			w.app.streak = 0
		}
		return
	}
	if _, is := ln.flow.(RemoveFlow); is || !beat && slot != slotOwner {
		return
	}
	m.checkPut(&ln, a)
	if a.Record.Expires() {
		r.answeredAge = min(r.answeredAge, ln.age)
	}
	if beat {
		m.checkBeat(w, &ln)
		m.checkDrainedBeat(&ln)
		w.covered, w.app.platformRan = min(w.covered, ln.age), min(w.app.platformRan, ln.age)
		if ln.after && !ln.refused {
			w.short = false
		}
		w.app.streak = min(w.app.streak+1, 4)
	}
	tells := int8(a.Record.Interval)
	if beat && !a.TellInterval || tells == w.app.interval || ln.older {
		return
	}
	if w.left.unheard > 0 {
		r.slots[slot] = modelSlot{phase: slotResponding, tells: tells}
		return
	}
	w.app.interval = tells
}

// execute carries out the action that a slot asks for.
func (m *model) execute(w *world, x, slot int, how manner) {
	ln := &w.rep[x].slots[slot]
	a := ln.act.(Action)
	if how == undone || how == floating {
		if how == floating {
			w.float = lateCommit{x, slot, a.Txn}
		}
		m.reply(w, x, slot, Result{Outcome: Unavailable})
		return
	}
	res := m.perform(w, x, slot, &a)
	if a.commits(res) {
		for y := range w.rep {
			if y != x || how != answered { // an own commit is known with its reply
				m.show(w, y, batchOf(&a.Txn, res.Revision))
			}
		}
	}
	switch how {
	case delayed:
		ln.phase, ln.res = slotReplying, res
		return
	case silent:
		res = Result{Outcome: Unavailable}
	}
	m.reply(w, x, slot, res)
}

func (m *model) perform(w *world, x, slot int, a *Action) Result {
	switch a.Do {
	case DoRead:
		return Result{Snapshot: w.store.Snapshot}
	case DoHead:
		return Result{Revision: w.store.rev}
	case DoGrant:
		return m.grant(w, x, a.TTL)
	case DoRenew:
		return m.renewal(w, a.Lease)
	case DoAge:
		return m.leaseAge(w, a.Lease)
	case DoReserve:
		m.reserve(w, a.Lease)
		return Result{}
	case DoEnd:
		return m.endLease(w, slot, a)
	}
	o := m.commit(w, slot, &a.Txn)
	return Result{Outcome: o, Revision: w.store.rev}
}

// reply does what the engine does with a result before the flow hears of it.
func (m *model) reply(w *world, x, slot int, res Result) {
	r := &w.rep[x]
	ln := &r.slots[slot]
	ln.delayed = ln.phase == slotReplying
	a := ln.act.(Action)
	r.health.NoteOutcome(a.Do, res.Outcome, m.replicas > 1)
	if res.Outcome == Full {
		ln.refused = true
	}
	if a.commits(res) {
		r.observe(&r.health, a.Txn.Observations(res.Revision)...)
		m.reschedule(r)
		m.beginHold(r, &a.Txn)
	}
	m.advance(w, x, slot, res)
}

// reschedule: a hold ends when the instance is back.
func (m *model) reschedule(r *modelReplica) {
	if !r.view.Absent() && r.slots[slotClaim].phase == slotWaiting {
		r.slots[slotClaim] = modelSlot{}
	}
}

// deliver shows a replica the oldest batch of its watch. An adoption is one
// renewal, carried out at once.
func (m *model) deliver(w *world, x int) {
	r := &w.rep[x]
	b := r.queue[0].(modelBatch)
	copy(r.queue[:], r.queue[1:])
	r.queue[len(r.queue)-1] = nil
	lease := r.view.Record.Lease
	if !r.observe(&r.health, b.observations[:b.n]...) {
		return
	}
	m.reschedule(r)
	switch r.taskOnNews(0, lease, r.underway(m)) {
	case refuting:
		m.start(w, x, slotRefute, RefuteFlow{Careful: r.careful})
	case adopting:
		m.renewal(w, r.view.Record.Lease)
	}
}

func (r *modelReplica) underway(m *model) inProgress {
	claim := r.slots[slotClaim].phase
	var owners int32
	if r.slots[slotOwner].phase != slotIdle {
		owners = 1
	}
	return inProgress{
		refuting: r.slots[slotRefute].phase != slotIdle, refutedAt: m.floorNow,
		claiming:      claim == slotAsking || claim == slotReplying,
		ownerRequests: owners,
	}
}

// handleDue does what the tick owes; it says whether that did anything.
func (m *model) handleDue(w *world, x int) bool {
	r := &w.rep[x]
	if m.silences && m.handleSilence(w, x) || m.prompt && m.handleEnd(w, x) {
		return true
	}
	switch r.taskWhenDue(0, &m.policy, r.underway(m)) {
	case refuting:
		if w.store.full {
			return false // it would be refused, again and again
		}
		m.start(w, x, slotRefute, RefuteFlow{Careful: r.careful})
		return true
	case claiming:
		ln := &r.slots[slotClaim]
		if ln.phase == slotIdle {
			m.start(w, x, slotClaim, ClaimFlow{})
			return true
		}
		before := r.local
		m.advance(w, x, slotClaim, Result{})
		return ln.phase != slotWaiting || r.local != before
	}
	return false
}
