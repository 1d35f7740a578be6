package heartbeat

import (
	"strings"
	"testing"
)

// The transactions as docs/protocol.md has them: what is compared and what is
// written, row by row.
func TestEveryTransactionComparesAndWritesItsRow(t *testing.T) {
	const wall, m, p, l = 99, Revision(5), Revision(6), LeaseID(7)
	snap := func(state State, lease LeaseID, present bool) *Snapshot {
		s := &Snapshot{Record: Record{ID: "i", State: state, Seq: 3, Interval: 10, Window: 30, Lease: lease, SuspendedAt: 1}, At: m}
		if present {
			s.Projection = Projection{Revision: p, Lease: lease}
		}
		return s
	}
	type row struct {
		txn        Txn
		at         Revision
		presence   Presence
		projection Revision
		record, on Op
		state      State
		seq        uint64
		lease      LeaseID
		change     Change
	}
	for name, c := range map[string]row{
		"REGISTER":  {register(Record{ID: "i", State: Active, Interval: 10, Seq: 8, RegisteredAt: wall}, l), 0, NoProjection, 0, Put, Put, Active, 1, l, Added},
		"REARM":     {snap(Active, 4, false).rearm(l), m, NoProjection, 0, Put, Put, Active, 3, l, NoChange},
		"CLAIM":     {snap(Active, 4, false).claim("a", wall, 50), m, NoProjection, 0, Put, Put, Suspended, 4, 0, StateChanged},
		"RESUME":    {snap(Suspended, 0, true).resume(l, wall, 50), m, AnyProjection, 0, Put, Put, Active, 4, l, StateChanged},
		"RAISE":     {snap(Active, 4, true).move(20, 10, 60, l), m, ProjectionAt, p, Put, Put, Active, 3, l, NoChange},
		"LOWER":     {snap(Active, 4, true).lower(5), m, AnyProjection, 0, Put, Keep, Active, 3, 4, NoChange},
		"SETTLE":    {snap(Active, 4, true).settle(), m, AnyProjection, 0, Put, Keep, Active, 3, 4, NoChange},
		"DELETE":    {snap(Active, 4, true).remove(Remove, Delete, ByDeletion, wall), m, AnyProjection, 0, Erase, Erase, Active, 4, 4, Removed},
		"RETENTION": {snap(Suspended, 0, true).remove(Retention, RetentionOver, ByRetention, wall), m, AnyProjection, 0, Erase, Erase, Suspended, 4, 0, Removed},
		"WITHDRAW":  {snap(Active, 4, true).drain(Cause{Kind: ByDrain}, wall), m, AnyProjection, 0, Put, Put, Drained, 4, 0, StateChanged},
		"READMIT":   {snap(Drained, 0, true).undrain("admin", wall), m, AnyProjection, 0, Put, Put, Suspended, 4, 0, StateChanged},
		"WITHDRAW ": {snap(Drained, 0, true).drain(Cause{Kind: ByDrain, Text: "longer"}, wall), m, AnyProjection, 0, Put, Put, Drained, 4, 0, CauseChanged},
		"READMIT ":  {snap(DrainedInactive, 0, true).undrain("admin", wall), m, AnyProjection, 0, Put, Put, Inactive, 4, 0, CauseChanged},
		"REPAIR":    {snap(Suspended, 0, false).repair(), m, NoProjection, 0, Keep, Put, Suspended, 3, 0, NoChange},
		"ORPHAN":    {(&Snapshot{Projection: Projection{Revision: p}}).orphan("i"), 0, ProjectionAt, p, Keep, Erase, None, 0, 0, NoChange},
	} {
		x := c.txn
		if x.Kind.String() != strings.TrimSpace(name) || x.Record.ID != "i" {
			t.Errorf("%s: is called %s, of %q", name, x.Kind, x.Record.ID)
		}
		if x.RecordRevision != c.at || x.Presence != c.presence || x.ProjectionRevision != c.projection {
			t.Errorf("%s: compares record at %d, presence %d at %d", name, x.RecordRevision, x.Presence, x.ProjectionRevision)
		}
		if x.RecordOp != c.record || x.ProjectionOp != c.on || x.Record.State != c.state || x.Record.Lease != c.lease {
			t.Errorf("%s: writes record %d, projection %d, %s on %d", name, x.RecordOp, x.ProjectionOp, x.Record.State, x.Record.Lease)
		}
		if x.Change != c.change || x.Record.Seq != c.seq || c.change.Told() != (x.Record.ChangedAt == wall) {
			t.Errorf("%s: tells %q as %d at %d", name, x.Change, x.Record.Seq, x.Record.ChangedAt)
		}
	}
	t.Run("repair of a changed projection", func(t *testing.T) {
		if x := snap(Active, 4, true).repair(); x.Presence != ProjectionAt || x.ProjectionRevision != p || x.Record.Lease != 4 {
			t.Errorf("%+v", x)
		}
	})
	t.Run("what is told of intervals", func(t *testing.T) {
		if r := snap(Active, 4, true).lower(5).Record; r.Interval != 5 || r.Previous != 10 || r.Window != 30 {
			t.Errorf("lowered: %+v", r)
		}
		twice := snap(Active, 4, true)
		twice.Record.Interval, twice.Record.Previous = 5, 10
		if r := twice.lower(2).Record; r.Interval != 2 || r.Previous != 10 || r.Window != 30 {
			t.Errorf("lowered twice: %+v", r)
		}
		if r := snap(Active, 4, true).move(20, 10, 60, l).Record; r.Interval != 20 || r.Previous != 10 || r.Window != 60 {
			t.Errorf("raised: %+v", r)
		}
	})
	t.Run("when it was suspended and last heard", func(t *testing.T) {
		if r := snap(Active, 4, false).claim("a", wall, 50).Record; r.SuspendedAt != wall || r.LastBeat != 50 {
			t.Errorf("claimed: %+v", r)
		}
		old := snap(Active, 4, false)
		old.Record.LastBeat = 60
		if r := old.claim("a", wall, 50).Record; r.LastBeat != 60 {
			t.Errorf("claimed by who heard it before: %+v", r)
		}
		if r := snap(Suspended, 0, true).resume(l, wall, 50).Record; r.SuspendedAt != 0 || r.LastBeat != 50 {
			t.Errorf("resumed: %+v", r)
		}
	})
}
