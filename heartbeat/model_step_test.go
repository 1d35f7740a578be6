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
	case ExpireFlow:
		a := f.Next(in, r)
		return f, a
	}
	panic("no such flow")
}

func (m *model) input(w *world, x, lane int) Input {
	r := &w.rep[x]
	in := Input{Policy: &m.policy, Health: &r.gate, Known: &r.view.Snapshot, Watched: m.watched(w, x), Local: &r.local,
		Alone: m.replicas == 1, MinLease: 1, Rank: x, Wall: m.wall(w)}
	if lane == laneRetain {
		in.Wall = int64(m.policy.DeregisterAfter) // by the wall clock it is always time
	}
	return in
}

// watched is how far the watch of a replica has come.
func (m *model) watched(w *world, x int) Revision {
	if b, behind := w.rep[x].queue[0].(modelBatch); behind {
		return b.sights[0].Revision - 1
	}
	return w.store.rev
}

// start begins a flow in a lane.
func (m *model) start(w *world, x, lane int, flow any) {
	w.rep[x].lanes[lane] = modelLane{flow: flow, after: true, older: lane == laneBeat && m.asked(w)}
	m.advance(w, x, lane, Result{})
	if ln := &w.rep[x].lanes[lane]; m.plain && lane != laneBeat && ln.phase == laneAsking && ln.act.(Action).Do == DoRead {
		m.execute(w, x, lane, answered)
	}
}

// advance gives a flow the result that it waits for.
func (m *model) advance(w *world, x, lane int, r Result) {
	ln := &w.rep[x].lanes[lane]
	flow, a := next(ln.flow, m.input(w, x, lane), r)
	for a.Do == DoToken { // its turn comes at once, or later: as if it began to wait later
		flow, a = next(flow, m.input(w, x, lane), Result{})
	}
	if a.Revoke != 0 {
		m.retire(w, x, a.Revoke)
	}
	switch a.Do {
	case DoRespond:
		m.answer(w, x, lane, &a.Response)
	case DoWait:
		*ln = modelLane{phase: laneWaiting, flow: flow}
		if !w.rep[x].view.Absent() {
			*ln = modelLane{}
		}
	default:
		if a.Do == DoCommit && (lane == laneClaim || a.Txn.Kind == Expire) {
			m.judgeClaim(w, x)
		}
		ln.phase, ln.flow, ln.act, ln.res = laneAsking, flow, a, nil
		if a.Do == DoGrant && m.plain {
			m.execute(w, x, lane, answered)
		}
	}
}

// answer ends a flow.
func (m *model) answer(w *world, x, lane int, a *Response) {
	r := &w.rep[x]
	ln := r.lanes[lane]
	r.lanes[lane] = modelLane{}
	r.careful = r.careful || lane == laneRefute && r.view.Absent()
	beat := lane == laneBeat
	if a.Err != nil {
		if beat {
			w.app.streak = 0
		}
		return
	}
	if _, is := ln.flow.(RemoveFlow); is || !beat && lane != laneOwner {
		return
	}
	m.judgePut(&ln, a)
	if a.Record.Expires() {
		r.acked = min(r.acked, ln.age)
	}
	if beat {
		m.judgeBeat(w, &ln)
		w.covered, w.app.ran = min(w.covered, ln.age), min(w.app.ran, ln.age)
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
		r.lanes[lane] = modelLane{phase: laneAnswering, tells: tells}
		return
	}
	w.app.interval = tells
}

// execute carries out the action that a lane asks for.
func (m *model) execute(w *world, x, lane int, how manner) {
	ln := &w.rep[x].lanes[lane]
	a := ln.act.(Action)
	if how == undone || how == floating {
		if how == floating {
			w.float = modelFloat{x, lane, a.Txn}
		}
		m.reply(w, x, lane, Result{Outcome: Unavailable})
		return
	}
	res := m.perform(w, x, lane, &a)
	if a.Do == DoCommit && res.Outcome == Done {
		for y := range w.rep {
			if y != x || how != answered { // an own commit is known with its reply
				m.show(w, y, batchOf(&a.Txn, res.Revision))
			}
		}
	}
	switch how {
	case delayed:
		ln.phase, ln.res = laneReplying, res
		return
	case silent:
		res = Result{Outcome: Unavailable}
	}
	m.reply(w, x, lane, res)
}

func (m *model) perform(w *world, x, lane int, a *Action) Result {
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
		return m.age1(w, a.Lease)
	}
	o := m.commit(w, x, lane, &a.Txn)
	return Result{Outcome: o, Revision: w.store.rev}
}

// reply does what the engine does with a result before the flow hears of it.
func (m *model) reply(w *world, x, lane int, res Result) {
	r := &w.rep[x]
	ln := &r.lanes[lane]
	ln.delayed = ln.phase == laneReplying
	a := ln.act.(Action)
	r.gate.NoteOutcome(a.Do, res.Outcome, m.replicas > 1)
	if res.Outcome == Full {
		ln.refused = true
	}
	if res.Outcome == Done && a.Do == DoCommit {
		r.observe(&r.gate, a.Txn.Observations(res.Revision)...)
		m.seen(r)
	}
	m.advance(w, x, lane, res)
}

// seen: a hold ends when the instance is back.
func (m *model) seen(r *modelReplica) {
	if !r.view.Absent() && r.lanes[laneClaim].phase == laneWaiting {
		r.lanes[laneClaim] = modelLane{}
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
	if !r.observe(&r.gate, b.sights[:b.n]...) {
		return
	}
	m.seen(r)
	switch r.taskOnNews(0, lease, r.underway(m)) {
	case refuting:
		m.start(w, x, laneRefute, RefuteFlow{Careful: r.careful})
	case adopting:
		m.renewal(w, r.view.Record.Lease)
	}
}

func (r *modelReplica) underway(m *model) inProgress {
	claim := r.lanes[laneClaim].phase
	owners := 0
	if r.lanes[laneOwner].phase != laneIdle {
		owners = 1
	}
	return inProgress{
		refuting: r.lanes[laneRefute].phase != laneIdle, refutedAt: m.floorNow,
		claiming:      claim == laneAsking || claim == laneReplying,
		ownerRequests: owners,
	}
}

// attend does what the tick owes; it says whether that did anything.
func (m *model) attend(w *world, x int) bool {
	r := &w.rep[x]
	if m.silences && m.attendSilence(w, x) {
		return true
	}
	switch r.taskWhenDue(0, &m.policy, r.underway(m)) {
	case refuting:
		if w.store.full {
			return false // it would be refused, again and again
		}
		m.start(w, x, laneRefute, RefuteFlow{Careful: r.careful})
		return true
	case claiming:
		ln := &r.lanes[laneClaim]
		if ln.phase == laneIdle {
			m.start(w, x, laneClaim, ClaimFlow{})
			return true
		}
		before := r.local
		m.advance(w, x, laneClaim, Result{})
		return ln.phase != laneWaiting || r.local != before
	}
	return false
}
