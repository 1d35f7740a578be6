package heartbeat

// RegisterFlow enters a new record. An entry into ACTIVE is evidence, as old as its
// request (protocol CE2), and from before its commit on: the answer to that may come
// later than the end of the lease and a whole hold.
type RegisterFlow struct {
	step    step
	receipt Moment // receipt of the request
	Record  Record // as it shall be; Interval and Window negotiated
	attempt
}

// Next implements Flow.
func (f *RegisterFlow) Next(in Input, r Result) Action {
	switch f.step {
	case stepStart:
		f.receipt = in.moment()
		f.receipt.Wall = f.Record.RegisteredAt
		if f.Record.Expires() {
			f.step = stepGrant
			return f.grant(in, f.Record.Window)
		}
		return f.commit(in, 0)
	case stepGrant:
		if r.Outcome != Done {
			return respond(failure(r.Outcome), f.Record)
		}
		if !f.stale(in) {
			return f.commit(in, r.Lease)
		}
		if f.rounds++; f.rounds >= maxRounds {
			return Action{Do: DoRespond, Response: Response{Err: ErrUnavailable, Record: f.Record}, Revoke: r.Lease}
		}
		a := f.grant(in, f.Record.Window)
		a.Revoke = r.Lease
		return a
	case stepCommit:
		return f.committed(r)
	default: // stepSettle: did the commit happen?
		if r.Outcome == Done && r.Snapshot.Exists() {
			return respond(nil, r.Snapshot.Record)
		}
		return respond(ErrUnavailable, f.Record)
	}
}

func (f *RegisterFlow) commit(in Input, l LeaseID) Action {
	if f.Record.Expires() {
		in.Local.AddEvidence(f.receipt)
	}
	f.step, f.lease = stepCommit, l
	t := register(f.Record, l)
	f.Record = t.Record
	return Action{Do: DoCommit, Txn: t}
}

func (f *RegisterFlow) committed(r Result) Action {
	switch r.Outcome {
	case Done:
		return respond(nil, f.Record)
	case Full:
		return Action{Do: DoRespond, Response: Response{Err: ErrFull}, Revoke: f.lease}
	case Conflict:
		return Action{Do: DoRespond, Response: Response{Err: ErrUnavailable}, Revoke: f.lease}
	case Taken:
		return Action{Do: DoRespond, Response: Response{Err: ErrTaken}, Revoke: f.lease}
	default:
		f.step = stepSettle
		return Action{Do: DoRead}
	}
}

// Update is what a PUT asks for.
type Update struct {
	Owner      string
	Attributes string
	Place      string // see Record.Place
	State      State
	// Proposed is the interval proposed, in seconds; KeepInterval leaves what is.
	Proposed int
	// IfAt, if not 0, is the revision that the record must still have.
	IfAt Revision
}

// KeepInterval as Update.Proposed keeps the interval that was negotiated.
const KeepInterval = -2

// UpdateFlow carries a PUT through. A PUT that ends in ACTIVE is evidence.
type UpdateFlow struct {
	step    step
	receipt Moment // receipt of the request
	Update  Update
	attempt
	target Record // the record as it shall be, before lease and seq
	txn    Kind
	sent   bool // a commit of next was asked for, and may have happened
}

// Next implements Flow.
func (f *UpdateFlow) Next(in Input, r Result) Action {
	switch f.step {
	case stepStart:
		f.receipt = in.moment()
		f.step = stepRead
		return Action{Do: DoRead}
	case stepRead:
		if r.Outcome != Done {
			return respond(ErrUnavailable, Record{})
		}
		if f.sent && r.Snapshot.Record == f.target {
			return f.committed() // what got no answer happened
		}
		f.snap = r.Snapshot
		return f.decide(in)
	case stepGrant:
		if r.Outcome != Done {
			return respond(failure(r.Outcome), f.snap.Record)
		}
		f.lease = r.Lease
		if f.stale(in) {
			return f.retry(f.lease)
		}
		return f.commit(in)
	case stepSettle: // the new lease is renewed after the move (protocol CE6)
		return f.finish()
	default:
		switch r.Outcome {
		case Done:
			return f.committed()
		case Full:
			return Action{Do: DoRespond, Response: Response{Err: ErrFull}, Revoke: f.lease}
		case Taken:
			return Action{Do: DoRespond, Response: Response{Err: ErrTaken}, Revoke: f.lease}
		default:
			f.step = stepRead
			a, _ := f.nextOwnerRound(r.Outcome, f.revocable(r.Outcome))
			return a
		}
	}
}

func (f *UpdateFlow) committed() Action {
	if f.txn == Raise {
		f.step = stepSettle
		return Action{Do: DoRenew, Lease: f.target.Lease}
	}
	return f.finish()
}

// hear: a PUT that ends in ACTIVE is evidence, from before its commit on, and also one
// that has nothing to change.
func (f *UpdateFlow) addEvidence(in Input) {
	if f.target.Expires() {
		in.Local.AddEvidence(f.receipt)
	}
}

func (f *UpdateFlow) finish() Action {
	a := respond(nil, f.target)
	if f.snap.Record.Lease != f.target.Lease {
		a.Revoke = f.snap.Record.Lease
	}
	return a
}

