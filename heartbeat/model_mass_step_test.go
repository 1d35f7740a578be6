package heartbeat

func (m *massModel) watched(w *massWorld, x int) Revision {
	if s, behind := w.rep[x].queue[0].(massShow); behind {
		return s.at - 1
	}
	return w.store.rev
}

// lowestOpenEnd is the lowest end that a replica has not settled.
func (m *massModel) lowestOpenEnd(w *massWorld, x int) (low Revision) {
	for i := range m.instances {
		p := w.view(x, i)
		if !p.closeIfSettled(0, p.underway(m.one)) {
			low = lowest(low, p.openSince)
		}
	}
	return low
}

// watermark is what the replica may publish now.
func (m *massModel) watermark(w *massWorld, x int) Revision {
	return settledUpTo(m.watched(w, x), m.lowestOpenEnd(w, x))
}

// unsettled is from which revision on this replica waits for others.
func (m *massModel) unsettled(w *massWorld, x int) Revision {
	return unsettledAmong(w.rep[x].peers[:m.replicas], m.watched(w, x))
}

func (m *massModel) input(w *massWorld, x int, p *massView) Input {
	in := Input{Policy: &m.policy, Health: &p.health, Known: &p.view.Snapshot, Watched: m.watched(w, x), Local: &p.local, MinLease: 1, Ended: p.view.ended}
	if m.old[x] {
		in.Rank = x + 1
		return in
	}
	in.Unsettled = m.unsettled(w, x)
	for y := range m.replicas {
		if w.rep[x].known[y] && m.old[y] {
			in.Rank = x + 1 // whom it cannot ask it lets go first
		}
	}
	return in
}

// start begins a flow in a slot.
func (m *massModel) start(w *massWorld, x, i, slot int, flow any) {
	w.change(x, i, func(p *massView) { p.slots[slot] = modelSlot{flow: flow} })
	m.advance(w, x, i, slot, Result{})
}

// advance gives a flow the result that it waits for.
func (m *massModel) advance(w *massWorld, x, i, slot int, r Result) {
	p := w.view(x, i)
	ln := &p.slots[slot]
	flow, a := next(ln.flow, m.input(w, x, &p), r)
	for a.Do == DoToken {
		flow, a = next(flow, m.input(w, x, &p), Result{})
	}
	switch a.Do {
	case DoRespond:
		if (slot == slotBeat || slot == slotOwner) && a.Response.Err == nil && a.Response.Record.Expires() {
			p.answeredAge = min(p.answeredAge, ln.age)
		}
		*ln = modelSlot{}
		p.careful = p.careful || slot == slotRefute && p.view.Absent()
	case DoWait:
		*ln = modelSlot{phase: slotWaiting, flow: flow}
		if !p.view.Absent() {
			*ln = modelSlot{}
		}
	default:
		ln.phase, ln.flow, ln.act = slotAsking, flow, a
	}
	w.setView(x, i, &p)
	if a.Revoke != 0 {
		for j := range m.instances {
			if snap := w.store.at(j); snap.Projection.Present() && snap.Projection.Lease == a.Revoke {
				m.breaks("I7 %c revokes lease %d, on which a projection hangs", 'A'+x, a.Revoke)
			}
		}
		m.end(w, a.Revoke)
	}
	if (a.Do == DoRead || a.Do == DoGrant) && slot != slotBeat && m.left.lost == 0 {
		m.execute(w, x, i, slot, answered) // later is the same as getting there later, or as a slow commit
	}
}

// execute carries out the action that a slot asks for.
func (m *massModel) execute(w *massWorld, x, i, slot int, how manner) {
	p := w.view(x, i)
	a := p.slots[slot].act.(Action)
	if how == undone {
		m.reply(w, x, i, slot, Result{Outcome: Unavailable})
		return
	}
	var res Result
	switch a.Do {
	case DoRead:
		res.Snapshot = w.store.at(i)
	case DoHead:
		res.Revision = w.store.rev
	case DoGrant:
		res = m.grant(w, a.TTL)
	case DoRenew:
		res = m.renewal(w, a.Lease)
	default:
		res = Result{Outcome: m.commit(w, x, i, &a.Txn), Revision: w.store.rev}
		if res.Outcome == Done {
			b := batchOf(&a.Txn, w.store.rev)
			but := x
			if how != answered {
				but = -1
			}
			m.show(w, but, massShow{at: w.store.rev, i: int8(i), n: b.n, observations: b.observations})
		}
	}
	if how == delayed {
		w.change(x, i, func(p *massView) { p.slots[slot].phase, p.slots[slot].res = slotReplying, res })
		return
	}
	if how == silent {
		res = Result{Outcome: Unavailable}
	}
	m.reply(w, x, i, slot, res)
}

