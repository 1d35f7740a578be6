package heartbeat

import "time"

// Kind names a transaction as docs/protocol.md does.
type Kind uint8

// The transactions; docs/protocol.md says what each compares and writes, and why.
const (
	Register Kind = iota
	Rearm         // a projection that was missing is put back
	Claim         // a silence: SUSPENDED
	Resume
	Deactivate // a PUT to INACTIVE, or to no heartbeats
	Activate   // a PUT to ACTIVE, or to heartbeats
	Rewrite    // attributes, or the same state written again
	Raise      // also every other move of a present projection to another lease
	Lower      // a shorter interval
	Settle     // the application has taken up the interval that it was told
	Join       // another agent keeps it alive too
	Leave      // an agent does not any more, others do
	Remove     // by the owner
	Retention  // SUSPENDED for too long: removed
	Withdraw   // an administrator drains it, or says why it is drained
	Readmit    // and undrains it
	Silent     // the record keeps a silence that has lasted
	Heard      // a heartbeat ended that
	Expire     // a lease is over that etcd extended at a start
	End        // a lease has run out, and its store has not taken away yet what hung on it
	Repair     // a projection is put as its record says
	Orphan     // a projection without a record is erased
	numKinds   = iota
)

// Kinds lists every kind of transaction, for metrics and tests.
var Kinds = [numKinds]Kind{Register, Rearm, Claim, Resume, Deactivate, Activate, Rewrite, Raise, Lower, Settle, Join, Leave, Remove, Retention,
	Withdraw, Readmit, Silent, Heard, Expire, End, Repair, Orphan}

var kindNames = [numKinds]string{Register: "REGISTER", Rearm: "REARM", Claim: "CLAIM", Resume: "RESUME", Deactivate: "DEACTIVATE",
	Activate: "ACTIVATE", Rewrite: "REWRITE", Raise: "RAISE", Lower: "LOWER", Settle: "SETTLE", Join: "JOIN", Leave: "LEAVE", Remove: "DELETE", Retention: "RETENTION",
	Withdraw: "WITHDRAW", Readmit: "READMIT", Silent: "SILENT", Heard: "HEARD", Expire: "EXPIRE", End: "END", Repair: "REPAIR", Orphan: "ORPHAN"}

func (k Kind) String() string { return kindNames[k] }

// Presence is what a transaction demands of the projection.
type Presence uint8

// What a transaction can demand.
const (
	AnyProjection Presence = iota // nothing
	NoProjection                  // it must be absent
	ProjectionAt                  // its last write must be Txn.ProjectionRevision
)

// Op is what a transaction does to a key.
type Op uint8

// What can be done to a key.
const (
	Keep Op = iota // it stays as it is
	Put
	Erase
)

// Txn is one transaction: compares, and the writes that happen together when all
// of them hold. It is a plain value, which the store's owner only encodes.
type Txn struct {
	Kind Kind
	// RecordRevision is the revision at which the record must still be; 0: there
	// must be none.
	RecordRevision     Revision
	Presence           Presence
	ProjectionRevision Revision
	// From is the Record.Place at which the projection stood before. If that is another
	// than Record.Place, the projection is erased there when it is put.
	From string
	// Was is the state before; None of what is registered.
	Was State

	RecordOp Op
	// Record is the record as it is afterwards (for a removal: as it is told of).
	// A projection that is put is this record's, on this record's lease.
	Record       Record
	ProjectionOp Op
	Change       Change // what the event of Record.Seq is; NoChange: there is none
}

// begin starts a transaction on the record as s shows it.
func (s *Snapshot) begin(k Kind) Txn {
	return Txn{Kind: k, RecordRevision: s.At, Record: s.Record, From: s.Record.Place, Was: s.Record.State}
}

// countEvent has the transaction write an event, with the next sequence number.
func (t *Txn) countEvent(c Change, wall int64) {
	t.Change = c
	t.Record.Seq++
	if c.Told() {
		t.Record.ChangedAt = wall
	}
}

// putOn makes the transaction put the record on lease l, and its projection with it.
func (t *Txn) putOn(l LeaseID) {
	t.RecordOp, t.ProjectionOp = Put, Put
	t.Record.Lease = l
}

// keepLastBeat has a record that is written anyway keep the time of the last heartbeat that
// this replica received. No heartbeat writes that by itself, and after a restart nobody
// would know it.
func (t *Txn) keepLastBeat(l *Local) { t.Record.LastBeat = max(t.Record.LastBeat, l.beatWall) }

// endSilence has a record that is written for a heartbeat or a PUT keep no silence: it would
// count after a restart.
func (t *Txn) endSilence(l *Local) {
	t.keepLastBeat(l)
	t.Record.Silence, t.Record.SilenceAt = 0, 0
}

func register(r Record, l LeaseID) Txn {
	t := Txn{Kind: Register, Presence: NoProjection, Record: r}
	t.putOn(l)
	t.Record.Seq = 0
	t.Record.Cause, t.Record.CausedAt = Cause{Kind: ByRegistration}, r.RegisteredAt
	t.countEvent(Added, r.RegisteredAt)
	return t
}

// rearm makes the projection present again. A claim that was decided before would still
// match if the record were as it was, so the record is written too: one unchanged since a
// read that saw no projection proves that there was none since (a re-arm writes the record:
// protocol CE1).
func (s *Snapshot) rearm(l LeaseID) Txn {
	t := s.begin(Rearm)
	t.Presence = NoProjection
	t.putOn(l)
	return t
}

