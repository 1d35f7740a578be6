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

// RetentionFlow removes an instance that has been SUSPENDED for too long. A removal
// cannot be taken back, and a wall clock may be set: so both the wall clock and this
// replica's own observation must agree.
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
	return Action{Do: DoCommit, Txn: f.snap.remove(Retention, RetentionOver, in.Wall)}
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
func (p *Policy) observed() time.Duration { return min(p.DeregisterAfter, maxObserved) }

// due says whether a SUSPENDED record is over its retention.
func (p *Policy) due(in Input, r *Record) bool {
	return p.DeregisterAfter > 0 && r.State == Suspended && in.Local.suspended &&
		in.Wall >= p.removal(r) && in.Health.Credited.Sub(in.Local.SuspendedSince) >= p.observed()
}