// reply does what the engine does with a result before the flow hears of it.
func (m *massModel) reply(w *massWorld, x, i, slot int, res Result) {
	p := w.view(x, i)
	a := p.slots[slot].act.(Action)
	if res.Outcome == Done && a.Do == DoCommit {
		p.observe(&p.health, a.Txn.Observations(res.Revision)...)
		m.news(&p)
	}
	p.health.NoteOutcome(a.Do, res.Outcome, m.old != [massReplicas]bool{})
	w.setView(x, i, &p)
	m.advance(w, x, i, slot, res)
}

// news: a hold ends when the instance is back.
func (m *massModel) news(p *massView) {
	p.closeIfSettled(0, p.underway(m.one))
	if !p.view.Absent() && p.slots[slotClaim].phase == slotWaiting {
		p.slots[slotClaim] = modelSlot{}
	}
}

// observe takes observations of an instance in, and starts what follows.
func (m *massModel) observe(w *massWorld, x, i int, since Revision, observations ...Observation) {
	p := w.view(x, i)
	lease := p.view.Record.Lease
	if !p.observe(&p.health, observations...) {
		return
	}
	m.news(&p)
	u := p.underway(m.one)
	p.openIfContested(0, since, u)
	w.setView(x, i, &p)
	if p.view.Absent() && !m.old[x] {
		w.rep[x].needed = max(w.rep[x].needed, p.view.ended)
	}
	switch p.taskOnNews(0, lease, u) {
	case refuting:
		m.start(w, x, i, slotRefute, RefuteFlow{Careful: p.careful})
	case adopting:
		m.renewal(w, p.view.Record.Lease)
	}
}

// deliver shows a replica the oldest write of its watch.
func (m *massModel) deliver(w *massWorld, x int) {
	r := &w.rep[x]
	s := r.queue[0].(massShow)
	copy(r.queue[:], r.queue[1:])
	r.queue[len(r.queue)-1] = nil
	if s.key == 0 {
		m.observe(w, x, int(s.i), s.at, s.observations[:s.n]...)
		return
	}
	m.peer(r, int(s.key-1), s.there, s.word)
}

func (m *massModel) peer(r *massReplica, y int, there bool, word PeerStatus) {
	switch {
	case there:
		r.peers[y].update(word)
		r.known[y] = true
		r.needed = max(r.needed, word.Wanted)
	case r.known[y]:
		r.peers[y].markMissing()
		r.peers[y].addProbe(0) // its own writes are done while the other puts its key back
		r.peers[y].addProbe(0)
	}
}

// list shows a replica everything at once; its watch goes on from there.
func (m *massModel) list(w *massWorld, x int) {
	r := &w.rep[x]
	before := m.watched(w, x)
	if r.joining {
		before = 0
	}
	r.queue = [massQueue]any{}
	for i := range m.instances {
		snap := w.store.at(i)
		w.change(x, i, func(p *massView) { p.health.Disturb() })
		m.observe(w, x, i, endedSince(before, w.store.rev), observationsOf(massID(i), &snap, w.store.rev)...)
	}
	for y := range m.replicas {
		if k := w.store.keys[y]; y != x {
			m.peer(r, y, k.present, k.word)
		}
	}
}

// handleDue does what the tick owes; it says whether that did anything.
func (m *massModel) handleDue(w *massWorld, x, i int) bool {
	p := w.view(x, i)
	u := p.underway(m.one)
	switch p.taskWhenDue(0, &m.policy, u) {
	case refuting:
		m.start(w, x, i, slotRefute, RefuteFlow{Careful: p.careful})
		return true
	case claiming:
		ln := p.slots[slotClaim]
		if ln.phase == slotIdle {
			m.start(w, x, i, slotClaim, ClaimFlow{})
			return true
		}
		before := *w
		m.advance(w, x, i, slotClaim, Result{})
		return *w != before
	}
	return false
}

// mayPublish: others may wait for more than the store has of this replica.
func (m *massModel) mayPublish(w *massWorld, x int) (PeerStatus, bool) {
	r := &w.rep[x]
	if m.old[x] || r.sending != nil || !w.store.keys[x].present {
		return PeerStatus{}, false
	}
	word := PeerStatus{Publishes: true, Settled: max(m.watermark(w, x), r.published), Wanted: m.wanted(w, x)}
	return word, word.Settled > r.published && r.published < r.needed || word.Wanted > w.store.keys[x].word.Wanted
}

// wanted is the highest end whose claim waits for others.
func (m *massModel) wanted(w *massWorld, x int) (at Revision) {
	if m.massConfig.left.relists+m.massConfig.left.joins == 0 {
		return 0 // the others see every end by themselves
	}
	low := m.unsettled(w, x)
	for i := range m.instances {
		p := w.view(x, i)
		if p.slots[slotClaim].phase == slotWaiting && low != 0 && p.view.ended >= low {
			at = max(at, p.view.ended)
		}
	}
	return max(at, w.store.keys[x].word.Wanted)
}
