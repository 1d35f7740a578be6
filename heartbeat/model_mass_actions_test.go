package heartbeat

import (
	"fmt"
	"time"
)

// actions calls yield with every action that is possible in w.
func (m *massModel) actions(w *massWorld, yield func(modelAction)) {
	if m.decided(w) {
		return
	}
	still := true
	for x := range m.replicas {
		r, d := &w.rep[x], modelAction{x: int8(x)}
		switch r.status {
		case crashed:
			if w.left.joins > 0 && !w.store.keys[x].present {
				d.kind = doJoin
				yield(d)
			}
			continue
		case paused:
			d.kind = doWake
			yield(d)
			continue
		}
		still = m.actionsOf(w, x, yield) && still
		m.wishesOf(w, x, yield)
	}
	for i := range m.instances {
		if s := w.store.at(i); w.left.revokes > 0 && s.Projection.Lease != 0 {
			yield(modelAction{kind: doRevoke, i: int8(i)})
		}
	}
	if still {
		yield(modelAction{kind: doTick})
	}
}

// decided: nobody is promised anything any more, so that no suspension can be false.
func (m *massModel) decided(w *massWorld) bool {
	if w.left.beats+w.left.puts > 0 {
		return false
	}
	for x := range m.replicas {
		for i := range m.instances {
			p := w.view(x, i)
			if int(p.answeredAge) < int(m.one.floorNow/Mono(-time.Second))-4 || p.slots[slotBeat].phase != slotIdle || p.slots[slotOwner].phase != slotIdle {
				return false
			}
		}
	}
	return true
}

// actionsOf are what a running replica has under way; it says whether time may pass before
// that: always, but that it puts its key back within the grace, and that beside a
// replica of the previous release may have to be prompt.
func (m *massModel) actionsOf(w *massWorld, x int, yield func(modelAction)) (still bool) {
	r, d, owes := &w.rep[x], modelAction{x: int8(x)}, false
	for i := range m.instances {
		p := w.view(x, i)
		d.i = int8(i)
		for l := range p.slots {
			if d.slot = int8(l); p.slots[l].phase == slotAsking {
				owes = true
				m.asking(w, p.slots[l].act.(Action).Do == DoCommit, d, yield)
			} else if p.slots[l].phase == slotReplying {
				owes = true
				d.kind = doReply
				yield(d)
			}
		}
		if d.slot = 0; p.taskWhenDue(0, &m.policy, p.underway(m.one)) != noTask {
			if trial := *w; m.handleDue(&trial, x, i) {
				owes = true
				d.kind = doHandleDue
				yield(d)
			}
		}
	}
	d.i = 0
	may := func(can bool, do modelActionKind) {
		if can {
			d.kind = do
			yield(d)
		}
	}
	may(r.queue[0] != nil && !(m.deaf && x == 0), doDeliver)
	_, publish := m.mayPublish(w, x)
	may(publish, doPublish)
	may(r.sending != nil, doPublished)
	may(!w.store.keys[x].present && !r.joining, doPutBack)
	may(r.joining, doEnter)
	for y := range m.replicas {
		if p := w.view(x, 0); r.peers[y].needsHead(p.health.Credited) {
			d.i = int8(y)
			may(true, doAsk)
		}
	}
	return !(r.gone > 0) && !(m.prompt && (owes || r.queue[0] != nil))
}

func (m *massModel) asking(w *massWorld, commit bool, d modelAction, yield func(modelAction)) {
	d.kind, d.how = doAct, answered
	yield(d)
	if commit && w.left.replies > 0 {
		d.how = delayed
		yield(d)
	}
	if w.left.lost > 0 {
		d.how = undone
		yield(d)
		if commit {
			d.how = silent
			yield(d)
		}
	}
}

// wishesOf are what applications, owners and fate want of a running replica.
func (m *massModel) wishesOf(w *massWorld, x int, yield func(modelAction)) {
	r, d := &w.rep[x], modelAction{x: int8(x)}
	may := func(left int8, do modelActionKind) {
		if left > 0 {
			d.kind = do
			yield(d)
		}
	}
	for i := range m.instances {
		d.i = int8(i)
		if s := w.store.at(i); s.Exists() && !r.joining {
			if m.phase(w, x, i, slotBeat) == slotIdle {
				may(w.left.beats, doBeat)
			}
			if m.phase(w, x, i, slotOwner) == slotIdle {
				may(w.left.puts, doPut)
			}
		}
	}
	d.i = 0
	may(w.left.pauses, doPause)
	may(w.left.crashes, doCrash)
	if w.store.keys[x].present {
		may(w.left.keys, doLoseKey)
	}
	if !r.joining {
		may(w.left.relists, doList)
	}
}

