package heartbeat

import (
	"math"
	"time"
)

type step uint8

const (
	stepStart step = iota
	stepRead
	stepGrant
	stepHold
	stepTurn
	stepCommit
	stepSettle
)

// RefuteFlow re-arms an instance whose projection vanished although this replica
// holds fresh evidence. It grants only what is left of the window, so that
// refuting never doubles the detection time. It ends with ErrUnavailable or
// ErrFull if it should be tried again, with ErrUnusable if that is of no use.
type RefuteFlow struct {
	step step
	// Careful: the last refutation of this absence did not put it back, so that what is
	// known may be late.
	Careful bool
	attempt
}

// Next implements Flow. What is known to be absent need not be read first: if it is not
// so any more, the transaction fails its compares.
func (f *RefuteFlow) Next(in Input, r Result) Action {
	switch f.step {
	case stepStart:
		if in.Known.Absent() && !f.Careful {
			f.snap = *in.Known
			return f.decide(in)
		}
		f.step = stepRead
		return Action{Do: DoRead}
	case stepRead:
		if r.Outcome == Unusable {
			return respond(ErrUnusable, Record{})
		}
		if r.Outcome != Done {
			return respond(ErrUnavailable, Record{})
		}
		f.snap = r.Snapshot
		return f.decide(in)
	case stepGrant:
		if r.Outcome != Done {
			return respond(failure(r.Outcome), f.snap.Record)
		}
		f.lease = r.Lease
		// However slow the grant was, the lease ends when the evidence is too old.
		if !in.Local.fresh(in.Now, &f.snap.Record) {
			return Action{Do: DoRespond, Response: Response{Record: f.snap.Record}, Revoke: f.lease}
		}
		f.step = stepCommit
		t := f.snap.rearm(f.lease)
		t.keepLastBeat(in.Local)
		if in.Health.Credited-in.Local.EvidenceCredit < t.Record.Silence {
			t.endSilence(in.Local) // it was kept by who had not heard this
		}
		return Action{Do: DoCommit, Txn: t}
	default:
		switch r.Outcome {
		case Done:
			return respond(nil, f.snap.Record)
		case Full:
			return Action{Do: DoRespond, Response: Response{Err: ErrFull}, Revoke: f.lease}
		case Unusable:
			return Action{Do: DoRespond, Response: Response{Err: ErrUnusable}, Revoke: f.lease}
		default:
			return f.retry(f.revocable(r.Outcome))
		}
	}
}

func (f *RefuteFlow) decide(in Input) Action {
	rec := &f.snap.Record
	if !f.snap.Absent() || !in.Local.fresh(in.Now, rec) {
		return respond(nil, *rec)
	}
	f.step = stepGrant
	return f.grant(in, seconds(rec.window()-(in.Now-in.Local.EvidenceAt)))
}

func (f *RefuteFlow) retry(retire LeaseID) Action {
	f.step = stepRead
	a, _ := f.nextRound(retire)
	return a
}

// ClaimFlow waits out the hold of an absent instance and then claims its silence:
// SUSPENDED, in one transaction at the revision that the hold began with. It ends
// without an error when there is nothing (more) to claim. Very many may wait at once,
// so it keeps no record: it claims the one that is known, which must be the one that
// the hold belongs to.
type ClaimFlow struct {
	step  step
	at    Revision // of the record, as of the read that began the hold
	since Instant  // credited time of the answer to that read
}

// Next implements Flow. After DoWait or DoTurn it is to be called again when what it
// waits for may have come.
func (f *ClaimFlow) Next(in Input, r Result) Action {
	switch f.step {
	case stepStart:
		return f.begin()
	case stepRead:
		if r.Outcome != Done {
			return respond(ErrUnavailable, Record{})
		}
		if !r.Snapshot.Absent() {
			return respond(nil, r.Snapshot.Record)
		}
		// The hold belongs to this revision, and starts after the answer (protocol CE3).
		f.at, f.since = r.Snapshot.At, in.Health.Credited
		return f.wait(in)
	case stepHold, stepTurn:
		return f.hold(in)
	default:
		switch r.Outcome {
		case Done:
			return respond(nil, in.Known.Record)
		case Full:
			f.since = in.Health.Credited
			return f.wait(in)
		default:
			return f.begin() // whoever won: read again and decide from the record
		}
	}
}

func (f *ClaimFlow) begin() Action {
	f.step = stepRead
	return Action{Do: DoRead}
}

// wait says when the hold can be over at the earliest.
func (f *ClaimFlow) wait(in Input) Action {
	f.step = stepHold
	if in.Health.Full {
		return Action{Do: DoWait, Wait: Wait{Space: true}}
	}
	until := max(f.since, in.Health.WritableSince) + in.Local.holdTime(in, &in.Known.Record)
	if in.Local.probation {
		until = max(until, in.Local.CountedFrom+in.Local.required(in.Health, &in.Known.Record))
		if at, ok := in.Local.keepAt(in.Health, &in.Known.Record); ok {
			until = min(until, max(at, in.Health.Credited+Tick)) // the tick keeps the silence first
		}
	}
	return Action{Do: DoWait, Wait: Wait{Until: max(until, in.Health.Credited+Tick)}}
}

