package heartbeat

import "fmt"

// action is one step of the world.
type modelAction struct {
	kind    modelActionKind
	x, slot int8
	how     manner
	put     int8
	i       int8 // the instance
}

type modelActionKind uint8

const (
	doAct       modelActionKind = iota // a flow's action reaches the store
	doReply                            // a delayed reply arrives
	doHeard                            // the application hears an interval
	doUnheard                          // or does not
	doDeliver                          // the watch shows what it has next
	doHandleDue                        // the engine's tick
	doTick                             // a second passes
	doBeat
	doPut
	doDelete
	doDrain
	doRetention
	doRevoke
	doFull
	doClear
	doPause
	doWake
	doCrash
	doRestart
	doLoad       // what a replica knows of the load changes
	doLateCommit // the commit that was given up is carried out after all
	doDropCommit // or never
	doLeader     // a new leader of the store extends every lease
	// Of masses only:
	doPublish   // a watermark is on its way to the store
	doPublished // and arrives
	doPutBack   // a replica puts its key back
	doAsk       // it asks the store how far it is, before it takes another for dead
	doLoseKey   // the lease of a key is revoked falsely
	doJoin      // a replica that starts lists the store
	doEnter     // and puts its key: it serves from then on
	doList      // a watch broke: a new list
)

// actions calls yield with every action that is possible in w.
func (m *model) actions(w *world, yield func(modelAction)) {
	still := true // nothing keeps time from passing
	slow, late := w.left.slow, w.left.late
	for x := range w.rep[:m.replicas] {
		r := &w.rep[x]
		xi := int8(x)
		switch r.status {
		case crashed:
			if w.float != nil && m.silences && m.replicas == 1 {
				continue // the store starts with it, and is done with what was under way
			}
			yield(modelAction{kind: doRestart, x: xi})
			continue
		case paused:
			if r.asleep > 0 {
				yield(modelAction{kind: doWake, x: xi})
			}
			if w.left.crashes > 0 {
				yield(modelAction{kind: doCrash, x: xi})
			}
			continue
		}
		for slot := range r.slots {
			still = m.slotActions(w, x, slot, yield) && still
		}
		if m.busy(r) {
			slow--
		}
		if r.queue[0] != nil {
			late--
			yield(modelAction{kind: doDeliver, x: xi})
		}
		if trial := *w; m.handleDue(&trial, x) {
			still = false
			yield(modelAction{kind: doHandleDue, x: xi})
		}
		m.wishes(w, x, yield)
	}
	m.storeActions(w, yield)
	if still && slow >= 0 && late >= 0 {
		yield(modelAction{kind: doTick})
	}
}

// slotActions yields what can become of a slot's flow; it says whether time may
// pass before.
func (m *model) slotActions(w *world, x, slot int, yield func(modelAction)) bool {
	ln := &w.rep[x].slots[slot]
	d := modelAction{x: int8(x), slot: int8(slot)}
	with := func(do modelActionKind, how manner) {
		d.kind, d.how = do, how
		yield(d)
	}
	switch ln.phase {
	case slotAsking:
		with(doAct, answered)
		does := ln.act.(Action).Do
		commit := does == DoCommit
		if w.left.replies > 0 {
			with(doAct, delayed)
		}
		if w.left.lost > 0 {
			with(doAct, undone)
			if commit || does == DoEnd {
				with(doAct, silent)
			}
			if commit && w.float == nil {
				with(doAct, floating)
			}
		}
	case slotReplying:
		with(doReply, answered)
	case slotResponding:
		with(doHeard, answered)
		if w.left.unheard > 0 {
			with(doUnheard, answered)
		}
		return false
	}
	return true
}

// wishes yields what application, owner and fate want of a running replica.
func (m *model) wishes(w *world, x int, yield func(modelAction)) {
	r, d := &w.rep[x], modelAction{x: int8(x)}
	may := func(left int8, do modelActionKind) {
		if left > 0 {
			d.kind = do
			yield(d)
		}
	}
	if r.slots[slotBeat].phase == slotIdle && w.store.rev > 0 && !(m.paced && w.app.since < w.app.interval) {
		may(w.left.beats, doBeat)
	}
	if r.slots[slotOwner].phase == slotIdle {
		for i := range m.puts {
			if d.put = int8(i); (m.puts[i].Proposed < 0 || !m.asked(w)) && w.agents.may(m.puts[i].Agent) {
				may(w.left.puts, doPut)
			}
		}
		for i := range m.removals() {
			if d.put = int8(i); w.agents.may(m.removals()[i].Agent) {
				may(w.left.deletes, doDelete)
			}
		}
		d.put = 0
	}
	if r.slots[slotDrain].phase == slotIdle {
		for i := range m.drains {
			d.put = int8(i)
			may(w.left.drains, doDrain)
		}
		d.put = 0
	}
	if m.dueAt(w, x) {
		may(1, doRetention)
	}
	may(w.left.loads, doLoad)
	may(w.left.pauses, doPause)
	may(w.left.crashes, doCrash)
}

