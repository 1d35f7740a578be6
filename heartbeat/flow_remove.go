package heartbeat

type removeStep uint8

const (
	removeStart removeStep = iota
	removeRead
	removeCommit
)

// RemoveFlow deletes an instance for its owner.
type RemoveFlow struct {
	step  removeStep
	Owner string
	// IfAt, if not 0, is the revision that the record must still have.
	IfAt Revision
	attempt
}

var removeSteps = newStepTable("RemoveFlow", []string{"start", "read", "commit"},
	on(removeStart, always, (*RemoveFlow).begin, "read it", removeRead),
	on(removeRead, []Outcome{Done}, (*RemoveFlow).afterRead, "the owner's: DELETE; else ErrNotFound, ErrNotOwner or ErrStale", removeCommit, ended),
	on(removeRead, otherwise, end[*RemoveFlow](ErrUnavailable), "ErrUnavailable", ended),
	on(removeCommit, []Outcome{Done}, (*RemoveFlow).afterCommit, "removed; its lease is revoked", ended),
	on(removeCommit, []Outcome{Full}, (*RemoveFlow).ends, "ErrFull", ended),
	on(removeCommit, otherwise, (*RemoveFlow).lost, "the next round; after three, or 64 conflicts, ErrUnavailable", removeRead, ended),
)

// Next implements Flow.
func (f *RemoveFlow) Next(in Input, r Result) Action {
	return removeSteps.line(uint8(f.step), r.Outcome)(f, in, r)
}

func (f *RemoveFlow) begin(Input, Result) Action {
	f.step = removeRead
	return Action{Do: DoRead}
}

func (f *RemoveFlow) afterRead(in Input, r Result) Action {
	f.snap = r.Snapshot
	switch {
	case !f.snap.Exists() && f.rounds+f.conflicts > 0:
		return respond(nil, Record{}) // it was there when this request came
	case !f.snap.Exists():
		return respond(ErrNotFound, Record{})
	case f.snap.Record.Owner != f.Owner:
		return respond(ErrNotOwner, Record{})
	case f.IfAt != 0 && f.IfAt != f.snap.At:
		return respond(ErrStale, f.snap.Record)
	}
	f.step = removeCommit
	return Action{Do: DoCommit, Txn: f.snap.remove(Remove, Delete, in.Wall)}
}

func (f *RemoveFlow) afterCommit(Input, Result) Action {
	return respond(nil, f.snap.Record).revoking(f.snap.Record.Lease)
}

func (f *RemoveFlow) lost(_ Input, r Result) Action {
	f.step = removeRead
	return f.nextOwnerRound(r.Outcome, 0)
}