func (f *ClaimFlow) hold(in Input) Action {
	rec := &in.Known.Record
	switch {
	case in.Local.fresh(in.Now, rec):
		return respond(nil, *rec) // refuting has its own lane
	case in.Known.At > f.at || !in.Known.Exists():
		return f.begin()
	case in.Known.At < f.at || in.behind(f.at) || in.Health.Full || !f.over(in): // the first: the watch is behind
		return f.wait(in)
	case !in.settled():
		f.step = stepHold
		return Action{Do: DoWait, Wait: Wait{Settled: in.Ended}}
	case f.step != stepTurn:
		f.step = stepTurn
		return Action{Do: DoToken}
	}
	f.step = stepCommit
	return Action{Do: DoCommit, Txn: in.Known.claim(in.Wall, in.Local.beatWall)}
}

// over: the hold counts credited time since the store had space, if it was full.
func (f *ClaimFlow) over(in Input) bool {
	rec := &in.Known.Record
	return in.Health.Credited-max(f.since, in.Health.WritableSince) >= in.Local.holdTime(in, rec) && in.Local.served(in.Health, rec)
}

// RetentionFlow removes an instance that has been SUSPENDED for too long. Removal
// cannot be taken back, so both the wall clock and this replica's own observation
// must agree.
type RetentionFlow struct {
	step step
	snap Snapshot
}

const maxObserved = time.Hour

// removal is when the retention of a SUSPENDED record is over, by the wall clock.
func (p *Policy) removal(r *Record) int64 {
	if p.DeregisterAfter <= 0 {
		return math.MaxInt64
	}
	return r.SuspendedAt + int64(p.DeregisterAfter)
}

// observed is for how long, in credited time, this replica must have seen a record
// SUSPENDED before it removes it.
func (p *Policy) observed() Instant { return min(p.DeregisterAfter, maxObserved) }

// due says whether a SUSPENDED record is over its retention.
func (p *Policy) due(in Input, r *Record) bool {
	return p.DeregisterAfter > 0 && r.State == Suspended && in.Local.suspended &&
		in.Wall >= p.removal(r) && in.Health.Credited-in.Local.SuspendedSince >= p.observed()
}

// Next implements Flow.
func (f *RetentionFlow) Next(in Input, r Result) Action {
	switch f.step {
	case stepStart:
		f.step = stepRead
		return Action{Do: DoRead}
	case stepRead:
		if r.Outcome != Done {
			return respond(ErrUnavailable, Record{})
		}
		f.snap = r.Snapshot
		if !f.snap.Exists() || !in.Policy.due(in, &f.snap.Record) {
			return respond(nil, f.snap.Record)
		}
		f.step = stepCommit
		return Action{Do: DoCommit, Txn: f.snap.remove(Retention, RetentionOver, in.Wall)}
	default:
		if r.Outcome == Done || r.Outcome == Conflict {
			return respond(nil, f.snap.Record)
		}
		return respond(failure(r.Outcome), f.snap.Record)
	}
}

// RepairFlow puts a projection back that vanished or differs without our doing,
// and erases one that has no record. An absent projection of a beating record is
// not repaired here: that is a silence, to be refuted or claimed.
type RepairFlow struct {
	step step
	ID   ID
	// Differs: the sweep saw that the projection at this revision is not ours.
	Differs Revision
	attempt
}

// Next implements Flow.
func (f *RepairFlow) Next(in Input, r Result) Action {
	switch f.step {
	case stepStart:
		f.step = stepRead
		return Action{Do: DoRead}
	case stepRead:
		if r.Outcome != Done {
			return respond(ErrUnavailable, Record{})
		}
		f.snap = r.Snapshot
		return f.decide(in)
	case stepGrant:
		if r.Outcome != Done {
			return respond(failure(r.Outcome), f.snap.Record)
		}
		f.lease = r.Lease
		rec := &f.snap.Record
		return f.commit(f.snap.move(rec.Interval, rec.Previous, rec.Window, f.lease))
	default:
		retire := f.revocable(r.Outcome)
		if r.Outcome == Done || r.Outcome == Conflict { // a conflict: somebody was faster, the next sweep looks again
			return Action{Do: DoRespond, Response: Response{Record: f.snap.Record}, Revoke: retire}
		}
		return Action{Do: DoRespond, Response: Response{Err: failure(r.Outcome)}, Revoke: retire}
	}
}

func (f *RepairFlow) decide(in Input) Action {
	rec, p := &f.snap.Record, f.snap.Projection
	switch {
	case !f.snap.Exists() && p.Present():
		return f.commit(f.snap.orphan(f.ID))
	case !f.snap.Exists():
		return respond(nil, Record{})
	case rec.Expires() && !p.Present():
		return respond(nil, *rec)
	case p.Present() && p.Lease != rec.Lease && rec.Expires():
		f.step = stepGrant
		return f.grant(in, rec.Window)
	case !p.Present() || p.Lease != rec.Lease || p.Revision == f.Differs:
		return f.commit(f.snap.repair())
	default:
		return respond(nil, *rec)
	}
}

func (f *RepairFlow) commit(t Txn) Action {
	f.step = stepCommit
	return Action{Do: DoCommit, Txn: t}
}
