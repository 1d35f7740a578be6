package heartbeat

type repairStep uint8

const (
	repairStart repairStep = iota
	repairRead
	repairGrant
	repairCommit
)

// RepairFlow puts a projection back that vanished or differs without our doing,
// and erases one that has no record. An absent projection of a record that requires
// heartbeats is not repaired here: that is a silence, to be refuted or claimed.
type RepairFlow struct {
	step repairStep
	ID   ID
	// Differs: the sweep saw that the projection at this revision is not ours.
	Differs Revision
	attempt
}

var repairSteps = newStepTable("RepairFlow", []string{"start", "read", "grant", "commit"},
	on(repairStart, always, (*RepairFlow).begin, "read it", repairRead),
	on(repairRead, []Outcome{Done}, (*RepairFlow).afterRead, "no record: ORPHAN; on another lease: a new one; missing or changed: REPAIR", repairGrant, repairCommit, ended),
	on(repairRead, otherwise, end[*RepairFlow](ErrUnavailable), "ErrUnavailable", ended),
	on(repairGrant, []Outcome{Done}, (*RepairFlow).afterGrant, "RAISE: record and projection on the new lease", repairCommit),
	on(repairGrant, otherwise, (*RepairFlow).ends, "ErrFull or ErrUnavailable", ended),
	on(repairCommit, always, (*RepairFlow).ends, "repaired; else an error, and the next sweep compares again", ended),
)

// Next implements Flow.
func (f *RepairFlow) Next(in Input, r Result) Action {
	return repairSteps.line(uint8(f.step), r.Outcome)(f, in, r)
}

func (f *RepairFlow) begin(Input, Result) Action {
	f.step = repairRead
	return Action{Do: DoRead}
}

func (f *RepairFlow) afterRead(in Input, r Result) Action {
	f.snap = r.Snapshot
	rec, p := &f.snap.Record, f.snap.Projection
	switch {
	case !f.snap.Exists() && p.Present():
		return f.commit(f.snap.orphan(f.ID))
	case !f.snap.Exists():
		return respond(nil, Record{})
	case rec.Expires() && !p.Present():
		return respond(nil, *rec)
	case p.Present() && p.Lease != rec.Lease && rec.Expires():
		f.step = repairGrant
		return f.grant(in, rec.Window)
	case !p.Present() || p.Lease != rec.Lease || p.Revision == f.Differs:
		return f.commit(f.snap.repair())
	default:
		return respond(nil, *rec)
	}
}

func (f *RepairFlow) afterGrant(_ Input, r Result) Action {
	f.lease = r.Lease
	rec := &f.snap.Record
	return f.commit(f.snap.move(rec.Interval, rec.Previous, rec.Window, f.lease))
}

func (f *RepairFlow) commit(t Txn) Action {
	f.step = repairCommit
	return Action{Do: DoCommit, Txn: t}
}
