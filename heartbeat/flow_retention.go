package heartbeat

import (
	"math"
	"time"
)

type retentionStep uint8

const (
	retentionStart retentionStep = iota
	retentionRead
	retentionCommit
)

// RetentionFlow removes an instance that has been SUSPENDED for too long, or one that an agent
// has left and nobody was heard of since. A removal cannot be taken back, and a wall clock may
// be set: so both the wall clock and this replica's own observation must agree.
type RetentionFlow struct {
	step retentionStep
	attempt
}

var retentionSteps = newStepTable("RetentionFlow", []string{"start", "read", "commit"},
	on(retentionStart, always, (*RetentionFlow).begin, "read it", retentionRead),
	on(retentionRead, []Outcome{Done}, (*RetentionFlow).afterRead, "SUSPENDED, and over by both clocks: RETENTION", retentionCommit, ended),
	on(retentionRead, otherwise, end[*RetentionFlow](ErrUnavailable), "ErrUnavailable", ended),
	on(retentionCommit, always, (*RetentionFlow).ends, "removed; else an error", ended),
)

// Next implements Flow.
func (f *RetentionFlow) Next(in Input, r Result) Action {
	return retentionSteps.line(uint8(f.step), r.Outcome)(f, in, r)
}

func (f *RetentionFlow) begin(Input, Result) Action {
	f.step = retentionRead
	return Action{Do: DoRead}
}

func (f *RetentionFlow) afterRead(in Input, r Result) Action {
	f.snap = r.Snapshot
	if !f.snap.Exists() || !in.Policy.due(in, &f.snap.Record) {
		return respond(nil, f.snap.Record)
	}
	f.step = retentionCommit
	return Action{Do: DoCommit, Txn: f.snap.remove(Retention, RetentionOver, ByRetention, in.Wall)}
}

const maxObserved = time.Hour

// removal is when the retention of a SUSPENDED record is over, by the wall clock. One whose
// agents left was to be removed anyway, if its others had not been thought to live.
func (p *Policy) removal(r *Record) int64 {
	switch {
	case r.Left:
		return r.SuspendedAt
	case p.DeregisterAfter <= 0, int64(p.DeregisterAfter) > math.MaxInt64-r.SuspendedAt: // centuries
		return math.MaxInt64
	default:
		return r.SuspendedAt + int64(p.DeregisterAfter)
	}
}

// removes says whether a record is ever removed for being SUSPENDED.
func (p *Policy) removes(r *Record) bool { return p.removal(r) != math.MaxInt64 }

// observed is for how long, in credited time, this replica must have seen a record
// SUSPENDED before it removes it.
func (p *Policy) observed(r *Record) time.Duration {
	if r.Left {
		return 0
	}
	return min(p.DeregisterAfter, maxObserved)
}

// due says whether a SUSPENDED record is over its retention.
func (p *Policy) due(in Input, r *Record) bool {
	return r.State == Suspended && in.Local.suspended &&
		in.Wall >= p.removal(r) && in.Health.Credited.Sub(in.Local.SuspendedSince) >= p.observed(r)
}
