package heartbeat

type refuteStep uint8

const (
	refuteStart refuteStep = iota
	refuteRead
	refuteGrant
	refuteCommit
)

// RefuteFlow re-arms an instance whose projection vanished although this replica
// holds fresh evidence. It grants only what is left of the window, so that
// refuting never doubles the detection time. It ends with ErrUnavailable or
// ErrFull if it should be tried again, with ErrUnusable if that is of no use.
type RefuteFlow struct {
	step refuteStep
	// Careful: the last refutation of this absence did not put the projection back, so
	// that what this replica knows may be out of date, and is read first.
	Careful bool
	attempt
}

var refuteSteps = newStepTable("RefuteFlow", []string{"start", "read", "grant", "commit"},
	on(refuteStart, always, (*RefuteFlow).begin, "known to be absent and not careful: decide as after the read", refuteRead, refuteGrant, ended),
	on(refuteRead, []Outcome{Done}, (*RefuteFlow).afterRead, "absent, with fresh evidence: a lease for what is left of the window", refuteGrant, ended),
	on(refuteRead, []Outcome{Unusable}, end[*RefuteFlow](ErrUnusable), "ErrUnusable", ended),
	on(refuteRead, otherwise, end[*RefuteFlow](ErrUnavailable), "ErrUnavailable", ended),
	on(refuteGrant, []Outcome{Done}, (*RefuteFlow).afterGrant, "REARM, if the evidence is still fresh", refuteCommit, ended),
	on(refuteGrant, otherwise, (*RefuteFlow).ends, "ErrFull or ErrUnavailable", ended),
	on(refuteCommit, []Outcome{Done, Full, Unusable}, (*RefuteFlow).ends, "it is back; or ErrFull or ErrUnusable and the lease is revoked", ended),
	on(refuteCommit, otherwise, (*RefuteFlow).lost, "the next round; after three ErrUnavailable", refuteRead, ended),
)

// Next implements Flow.
func (f *RefuteFlow) Next(in Input, r Result) Action {
	return refuteSteps.line(uint8(f.step), r.Outcome)(f, in, r)
}

// begin reads nothing that is known to be absent: if it is not so any more, the
// transaction fails its compares.
func (f *RefuteFlow) begin(in Input, _ Result) Action {
	if in.Known.Absent() && !f.Careful {
		return f.decide(in, *in.Known)
	}
	f.step = refuteRead
	return Action{Do: DoRead}
}

func (f *RefuteFlow) afterRead(in Input, r Result) Action { return f.decide(in, r.Snapshot) }

func (f *RefuteFlow) decide(in Input, s Snapshot) Action {
	f.snap = s
	rec := &f.snap.Record
	if !f.snap.Absent() || !in.Local.fresh(in.Now, rec) {
		return respond(nil, *rec)
	}
	f.step = refuteGrant
	return f.grant(in, seconds(rec.window()-in.Now.Sub(in.Local.EvidenceAt)))
}

// afterGrant uses the lease however slow the grant was: it ends when the evidence is too old.
func (f *RefuteFlow) afterGrant(in Input, r Result) Action {
	f.lease = r.Lease
	if !in.Local.fresh(in.Now, &f.snap.Record) {
		return respond(nil, f.snap.Record).revoking(f.lease)
	}
	f.step = refuteCommit
	t := f.snap.rearm(f.lease)
	t.keepLastBeat(in.Local)
	if in.Health.Credited.Sub(in.Local.EvidenceCredit) < t.Record.Silence {
		t.endSilence(in.Local) // whoever recorded the silence had not heard this
	}
	return Action{Do: DoCommit, Txn: t}
}

func (f *RefuteFlow) lost(_ Input, r Result) Action {
	f.step = refuteRead
	return f.nextRound(f.revocable(r.Outcome))
}
