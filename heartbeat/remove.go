package heartbeat

// RemoveFlow deletes an instance for its owner.
type RemoveFlow struct {
	step  step
	Owner string
	IfAt  Revision
	attempt
}

// Next implements Flow.
func (f *RemoveFlow) Next(in Input, r Result) Action {
	switch f.step {
	case stepStart:
		f.step = stepRead
		return Action{Do: DoRead}
	case stepRead:
		if r.Outcome != Done {
			return respond(ErrUnavailable, Record{})
		}
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
		f.step = stepCommit
		return Action{Do: DoCommit, Txn: f.snap.remove(Remove, Delete, in.Wall)}
	default:
		switch r.Outcome {
		case Done:
			a := respond(nil, f.snap.Record)
			a.Revoke = f.snap.Record.Lease
			return a
		case Full:
			return respond(ErrFull, f.snap.Record)
		default:
			f.step = stepRead
			a, _ := f.nextOwnerRound(r.Outcome, 0)
			return a
		}
	}
}