func (f *UpdateFlow) retry(retire LeaseID) Action {
	f.step = stepRead
	a, _ := f.nextRound(retire)
	return a
}

func (f *UpdateFlow) decide(in Input) Action {
	old := f.snap.Record
	f.sent = false
	switch {
	case !f.snap.Exists():
		return respond(ErrNotFound, Record{})
	case old.Owner != f.Update.Owner:
		return respond(ErrNotOwner, Record{})
	case f.Update.IfAt != 0 && f.Update.IfAt != f.snap.At:
		return respond(ErrStale, old)
	case f.Update.State == Suspended && old.State != Suspended:
		return respond(ErrNoCell, old) // only the platform suspends
	}
	f.target = old
	f.target.State, f.target.Attributes, f.target.Place = f.Update.State, f.Update.Attributes, f.Update.Place
	f.renegotiate(in.Policy)
	f.txn = f.kind(old)
	switch {
	case f.target != old:
	case f.snap.Absent(): // a claim may be on its way, which the record must not await
		f.txn = Rearm
	case in.Known.Absent() && in.Known.At == f.snap.At: // so it may, although the read, a late one, still saw the projection
		return f.retry(0)
	case f.target.Expires() && (old.Silence != 0 || in.Local.mayKeep): // it is over, and must not count after a restart
		f.txn = Heard
		return f.commit(in)
	default:
		f.addEvidence(in)
		return respond(nil, f.target)
	}
	if f.target.Expires() && f.txn != Rewrite && f.txn != Lower {
		f.step = stepGrant
		return f.grant(in, f.target.Window)
	}
	return f.commit(in)
}

// renegotiate applies another proposal; to give back the interval that was told is
// none. The window is that of the new interval from the commit on, also where it is
// shorter: the application named the interval itself, and beats at the shorter of the
// two from its request until it is told. What the platform shortens by itself is
// another matter, for of that the application may not have heard (protocol CE7).
func (f *UpdateFlow) renegotiate(p *Policy) {
	n := &f.target
	if u := f.Update.Proposed; u == KeepInterval || u == n.Proposed || u == n.Interval && n.Beating() {
		return
	}
	n.Proposed = f.Update.Proposed
	told := n.Interval
	n.Interval = p.Interval(n.Proposed)
	if n.Interval == told {
		return
	}
	window := p.Window(n.Interval)
	switch {
	case n.Interval == 0: // no heartbeats any more
		n.Previous, n.Window = 0, 0
	case n.State == Active && told > 0:
		n.Previous, n.Window = told, window
	default:
		n.Previous, n.Window = 0, window
	}
}

// kind names the transaction by the record as it was and shall be.
func (f *UpdateFlow) kind(old Record) Kind {
	n := &f.target
	switch ev := putEvent(old.State, n.State); {
	case ev == PutInactive:
		return Deactivate
	case ev == PutActive:
		return Activate
	case !old.Expires() && !n.Expires():
		return Rewrite
	case !old.Expires() || n.Expires() && !f.snap.Projection.Present():
		return Activate // needs a lease, whatever hung there before
	case !n.Expires():
		return Deactivate // stays ACTIVE, but without heartbeats
	case n.Window != old.Window || f.snap.Projection.Lease != old.Lease:
		return Raise
	case n.Interval < old.Interval:
		return Lower
	default:
		return Rewrite
	}
}

func (f *UpdateFlow) commit(in Input) Action {
	f.addEvidence(in)
	f.step, f.sent = stepCommit, true
	if f.txn == Rearm {
		t := f.snap.rearm(f.lease)
		t.endSilence(in.Local)
		f.target = t.Record
		return Action{Do: DoCommit, Txn: t}
	}
	if f.txn == Heard {
		t := f.snap.heard()
		t.endSilence(in.Local)
		f.target = t.Record
		return Action{Do: DoCommit, Txn: t}
	}
	t := f.snap.begin(f.txn)
	ev := putEvent(f.snap.Record.State, f.target.State)
	c := Next(f.snap.Record.State, ev)
	if c.Change == StateChanged && f.target.Attributes != f.snap.Record.Attributes {
		c.Change = AttributesChanged // something else changed too (MEC 011 v3.1.1 §8.1.4.2)
	}
	t.Record = f.target
	t.apply(c, in.Wall)
	if c.To == Suspended {
		t.Record.SuspendedAt = f.snap.Record.SuspendedAt
	}
	switch {
	case !t.Record.Expires():
		t.putOn(0)
	case f.txn == Rewrite || f.txn == Lower:
		t.putOn(f.snap.Record.Lease)
		t.Presence, t.ProjectionRevision = ProjectionAt, f.snap.Projection.Revision
	case f.txn == Raise:
		t.putOn(f.lease)
		t.Presence, t.ProjectionRevision = ProjectionAt, f.snap.Projection.Revision
	case f.snap.Absent(): // as a re-arm
		t.putOn(f.lease)
		t.Presence = NoProjection
	default:
		t.putOn(f.lease)
	}
	t.keepLastBeat(in.Local)
	if t.Record.Expires() {
		t.endSilence(in.Local)
	}
	f.target = t.Record
	return Action{Do: DoCommit, Txn: t}
}
