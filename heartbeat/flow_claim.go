package heartbeat

type claimStep uint8

const (
	claimStart  claimStep = iota
	claimRead             // the hold begins with the reply to this read
	claimHold             // it waits for the end of the hold, for space, or for other replicas
	claimToken            // it waits for the rate limit alone
	claimCommit           // the claim is on its way
)

// ClaimFlow waits out the hold of an absent instance and then claims its silence:
// SUSPENDED, in one transaction at the revision that the hold began with. It ends
// without an error when there is nothing (more) to claim. Very many may wait at once,
// so it keeps no record: it claims the one that is known, which must be the one that
// the hold belongs to.
type ClaimFlow struct {
	step  claimStep
	at    Revision // of the record, as of the read that began the hold
	since Credit   // of the reply to that read
}

var claimSteps = newStepTable("ClaimFlow", []string{"start", "read", "hold", "token", "commit"},
	on(claimStart, always, (*ClaimFlow).begin, "read it", claimRead),
	on(claimRead, []Outcome{Done}, (*ClaimFlow).afterRead, "absent: the hold begins at this revision", claimHold, ended),
	on(claimRead, otherwise, end[*ClaimFlow](ErrUnavailable), "ErrUnavailable", ended),
	on(claimHold, always, (*ClaimFlow).afterHold, "over: the rate limit; another revision: a new hold; fresh evidence: the end", claimHold, claimToken, claimRead, ended),
	on(claimToken, always, (*ClaimFlow).afterHold, "still over: CLAIM at the revision of the hold; else as at hold", claimCommit, claimHold, claimRead, ended),
	on(claimCommit, []Outcome{Done}, (*ClaimFlow).committed, "SUSPENDED", ended),
	on(claimCommit, []Outcome{Full}, (*ClaimFlow).full, "the hold begins again when there is space", claimHold),
	on(claimCommit, otherwise, (*ClaimFlow).begin, "whoever won: read again and decide from the record", claimRead),
)

// Next implements Flow. After DoWait or DoToken it is to be called again when what it
// waits for may have come.
func (f *ClaimFlow) Next(in Input, r Result) Action {
	return claimSteps.line(uint8(f.step), r.Outcome)(f, in, r)
}

// claimAfterEnd is the claim of an instance that this replica has ended; nil: it was written since. END
// compares the record, and erases the projection: so its reply says all that the reply to the read
// says with which a hold begins else.
func claimAfterEnd(in Input, t *Txn) *ClaimFlow {
	if !in.Known.Absent() || in.Known.At != t.RecordRevision {
		return nil
	}
	return &ClaimFlow{step: claimHold, at: t.RecordRevision, since: in.Health.Credited}
}

// leaveRateLimit has a claim that waits for a token ask for one again. It is to be called
// when the claim goes on for another reason: else a mass of claims would pass the limit.
func (f *ClaimFlow) leaveRateLimit() {
	if f.step == claimToken {
		f.step = claimHold
	}
}

func (f *ClaimFlow) begin(Input, Result) Action {
	f.step = claimRead
	return Action{Do: DoRead}
}

// afterRead begins the hold. A claim of an instance that came back and went meanwhile would
// follow without any hold for its last absence: so a hold begins with the reply, at the
// record's revision then, and is of no use for another (a hold has one revision: protocol CE3).
func (f *ClaimFlow) afterRead(in Input, r Result) Action {
	if !r.Snapshot.Absent() {
		return respond(nil, r.Snapshot.Record)
	}
	f.at, f.since = r.Snapshot.At, in.Health.Credited
	return f.wait(in)
}

func (f *ClaimFlow) full(in Input, _ Result) Action {
	f.since = in.Health.Credited
	return f.wait(in)
}

func (f *ClaimFlow) committed(in Input, _ Result) Action { return respond(nil, in.Known.Record) }

// wait says when the hold can be over at the earliest.
func (f *ClaimFlow) wait(in Input) Action {
	f.step = claimHold
	if in.Health.Full {
		return Action{Do: DoWait, Wait: Wait{Space: true}}
	}
	until := max(f.since, in.Health.WritableSince).Add(in.Local.holdTime(in, &in.Known.Record))
	if in.Local.probation {
		until = max(until, in.Local.CountedFrom.Add(in.Local.required(in.Health, &in.Known.Record)))
		if at, ok := in.Local.keepAt(in.Health, &in.Known.Record); ok {
			until = min(until, max(at, in.Health.Credited.Add(Tick))) // the tick records the silence first
		}
	}
	return Action{Do: DoWait, Wait: Wait{Until: max(until, in.Health.Credited.Add(Tick))}}
}

// afterHold decides whether the hold is over.
func (f *ClaimFlow) afterHold(in Input, r Result) Action {
	rec := &in.Known.Record
	switch {
	case in.Local.fresh(in.Now, rec):
		return respond(nil, *rec) // a refutation has workers of its own
	case in.Known.At > f.at || !in.Known.Exists():
		return f.begin(in, r)
	case in.Known.At < f.at || in.behind(f.at) || in.Health.Full || !f.waited(in): // the first: the watch is behind
		return f.wait(in)
	}
	switch in.Local.noteDisturbance(in.Health); {
	case !in.Local.probationOver(in.Health, rec):
		return f.wait(in)
	case !in.settled():
		f.step = claimHold
		return Action{Do: DoWait, Wait: Wait{Settled: in.Ended}}
	case f.step != claimToken:
		f.step = claimToken
		return Action{Do: DoToken}
	}
	f.step = claimCommit
	return Action{Do: DoCommit, Txn: in.Known.claim(in.Replica, in.Wall, in.Local.beatWall)}
}

// waited says whether the hold is over. While the store is full no refutation gets
// through, so it counts credited time since there was space (holds restart then: protocol CE9).
func (f *ClaimFlow) waited(in Input) bool {
	return in.Health.Credited.Sub(max(f.since, in.Health.WritableSince)) >= in.Local.holdTime(in, &in.Known.Record)
}
