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
			return answer(ErrUnusable, Record{})
		}
		if r.Outcome != Done {
			return answer(ErrUnavailable, Record{})
		}
		f.snap = r.Snapshot
		return f.decide(in)
	case stepGrant:
		if r.Outcome != Done {
			return answer(failure(r.Outcome), f.snap.Record)
		}
		f.lease = r.Lease
		// However slow the grant was, the lease ends when the evidence is too old.
		if !in.Local.fresh(in.Now, &f.snap.Record) {
			return Action{Do: DoAnswer, Answer: Response{Record: f.snap.Record}, Retire: f.lease}
		}
		f.step = stepCommit
		t := f.snap.rearm(f.lease)
		t.beaten(in.Local)
		if in.Gate.Credited-in.Local.HeardCredit < t.Record.Silence {
			t.ends(in.Local) // it was kept by who had not heard this
		}
		return Action{Do: DoCommit, Txn: t}
	default:
		switch r.Outcome {
		case Done:
			return answer(nil, f.snap.Record)
		case Full:
			return Action{Do: DoAnswer, Answer: Response{Err: ErrFull}, Retire: f.lease}
		case Unusable:
			return Action{Do: DoAnswer, Answer: Response{Err: ErrUnusable}, Retire: f.lease}
		default:
			return f.retry(f.lost(r.Outcome))
		}
	}
}

func (f *RefuteFlow) decide(in Input) Action {
	rec := &f.snap.Record
	if !f.snap.Absent() || !in.Local.fresh(in.Now, rec) {
		return answer(nil, *rec)
	}
	f.step = stepGrant
	return f.grant(in, seconds(rec.window()-(in.Now-in.Local.HeardAt)))
}

func (f *RefuteFlow) retry(retire LeaseID) Action {
	f.step = stepRead
	a, _ := f.again(retire)
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
			return answer(ErrUnavailable, Record{})
		}
		if !r.Snapshot.Absent() {
			return answer(nil, r.Snapshot.Record)
		}
		// The hold belongs to this revision, and starts after the answer (protocol CE3).
		f.at, f.since = r.Snapshot.At, in.Gate.Credited
		return f.wait(in)
	case stepHold, stepTurn:
		return f.hold(in)
	default:
		switch r.Outcome {
		case Done:
			return answer(nil, in.Known.Record)
		case Full:
			f.since = in.Gate.Credited
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
	if in.Gate.Full {
		return Action{Do: DoWait, Wait: Wait{Room: true}}
	}
	until := max(f.since, in.Gate.WritesAt) + in.Local.patience(in, &in.Known.Record)
	if in.Local.probation {
		until = max(until, in.Local.FromAt+in.Local.required(in.Gate, &in.Known.Record))
		if at, ok := in.Local.keepAt(in.Gate, &in.Known.Record); ok {
			until = min(until, max(at, in.Gate.Credited+Tick)) // the tick keeps the silence first
		}
	}
	return Action{Do: DoWait, Wait: Wait{Until: max(until, in.Gate.Credited+Tick)}}
}

func (f *ClaimFlow) hold(in Input) Action {
	rec := &in.Known.Record
	switch {
	case in.Local.fresh(in.Now, rec):
		return answer(nil, *rec) // refuting has its own lane
	case in.Known.At > f.at || !in.Known.Exists():
		return f.begin()
	case in.Known.At < f.at || in.behind(f.at) || in.Gate.Full || !f.over(in): // the first: the watch is behind
		return f.wait(in)
	case !in.settled():
		f.step = stepHold
		return Action{Do: DoWait, Wait: Wait{Settled: in.Ended}}
	case f.step != stepTurn:
		f.step = stepTurn
		return Action{Do: DoTurn}
	}
	f.step = stepCommit
	return Action{Do: DoCommit, Txn: in.Known.claim(in.Wall, in.Local.beatWall)}
}

// over: the hold counts credited time since the store had space, if it was full.
func (f *ClaimFlow) over(in Input) bool {
	rec := &in.Known.Record
	return in.Gate.Credited-max(f.since, in.Gate.WritesAt) >= in.Local.patience(in, rec) && in.Local.served(in.Gate, rec)
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
		in.Wall >= p.removal(r) && in.Gate.Credited-in.Local.SuspendedSince >= p.observed()
}

// Next implements Flow.
func (f *RetentionFlow) Next(in Input, r Result) Action {
	switch f.step {
	case stepStart:
		f.step = stepRead
		return Action{Do: DoRead}
	case stepRead:
		if r.Outcome != Done {
			return answer(ErrUnavailable, Record{})
		}
		f.snap = r.Snapshot
		if !f.snap.Exists() || !in.Policy.due(in, &f.snap.Record) {
			return answer(nil, f.snap.Record)
		}
		f.step = stepCommit
		return Action{Do: DoCommit, Txn: f.snap.remove(Retention, RetentionOver, in.Wall)}
	default:
		if r.Outcome == Done || r.Outcome == Conflict {
			return answer(nil, f.snap.Record)
		}
		return answer(failure(r.Outcome), f.snap.Record)
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
			return answer(ErrUnavailable, Record{})
		}
		f.snap = r.Snapshot
		return f.decide(in)
	case stepGrant:
		if r.Outcome != Done {
			return answer(failure(r.Outcome), f.snap.Record)
		}
		f.lease = r.Lease
		rec := &f.snap.Record
		return f.commit(f.snap.move(rec.Interval, rec.Previous, rec.Window, f.lease))
	default:
		retire := f.lost(r.Outcome)
		if r.Outcome == Done || r.Outcome == Conflict { // a conflict: somebody was faster, the next sweep looks again
			return Action{Do: DoAnswer, Answer: Response{Record: f.snap.Record}, Retire: retire}
		}
		return Action{Do: DoAnswer, Answer: Response{Err: failure(r.Outcome)}, Retire: retire}
	}
}

func (f *RepairFlow) decide(in Input) Action {
	rec, p := &f.snap.Record, f.snap.Projection
	switch {
	case !f.snap.Exists() && p.Present():
		return f.commit(f.snap.orphan(f.ID))
	case !f.snap.Exists():
		return answer(nil, Record{})
	case rec.Expires() && !p.Present():
		return answer(nil, *rec)
	case p.Present() && p.Lease != rec.Lease && rec.Expires():
		f.step = stepGrant
		return f.grant(in, rec.Window)
	case !p.Present() || p.Lease != rec.Lease || p.Revision == f.Differs:
		return f.commit(f.snap.repair())
	default:
		return answer(nil, *rec)
	}
}

func (f *RepairFlow) commit(t Txn) Action {
	f.step = stepCommit
	return Action{Do: DoCommit, Txn: t}
}
