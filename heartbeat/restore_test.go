package heartbeat

import (
	"context"
	"testing"
	"time"
)

// A store that was restored from a backup and written to since has passed the revision
// that was known before; only what it lists tells.
func TestTheSweepFindsARestoreThatNoRevisionTells(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.seat(brisk(10), false)
		s.register("i")
		s.register("j")
		backup, projection := l.records["i"], l.projections["i"]
		for _, id := range []ID{"i", "j"} {
			if _, err := s.Update(context.Background(), id, Update{Owner: "app", State: Active, Attributes: "lost", Proposed: KeepInterval}); err != nil {
				t.Fatal(err)
			}
		}
		stop := s.beats(5*time.Second, "i", "j")
		defer stop()
		l.mu.Lock()
		kept := l.records["j"]
		l.records["i"], l.projections["i"] = backup, projection
		l.rev += 100
		l.mu.Unlock()
		before := s.disturbed()
		until(t, "noticed", func() bool { return s.disturbed() > before })
		if got, err := s.Get(context.Background(), "i"); err != nil || got.Record.Attributes != backup.Record.Attributes || got.At != backup.At {
			t.Errorf("%v, %q at %d; want %q at %d", err, got.Record.Attributes, got.At, backup.Record.Attributes, backup.At)
		}
		if got, err := s.Get(context.Background(), "j"); err != nil || got.Record.Attributes != kept.Record.Attributes {
			t.Errorf("the other one: %v, %+v", err, got)
		}
	})
}

func TestWhatContradictsWhatWasSeen(t *testing.T) {
	for _, c := range []struct {
		name               string
		record, projection Revision // seen
		l                  Snapshot
		at                 Revision
		want               bool
	}{
		{"the same", 5, 5, Snapshot{At: 5, Projection: Projection{Revision: 5}}, 9, false},
		{"newer", 5, 5, Snapshot{At: 7, Projection: Projection{Revision: 8}}, 9, false},
		{"a list that is older than the watch", 12, 12, Snapshot{At: 5, Projection: Projection{Revision: 5}}, 9, false},
		{"an older record", 5, 3, Snapshot{At: 4, Projection: Projection{Revision: 3}}, 9, true},
		{"an older projection, or one that had ended", 5, 6, Snapshot{At: 5, Projection: Projection{Revision: 5}}, 9, true},
		{"no record any more", 5, 5, Snapshot{}, 9, false},
	} {
		e := New(Config{Clock: func() (Instant, int64) { return 0, 0 }})
		en := e.enter("i")
		en.view.recordSeen, en.view.projectionSeen = c.record, c.projection
		if got := e.contradicted([]Listed{{ID: "i", Snapshot: c.l}, {ID: "unknown", Snapshot: c.l}}, c.at); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
