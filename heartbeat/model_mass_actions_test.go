package heartbeat

import (
	"fmt"
	"time"
)

// deeds calls yield with every deed that is possible in w.
func (m *massModel) deeds(w *massWorld, yield func(deed)) {
	if m.decided(w) {
		return
	}
	still := true
	for x := range m.replicas {
		r, d := &w.rep[x], deed{x: int8(x)}
		switch r.status {
		case crashed:
			if w.left.joins > 0 && !w.store.keys[x].present {
				d.do = doJoin
				yield(d)
			}
			continue
		case paused:
			d.do = doWake
			yield(d)
			continue
		}
		still = m.deedsOf(w, x, yield) && still
		m.wishesOf(w, x, yield)
	}
	for i := range m.instances {
		if s := w.store.at(i); w.left.revokes > 0 && s.Projection.Lease != 0 {
			yield(deed{do: doRevoke, i: int8(i)})
		}
	}
	if still {
		yield(deed{do: doTick})
	}
}

// decided: nobody is promised anything any more, so that no suspension can be false.
func (m *massModel) decided(w *massWorld) bool {
	if w.left.beats+w.left.puts > 0 {
		return false
	}
	for x := range m.replicas {
		for i := range m.instances {
			p := w.place(x, i)
			if int(p.acked) < int(m.one.floorNow/-time.Second)-4 || p.lanes[laneBeat].phase != laneIdle || p.lanes[laneOwner].phase != laneIdle {
				return false
			}
		}
	}
	return true
}

// deedsOf are what a running replica has under way; it says whether time may pass before
// that: always, but that it puts its key back within the grace, and that beside a
// release before may have to be prompt.
func (m *massModel) deedsOf(w *massWorld, x int, yield func(deed)) (still bool) {
	r, d, owes := &w.rep[x], deed{x: int8(x)}, false
	for i := range m.instances {
		p := w.place(x, i)
		d.i = int8(i)
		for l := range p.lanes {
			if d.lane = int8(l); p.lanes[l].phase == laneAsking {
				owes = true
				m.asking(w, p.lanes[l].act.(Action).Do == DoCommit, d, yield)
			} else if p.lanes[l].phase == laneReplying {
				owes = true
				d.do = doReply
				yield(d)
			}
		}
		if d.lane = 0; p.taskWhenDue(0, &m.policy, p.underway(m.one)) != noTask {
			if trial := *w; m.attend(&trial, x, i) {
				owes = true
				d.do = doAttend
				yield(d)
			}
		}
	}
	d.i = 0
	may := func(can bool, do deedKind) {
		if can {
			d.do = do
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
		if p := w.place(x, 0); r.peers[y].needsHead(p.gate.Credited) {
			d.i = int8(y)
			may(true, doAsk)
		}
	}
	return !(r.gone > 0) && !(m.prompt && (owes || r.queue[0] != nil))
}

func (m *massModel) asking(w *massWorld, commit bool, d deed, yield func(deed)) {
	d.do, d.how = doAct, answered
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
func (m *massModel) wishesOf(w *massWorld, x int, yield func(deed)) {
	r, d := &w.rep[x], deed{x: int8(x)}
	may := func(left int8, do deedKind) {
		if left > 0 {
			d.do = do
			yield(d)
		}
	}
	for i := range m.instances {
		d.i = int8(i)
		if s := w.store.at(i); s.Exists() && !r.joining {
			if m.phase(w, x, i, laneBeat) == laneIdle {
				may(w.left.beats, doBeat)
			}
			if m.phase(w, x, i, laneOwner) == laneIdle {
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

// do is the world after a deed.
func (m *massModel) do(w massWorld, d deed) massWorld {
	x, i, lane := int(d.x), int(d.i), int(d.lane)
	r := &w.rep[x]
	switch d.do {
	case doAct:
		if d.how == undone || d.how == silent {
			w.left.lost--
		}
		if d.how == delayed {
			w.left.replies--
		}
		m.execute(&w, x, i, lane, d.how)
	case doReply:
		m.reply(&w, x, i, lane, w.place(x, i).lanes[lane].res.(Result))
	case doDeliver:
		m.deliver(&w, x)
	case doAttend:
		m.attend(&w, x, i)
	case doTick:
		m.tick(&w)
	case doBeat:
		w.left.beats--
		m.start(&w, x, i, laneBeat, BeatFlow{})
	case doPut:
		w.left.puts--
		m.start(&w, x, i, laneOwner, UpdateFlow{Update: putSame})
	case doRevoke:
		w.left.revokes--
		m.end(&w, w.store.at(i).Projection.Lease)
	case doPublish:
		word, _ := m.mayPublish(&w, x)
		r.sending = word
		if !m.floating {
			return m.do(w, deed{do: doPublished, x: d.x})
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
		m.fate(&w, x, d.do)
	}
	m.judgeHidden(&w)
	return w
}

func (m *massModel) fate(w *massWorld, x int, do deedKind) {
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
		r.places[i] = massPlace{modelReplica{acked: never, gate: Health{Suspected: true, WritableSince: m.one.floorCredit}}}
	}
	return r
}

// tell names a deed for a trace.
func (m *massModel) tell(w *massWorld, d deed) string {
	name := string(rune('A' + d.x))
	of := " of " + string(massID(int(d.i)))
	switch d.do {
	case doAct:
		flow := [laneCount]string{"heartbeat", "refutation", "claim", "owner's request", "retention"}[d.lane]
		how := [...]string{"", ", reply on its way", ", reply lost", ", not carried out, no reply", ""}[d.how]
		return name + "'s " + flow + of + ": " + w.place(int(d.x), int(d.i)).lanes[d.lane].act.(Action).String() + how
	case doReply:
		return name + "'s delayed reply" + of + " arrives"
	case doAttend:
		return name + "'s tick attends to the absence" + of
	case doBeat:
		return "heartbeat" + of + " at " + name
	case doPut:
		return "PUT" + of + " at " + name
	case doRevoke:
		return "the live lease" + of + " is revoked falsely"
	case doAsk:
		return fmt.Sprintf("%s asks how far the store is: it misses %c's key", name, 'A'+d.i)
	}
	return fmt.Sprintf(map[deedKind]string{doDeliver: "%s sees the next write", doTick: "a second passes%.0s", doPause: "%s is paused", doWake: "%s goes on",
		doCrash: "%s crashes", doPublish: "%s sends its watermark", doPublished: "%s's watermark arrives", doPutBack: "%s puts its key back",
		doLoseKey: "the lease of %s's key is revoked falsely", doJoin: "%s starts and lists", doEnter: "%s puts its key and serves", doList: "%s's watch breaks; it lists anew"}[d.do], name)
}
