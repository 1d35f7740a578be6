package heartbeat

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A store that was restored from a backup and written to since has passed the revision
// that was known before; only what it lists tells.
func TestTheSweepFindsARestoreThatNoRevisionTells(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), false)
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
		e := New(Config{Clock: func() (time.Duration, int64) { return 0, 0 }})
		en := e.ensureEntry("i")
		en.view.recordSeen, en.view.projectionSeen = c.record, c.projection
		if got := e.contradicted([]Listed{{ID: "i", Snapshot: c.l}, {ID: "unknown", Snapshot: c.l}}, c.at); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

// A claim that waits for an end of another history would wait until revisions pass that.
func TestARestoredStoreFreesClaimsThatWaitForOthers(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(1), false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		l.mu.Lock()
		l.rev = 1000
		l.mu.Unlock()
		s.UpdatePeer("other", PeerStatus{Publishes: true, Settled: 1})
		s.register("i")
		until(t, "it waits for the other", func() bool { n, _ := s.schedule.length(&s.schedule.awaitingPeers); return n == 1 })
		l.mu.Lock()
		older := l.records["i"]
		older.At = 20
		l.records["i"], l.rev = older, 30
		l.mu.Unlock()
		s.Restored()
		if _, err := s.Load(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if l.count(Claim) != 0 {
			t.Fatal("claimed although the other has not settled it")
		}
		s.UpdatePeer("other", PeerStatus{Publishes: true, Settled: 100})
		until(t, "claimed", func() bool { return l.count(Claim) == 1 })
	})
}

// restoring is a store that is restored while a read of the older history is under way.
type restoring struct {
	vacant
	restored func()
}

func (r restoring) Read(ctx context.Context, id ID) (Snapshot, error) {
	s, err := r.vacant.Read(ctx, id)
	r.restored()
	return s, err
}

func TestARestoredStoreForgetsTheClaimUnderWay(t *testing.T) {
	s := Snapshot{At: 1000, Record: Record{ID: "i", State: Active, Interval: 10, Window: 20, Lease: 7}}
	r := &restoring{vacant: vacant{snapshots: map[ID]Snapshot{"i": s}}}
	e := New(Config{Store: r, Policy: brisk(10), Clock: func() (time.Duration, int64) { return time.Hour, int64(time.Hour) }})
	r.restored = e.Restored
	en := e.ensureEntry("i")
	e.observe(en, observationsOf("i", &s, 1001)...)
	en.claiming = true
	e.claim(en)
	if n, _ := e.schedule.length(&e.schedule.due); en.claimFlow != nil || n != 1 {
		t.Errorf("its hold belongs to %+v; %d due", en.claimFlow, n)
	}
}

// A read shows an absence without its end; the claim waits for all, until a list tells.
func TestAClaimFollowsTheEndThatBecomesKnown(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(1), false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		l.mu.Lock()
		l.records["i"] = Snapshot{At: 1000, Record: Record{Schema: Schema, ID: "i", Owner: "app", State: Active, Seq: 1, Interval: 1, Window: 2, Lease: 99}}
		l.rev = 1005
		l.mu.Unlock()
		s.UpdatePeer("other", PeerStatus{Publishes: true, Settled: 2000})
		s.advanceWatch(1005)
		if err := s.Refresh(context.Background(), "i"); err != nil {
			t.Fatal(err)
		}
		until(t, "it waits for the other", func() bool {
			_, first := s.schedule.length(&s.schedule.awaitingPeers)
			return first == int64(unknownEnd)
		})
		s.Sweep()
		until(t, "claimed", func() bool { return l.count(Claim) == 1 })
	})
}
