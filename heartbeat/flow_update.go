package heartbeat

// Update is what a PUT asks for.
type Update struct {
	Owner      string
	Agent      string // that asks for it, and keeps the instance alive from now on; "": it did not say
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

type updateStep uint8

const (
	updateStart updateStep = iota
	updateRead
	updateGrant
	updateCommit
	updateRenew
)

// UpdateFlow carries a PUT through. A PUT that ends in ACTIVE is evidence.
type UpdateFlow struct {
	step    updateStep
	receipt Moment // of the request
	Update  Update
	attempt
	cell   Cell   // where the state table leads from the record that was read
	target Record // the record as it shall be, before lease and seq
	txn    Kind
	sent   bool // a commit of target was asked for, and may have happened
}

var updateSteps = newStepTable("UpdateFlow", []string{"start", "read", "grant", "commit", "renew"},
	on(updateStart, always, (*UpdateFlow).begin, "read it", updateRead),
	on(updateRead, []Outcome{Done}, (*UpdateFlow).afterRead, "refused; or nothing to change; or the transaction of the change, with a lease before it if it needs one; or a commit without a reply happened: as after it",
		updateGrant, updateCommit, updateRenew, updateRead, ended),
	on(updateRead, otherwise, end[*UpdateFlow](ErrUnavailable), "ErrUnavailable", ended),
	on(updateGrant, []Outcome{Done}, (*UpdateFlow).afterGrant, "the transaction; a grant that took too long is revoked: the next round", updateCommit, updateRead, ended),
	on(updateGrant, otherwise, (*UpdateFlow).ends, "ErrFull or ErrUnavailable", ended),
	on(updateCommit, []Outcome{Done}, (*UpdateFlow).afterCommit, "after RAISE the new lease is renewed", updateRenew, ended),
	on(updateCommit, []Outcome{Full, Taken}, (*UpdateFlow).ends, "ErrFull or ErrTaken; the lease is revoked", ended),
	on(updateCommit, otherwise, (*UpdateFlow).lost, "the next round; after three, or 64 conflicts, ErrUnavailable", updateRead, ended),
	on(updateRenew, always, (*UpdateFlow).finish, "changed; the lease that was left is revoked", ended),
)

// Next implements Flow.
func (f *UpdateFlow) Next(in Input, r Result) Action {
	return updateSteps.line(uint8(f.step), r.Outcome)(f, in, r)
}

func (f *UpdateFlow) begin(in Input, _ Result) Action {
	f.receipt = in.moment()
	if f.Update.Agent != "" {
		in.Heard.note(f.Update.Agent, in.Health.Credited)
	}
	f.step = updateRead
	return Action{Do: DoRead}
}

func (f *UpdateFlow) afterRead(in Input, r Result) Action {
	if f.sent && r.Snapshot.Record == f.target {
		return f.afterCommit(in, r) // what got no reply happened
	}
	f.snap = r.Snapshot
	return f.decide(in)
}

func (f *UpdateFlow) afterGrant(in Input, r Result) Action {
	f.lease = r.Lease
	if f.stale(in) {
		return f.retry(f.lease)
	}
	return f.commit(in)
}

// afterCommit renews the new lease after a move. A slow flow may have nearly used it up,
// and the live instance would end with it (no move to a used-up lease: protocol CE6).
func (f *UpdateFlow) afterCommit(in Input, r Result) Action {
	if f.txn == Raise {
		f.step = updateRenew
		return Action{Do: DoRenew, Lease: f.target.Lease}
	}
	return f.finish(in, r)
}

func (f *UpdateFlow) finish(Input, Result) Action {
	a := respond(nil, f.target)
	if f.snap.Record.Lease != f.target.Lease {
		a.Revoke = f.snap.Record.Lease
	}
	return a
}

func (f *UpdateFlow) lost(_ Input, r Result) Action {
	f.step = updateRead
	return f.nextOwnerRound(r.Outcome, f.revocable(r.Outcome))
}

func (f *UpdateFlow) retry(revoke LeaseID) Action {
	f.step = updateRead
	return f.nextRound(revoke)
}

// addEvidence: a PUT that ends in ACTIVE is evidence, from before its commit on, and also
// one that has nothing to change. Else this replica might claim what it has just answered.
func (f *UpdateFlow) addEvidence(in Input) {
	if f.target.Expires() {
		in.Local.AddEvidence(f.receipt)
	}
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
	}
	event, err := putEvent(old.State, f.Update.State, f.Update.Agent != "")
	if err == nil {
		f.cell = Next(old.State, event)
		err = f.cell.Err
	}
	if err != nil {
		return respond(err, old)
	}
	f.target = old
	f.target.State, f.target.Attributes, f.target.Place = f.cell.To, f.Update.Attributes, f.Update.Place
	f.renegotiate(in)
	f.txn = f.kind(old)
	changes := f.target != old
	f.target.Agents = old.Agents.with(f.Update.Agent)
	if !old.Expires() && f.target.Expires() { // they had nothing to send until now
		for agent := range f.target.Agents.each() {
			in.Heard.note(agent, in.Health.Credited)
		}
	}
	switch {
	case changes:
	case f.snap.Absent(): // a claim may be on its way, which the record must not await
		f.txn = Rearm
	case in.Known.Absent() && in.Known.At == f.snap.At: // so it may, although the read, a late one, still saw the projection
		return f.retry(0)
	case f.target.Expires() && (old.Silence != 0 || in.Local.mayKeep || old.Left): // the silence is over, and must not count after a restart
		f.txn = Heard
		return f.commit(in)
	case f.target != old:
		f.txn = Join
		return f.commit(in)
	default:
		f.addEvidence(in)
		return respond(nil, f.target)
	}
	if f.target.Expires() && f.txn != Rewrite && f.txn != Lower {
		f.step = updateGrant
		return f.grant(in, f.target.Window)
	}
	return f.commit(in)
}

