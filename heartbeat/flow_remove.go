package heartbeat

type removeStep uint8

const (
	removeStart removeStep = iota
	removeRead
	removeCommit
)

// Removal is what a DELETE asks for.
type Removal struct {
	Owner string
	// Agent is the one that asks for it. While other agents keep the instance alive it stays,
	// and this one is no longer among them. "": it did not say, and the instance is removed.
	Agent string
	// AtPlace has it removed only if Agent's place has an agent among those that keep it alive,
	// and no other place has one: then it is what a predecessor left behind there.
	AtPlace bool
	// IfAt, if not 0, is the revision that the record must still have.
	IfAt Revision
}

// RemoveFlow deletes an instance for its owner, or has one of its agents leave.
type RemoveFlow struct {
	step    removeStep
	Removal Removal
	attempt
	leaves bool // the commit has only this agent leave
}

var removeSteps = newStepTable("RemoveFlow", []string{"start", "read", "commit"},
	on(removeStart, always, (*RemoveFlow).begin, "read it", removeRead),
	on(removeRead, []Outcome{Done}, (*RemoveFlow).afterRead, "the owner's: DELETE, or LEAVE while other agents keep it; else ErrNotFound, ErrNotOwner or ErrStale", removeCommit, ended),
	on(removeRead, otherwise, end[*RemoveFlow](ErrUnavailable), "ErrUnavailable", ended),
	on(removeCommit, []Outcome{Done}, (*RemoveFlow).afterCommit, "removed, and its lease is revoked; or ErrKept after LEAVE", ended),
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
	case f.snap.Record.Owner != f.Removal.Owner:
		return respond(ErrNotOwner, Record{})
	case f.Removal.IfAt != 0 && f.Removal.IfAt != f.snap.At:
		return respond(ErrStale, f.snap.Record)
	}
	rec := &f.snap.Record
	others := in.keeping(rec).without(f.Removal.Agent)
	f.leaves = f.Removal.Agent != "" && others != ""
	f.step = removeCommit
	if f.Removal.AtPlace {
		if !rec.Agents.onlyAt(place(f.Removal.Agent)) {
			return respond(ErrKept, *rec)
		}
		f.leaves = false
	}
	switch {
	case f.leaves && others == rec.Agents && (rec.Left || !rec.Expires()): // it left before
		return respond(ErrKept, *rec)
	case f.leaves:
		return Action{Do: DoCommit, Txn: f.snap.leave(others)}
	}
	return Action{Do: DoCommit, Txn: f.snap.remove(Remove, Delete, ByDeletion, in.Wall)}
}

func (f *RemoveFlow) afterCommit(Input, Result) Action {
	if f.leaves {
		return respond(ErrKept, f.snap.Record)
	}
	return respond(nil, f.snap.Record).revoking(f.snap.Record.Lease)
}

func (f *RemoveFlow) lost(_ Input, r Result) Action {
	f.step = removeRead
	return f.nextOwnerRound(r.Outcome, 0)
}