func (m *model) dueAt(w *world, x int) bool {
	r := &w.rep[x]
	return r.slots[slotRetain].phase == slotIdle && m.policy.due(m.input(w, x, slotRetain), &r.view.Record)
}

func (m *model) storeActions(w *world, yield func(modelAction)) {
	if w.left.revokes > 0 && w.store.Projection.Lease != 0 {
		yield(modelAction{kind: doRevoke})
	}
	if w.left.leaders > 0 {
		yield(modelAction{kind: doLeader})
	}
	if w.store.full {
		yield(modelAction{kind: doClear})
	} else if w.left.fulls > 0 {
		yield(modelAction{kind: doFull})
	}
	if w.float != nil {
		yield(modelAction{kind: doLateCommit})
		yield(modelAction{kind: doDropCommit})
	}
}

// do is the world after a action.
func (m *model) do(w world, d modelAction) world {
	x, slot := int(d.x), int(d.slot)
	r := &w.rep[x]
	switch d.kind {
	case doAct:
		switch d.how {
		case delayed:
			w.left.replies--
		case undone, silent, floating:
			w.left.lost--
		}
		m.execute(&w, x, slot, d.how)
	case doReply:
		m.reply(&w, x, slot, r.slots[slot].res.(Result))
	case doHeard, doUnheard:
		if d.kind == doHeard {
			w.app.interval = r.slots[slot].tells
		} else {
			w.left.unheard--
		}
		r.slots[slot] = modelSlot{}
	case doDeliver:
		m.deliver(&w, x)
	case doHandleDue:
		m.handleDue(&w, x)
	case doTick:
		m.checkCovered(&w)
		m.tick(&w)
	case doBeat:
		w.left.beats--
		m.beat(&w, x)
	case doPut:
		w.left.puts--
		w.app.since = 0
		m.asks(&w, &m.puts[d.put])
		w.agents.asks(m.puts[d.put].Agent)
		m.start(&w, x, slotOwner, UpdateFlow{Update: m.puts[d.put]})
	case doDelete:
		w.left.deletes--
		w.agents.leaves(m.removals()[d.put].Agent)
		m.start(&w, x, slotOwner, RemoveFlow{Removal: m.removals()[d.put]})
	case doDrain:
		w.left.drains--
		m.start(&w, x, slotDrain, DrainFlow{Request: m.drains[d.put]})
	case doRetention:
		m.start(&w, x, slotRetain, RetentionFlow{})
	default:
		m.fate(&w, x, d.kind)
	}
	m.checkWorld(&w)
	return w
}

// asked says whether an owner's request is under way where it matters which of two
// intervals was asked for last: an application does not ask for two at once.
func (m *model) asked(w *world) bool {
	return m.paced && (w.rep[0].slots[slotOwner].phase != slotIdle || w.rep[1].slots[slotOwner].phase != slotIdle)
}

// asks: an application that names an interval beats at the shorter of the two until it is
// told, and goes by the answer to what it asked last.
func (m *model) asks(w *world, u *Update) {
	if u.Proposed < 0 {
		return
	}
	w.app.interval = min(w.app.interval, int8(m.policy.Interval(u.Proposed)))
	for x := range w.rep {
		for i := range w.rep[x].slots {
			switch ln := &w.rep[x].slots[i]; ln.phase {
			case slotIdle, slotWaiting:
			case slotResponding:
				*ln = modelSlot{}
			default:
				ln.older = true
			}
		}
	}
}

// beat: a replica receives a heartbeat.
func (m *model) beat(w *world, x int) {
	w.app.since = 0
	for y := range w.rep {
		w.rep[y].ran, w.rep[y].wasAway = 0, false
	}
	if m.stamps {
		w.app.beatsReceived++
	}
	w.app.receiving = true
	m.start(w, x, slotBeat, BeatFlow{})
	w.app.receiving = false
}