// claim compares the revision that the hold began with. If it compared the one at the hold's
// end, an instance that came back and went during the hold would be suspended without any
// hold for its last absence (a hold has one revision: protocol CE3).
func (s *Snapshot) claim(by string, wall, lastBeat int64) Txn {
	t := s.begin(Claim)
	t.Presence = NoProjection
	t.apply(Next(s.Record.State, Expired), Cause{Kind: BySilence, By: by}, wall)
	t.Record.SuspendedAt = wall
	t.Record.LastBeat = max(t.Record.LastBeat, lastBeat)
	t.Record.Agents = "" // none of them was left
	t.putOn(0)
	return t
}

// apply applies a cell of the state table; why is the cause of the new state, if it is another one.
func (t *Txn) apply(c Cell, why Cause, wall int64) {
	t.Record.State = c.To
	if c.To.Shown() != t.Was.Shown() || c.Change == CauseChanged { // a PUT of what is drained leaves the reason, and its time
		t.Record.Cause, t.Record.CausedAt = why, wall
	}
	if c.Change != NoChange {
		t.countEvent(c.Change, wall)
	}
	if c.To != Suspended {
		t.Record.SuspendedAt = 0
	}
	if c.Change == StateChanged || c.To != Active {
		t.Record.Silence, t.Record.SilenceAt = 0, 0
	}
}

func (s *Snapshot) resume(l LeaseID, wall, lastBeat int64) Txn {
	t := s.begin(Resume)
	t.apply(Next(s.Record.State, Beat), Cause{Kind: ByHeartbeat}, wall)
	t.Record.LastBeat = max(t.Record.LastBeat, lastBeat)
	t.putOn(l)
	return t
}

// move puts a present projection on another lease, with another interval or window.
func (s *Snapshot) move(interval, previous, window int, l LeaseID) Txn {
	t := s.begin(Raise)
	t.Presence, t.ProjectionRevision = ProjectionAt, s.Projection.Revision
	t.Record.Interval, t.Record.Previous, t.Record.Window = interval, previous, window
	t.putOn(l)
	return t
}

// lower announces a shorter interval and keeps the window: an application that has not heard
// of it yet must not be suspended by it (the window shrinks last: protocol CE7). What it may still
// keep is the longest that it was told, which is also what the projection shows until it is moved.
func (s *Snapshot) lower(interval int) Txn {
	t := s.begin(Lower)
	t.RecordOp = Put
	t.Record.Previous = max(s.Record.Previous, s.Record.Interval)
	t.Record.Interval = interval
	return t
}

func (s *Snapshot) settle() Txn {
	t := s.begin(Settle)
	t.RecordOp = Put
	t.Record.Previous = 0
	return t
}

// join has only the agents change, which nobody is told.
func (s *Snapshot) join() Txn {
	t := s.begin(Join)
	t.RecordOp = Put
	return t
}

// leave has others keep the instance alive. Whether they do is open until they are heard.
func (s *Snapshot) leave(others Agents) Txn {
	t := s.begin(Leave)
	t.RecordOp = Put
	t.Record.Agents, t.Record.Left = others, true
	return t
}

func (s *Snapshot) silent(silence time.Duration, h *Health) Txn {
	t := s.begin(Silent)
	t.RecordOp = Put
	t.Record.Silence = silence
	if h.HasRunTime {
		t.Record.SilenceAt = h.RunTimeBefore + time.Duration(h.Credited)
	}
	return t
}

func (s *Snapshot) heard() Txn {
	t := s.begin(Heard)
	t.RecordOp = Put
	t.Record.Silence, t.Record.SilenceAt = 0, 0
	return t
}

// expire takes the projection away, as the end of its lease does: for Expire and End.
func (s *Snapshot) expire(k Kind) Txn {
	t := s.begin(k)
	t.Presence, t.ProjectionRevision = ProjectionAt, s.Projection.Revision
	t.ProjectionOp = Erase
	return t
}

func (s *Snapshot) remove(k Kind, e Event, why CauseKind, wall int64) Txn {
	t := s.begin(k)
	t.apply(Next(s.Record.State, e), Cause{Kind: why}, wall)
	t.Record.State = s.Record.State // what is told is the state it had
	t.RecordOp, t.ProjectionOp = Erase, Erase
	return t
}

// drain has an administrator drain the instance, for a reason. What hung on its lease stays
// without one, so that no end of a lease is ever taken for a silence.
func (s *Snapshot) drain(why Cause, wall int64) Txn {
	t := s.begin(Withdraw)
	t.apply(Next(s.Record.State, Drain), why, wall)
	t.putOn(0)
	return t
}

// undrain gives the instance back. Of one that must be heard nobody knows whether it lives: it is
// SUSPENDED until it is heard, whatever was heard while it was drained. Who kept it alive before
// is still believed to: only a silence shows otherwise.
func (s *Snapshot) undrain(by string, wall int64) Txn {
	t := s.begin(Readmit)
	why := Cause{Kind: ByUndrain, By: by}
	if s.Record.State == DrainedInactive {
		why = Cause{Kind: ByApplication}
	}
	t.apply(Next(s.Record.State, drainEvent(&s.Record, true)), why, wall)
	if t.Record.State == Suspended {
		t.Record.SuspendedAt = wall
	}
	t.Record.Left = false
	t.putOn(0)
	return t
}

// repair puts the projection back as the record says, on the lease it has. For a
// record whose projection expires it never makes an absent one present: that is
// rearm's, which writes the record.
func (s *Snapshot) repair() Txn {
	t := s.begin(Repair)
	t.Presence = NoProjection
	if s.Projection.Present() {
		t.Presence, t.ProjectionRevision = ProjectionAt, s.Projection.Revision
	}
	t.ProjectionOp = Put
	return t
}

// orphan erases a projection of ours that has no record.
func (s *Snapshot) orphan(id ID) Txn {
	return Txn{Kind: Orphan, Record: Record{ID: id}, Presence: ProjectionAt, ProjectionRevision: s.Projection.Revision, ProjectionOp: Erase}
}