// renegotiate applies another proposal; to propose the interval that was told changes
// nothing. The window is that of the new interval from the commit on, also where it is
// shorter: the application named the interval itself, and beats at the shorter of the
// two from its request until it is told. What the platform shortens by itself is
// another matter, for of that the application may not have heard (the window
// shrinks last: protocol CE7).
func (f *UpdateFlow) renegotiate(in Input) {
	n := &f.target
	if u := f.Update.Proposed; u == KeepInterval || u == n.Proposed || u == n.Interval && n.Beating() {
		return
	}
	n.Proposed = f.Update.Proposed
	told := n.Interval
	n.Interval = in.Policy.negotiate(n.Proposed, 0, in.Load)
	if n.Interval == told {
		return
	}
	window := in.Policy.Window(n.Interval)
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
	switch {
	case n.State != old.State && n.State == Active:
		return Activate
	case n.State != old.State:
		return Deactivate // only ACTIVE hangs on a lease
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
	f.step, f.sent = updateCommit, true
	var t Txn
	switch f.txn {
	case Rearm:
		t = f.snap.rearm(f.lease)
	case Heard:
		t = f.snap.heard()
	case Join:
		t = f.snap.join()
	default:
		t = f.change(in.Wall)
	}
	t.Record.Agents = f.target.Agents
	t.keepLastBeat(in.Local)
	if t.Record.Expires() {
		t.endSilence(in.Local)
	}
	t.Record.Left = false
	f.target = t.Record
	return Action{Do: DoCommit, Txn: t}
}

// change is the transaction that makes the record the target, and tells what changed.
func (f *UpdateFlow) change(wall int64) Txn {
	t := f.snap.begin(f.txn)
	c := f.cell
	if c.Change == StateChanged && f.target.Attributes != f.snap.Record.Attributes {
		c.Change = AttributesChanged // something else changed too (MEC 011 v3.1.1 §8.1.4.2)
	}
	if same := f.snap.Record; c.To.Drained() && c.To != same.State {
		if same.State = c.To; same == f.target {
			c.Change = NoChange // nothing that is shown
		}
	}
	t.Record = f.target
	t.apply(c, Cause{Kind: ByApplication}, wall)
	if c.To == Suspended {
		t.Record.SuspendedAt = f.snap.Record.SuspendedAt
	}
	stays := f.txn == Rewrite || f.txn == Lower
	switch {
	case !t.Record.Expires():
		t.putOn(0)
	case stays:
		t.putOn(f.snap.Record.Lease)
	default:
		t.putOn(f.lease)
	}
	switch {
	case !t.Record.Expires():
	case stays || f.txn == Raise:
		t.Presence, t.ProjectionRevision = ProjectionAt, f.snap.Projection.Revision
	case f.snap.Absent(): // as a re-arm
		t.Presence = NoProjection
	}
	return t
}