// wall is the wall clock where stamps are judged: it stands still but for heartbeats, each
// of which takes a moment of its own.
func (m *model) wall(w *world) int64 {
	switch {
	case !m.stamps:
		return 0
	case w.app.receiving:
		return 2 * int64(w.app.beatsReceived)
	default:
		return 2*int64(w.app.beatsReceived) + 1
	}
}

func (m *model) fate(w *world, x int, do modelActionKind) {
	switch do {
	case doRevoke:
		w.left.revokes--
		m.end(w, w.store.Projection.Lease)
	case doFull:
		w.left.fulls--
		m.setFull(w, true)
	case doClear:
		m.setFull(w, false)
	case doLoad:
		w.left.loads--
		w.rep[x].heavy = !w.rep[x].heavy
	case doPause:
		w.left.pauses--
		w.rep[x].status = paused
	case doWake:
		m.wake(w, x)
	case doCrash:
		w.left.crashes--
		w.rep[x] = modelReplica{status: crashed, answeredAge: never}
	case doRestart:
		m.restart(w, x)
	case doLateCommit:
		f := w.float.(lateCommit)
		w.float = nil
		if m.commit(w, f.slot, &f.txn) == Done {
			for y := range w.rep {
				m.show(w, y, batchOf(&f.txn, w.store.rev))
			}
		}
	case doDropCommit:
		w.float = nil
	case doLeader:
		w.left.leaders--
		for i := range w.store.leases {
			w.store.leases[i].left = w.store.leases[i].ttl
		}
	}
}

// describe names a action for a trace.
func (m *model) describe(w *world, d modelAction) string {
	name := string(rune('A' + d.x))
	flow := [slotCount]string{"heartbeat", "refutation", "claim", "owner's request", "retention", "silence", "administrator's request", "end"}[d.slot]
	switch d.kind {
	case doAct:
		how := [...]string{"", ", reply on its way", ", reply lost", ", not carried out, no reply", ", given up, may land later"}[d.how]
		return name + "'s " + flow + ": " + w.rep[d.x].slots[d.slot].act.(Action).String() + how
	case doReply:
		return name + "'s " + flow + ": the delayed reply arrives"
	case doHeard, doUnheard:
		return fmt.Sprintf("the application %s the interval %d of %s's answer",
			map[modelActionKind]string{doHeard: "hears", doUnheard: "never hears"}[d.kind], w.rep[d.x].slots[d.slot].tells, name)
	case doDelete:
		return fmt.Sprintf("DELETE %+v at %s", m.removals()[d.put], name)
	case doPut:
		return fmt.Sprintf("PUT %+v at %s", m.puts[d.put], name)
	case doDrain:
		return fmt.Sprintf("%+v at %s", m.drains[d.put], name)
	}
	return fmt.Sprintf([...]string{doDeliver: "%s sees the next write", doHandleDue: "%s's tick handles the absence", doTick: "a second passes%.0s",
		doBeat: "heartbeat at %s", doRetention: "%s finds the retention over", doRevoke: "the live lease is revoked falsely%.0s",
		doFull: "the store is full%.0s", doClear: "the store has space again%.0s", doPause: "%s is paused", doWake: "%s goes on", doCrash: "%s crashes",
		doRestart: "%s starts again", doLoad: "%s learns of another load", doLateCommit: "the commit given up is carried out%.0s", doDropCommit: "the commit given up is lost%.0s",
		doLeader: "a new leader of the store extends every lease%.0s"}[d.kind], name)
}

// String names an action for a trace.
func (a Action) String() string {
	switch a.Do {
	case DoRead:
		return "READ"
	case DoHead:
		return "HEAD"
	case DoGrant:
		return fmt.Sprintf("GRANT for %d s", a.TTL)
	case DoRenew:
		return fmt.Sprintf("RENEW lease %d", a.Lease)
	case DoAge:
		return fmt.Sprintf("AGE of lease %d", a.Lease)
	case DoReserve:
		return fmt.Sprintf("RESERVE lease %d", a.Lease)
	case DoEnd:
		return fmt.Sprintf("END if lease %d has run out", a.Lease)
	case DoCommit:
		return fmt.Sprintf("%s at revision %d, lease %d, seq %d", a.Txn.Kind, a.Txn.RecordRevision, a.Txn.Record.Lease, a.Txn.Record.Seq)
	}
	return "ANSWER"
}