// do is the world after a action.
func (m *massModel) do(w massWorld, d modelAction) massWorld {
	x, i, slot := int(d.x), int(d.i), int(d.slot)
	r := &w.rep[x]
	switch d.kind {
	case doAct:
		if d.how == undone || d.how == silent {
			w.left.lost--
		}
		if d.how == delayed {
			w.left.replies--
		}
		m.execute(&w, x, i, slot, d.how)
	case doReply:
		m.reply(&w, x, i, slot, w.view(x, i).slots[slot].res.(Result))
	case doDeliver:
		m.deliver(&w, x)
	case doHandleDue:
		m.handleDue(&w, x, i)
	case doTick:
		m.tick(&w)
	case doBeat:
		w.left.beats--
		m.start(&w, x, i, slotBeat, BeatFlow{})
	case doPut:
		w.left.puts--
		m.start(&w, x, i, slotOwner, UpdateFlow{Update: putSame})
	case doRevoke:
		w.left.revokes--
		m.end(&w, w.store.at(i).Projection.Lease)
	case doPublish:
		word, _ := m.mayPublish(&w, x)
		r.sending = word
		if !m.floating {
			return m.do(w, modelAction{kind: doPublished, x: d.x})
		}
	case doPublished:
		word := r.sending.(PeerStatus)
		r.sending = nil
		if w.store.keys[x].present { // else its lease is gone
			r.published = word.Settled
			m.setKey(&w, x, true, word)
		}
	case doPutBack:
		r.gone = 0
		m.setKey(&w, x, true, PeerStatus{Publishes: !m.old[x], Settled: r.published})
	case doAsk:
		r.peers[d.i].head = w.store.rev
	default:
		m.fate(&w, x, d.kind)
	}
	m.checkHidden(&w)
	return w
}

func (m *massModel) fate(w *massWorld, x int, do modelActionKind) {
	r := &w.rep[x]
	switch do {
	case doLoseKey:
		w.left.keys--
		m.setKey(w, x, false, PeerStatus{})
	case doPause:
		w.left.pauses--
		r.status = paused
	case doWake:
		m.wake(w, x)
	case doCrash:
		w.left.crashes--
		key := w.store.keys[x]
		*r = m.fresh(crashed)
		w.store.keys[x] = key
	case doJoin:
		w.left.joins--
		*r = m.fresh(running)
		r.joining = true
		m.list(w, x)
	case doEnter:
		r.joining = false
		r.published = m.watermark(w, x)
		m.setKey(w, x, true, PeerStatus{Publishes: !m.old[x], Settled: r.published})
	case doList:
		w.left.relists--
		m.list(w, x)
	}
}

// fresh is a replica that knows nothing.
func (m *massModel) fresh(s modelStatus) (r massReplica) {
	r.status = s
	for i := range massInstances {
		r.views[i] = massView{modelReplica{answeredAge: never, health: Health{Disturbed: true, WritableSince: m.one.floorCredit}}}
	}
	return r
}

// describe names a action for a trace.
func (m *massModel) describe(w *massWorld, d modelAction) string {
	name := string(rune('A' + d.x))
	of := " of " + string(massID(int(d.i)))
	switch d.kind {
	case doAct:
		flow := [slotCount]string{"heartbeat", "refutation", "claim", "owner's request", "retention"}[d.slot]
		how := [...]string{"", ", reply on its way", ", reply lost", ", not carried out, no reply", ""}[d.how]
		return name + "'s " + flow + of + ": " + w.view(int(d.x), int(d.i)).slots[d.slot].act.(Action).String() + how
	case doReply:
		return name + "'s delayed reply" + of + " arrives"
	case doHandleDue:
		return name + "'s tick handles the absence" + of
	case doBeat:
		return "heartbeat" + of + " at " + name
	case doPut:
		return "PUT" + of + " at " + name
	case doRevoke:
		return "the live lease" + of + " is revoked falsely"
	case doAsk:
		return fmt.Sprintf("%s asks how far the store is: it misses %c's key", name, 'A'+d.i)
	}
	return fmt.Sprintf(map[modelActionKind]string{doDeliver: "%s sees the next write", doTick: "a second passes%.0s", doPause: "%s is paused", doWake: "%s goes on",
		doCrash: "%s crashes", doPublish: "%s sends its watermark", doPublished: "%s's watermark arrives", doPutBack: "%s puts its key back",
		doLoseKey: "the lease of %s's key is revoked falsely", doJoin: "%s starts and lists", doEnter: "%s puts its key and serves", doList: "%s's watch breaks; it lists anew"}[d.kind], name)
}
