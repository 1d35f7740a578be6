package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// brisk(1): interval 1 s, window 2 s, hold 1 s.

func TestNeverHiddenBeforeItsWindowAndSuspendedAfterTheHold(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(1), true)
		time.Sleep(10 * time.Second) // the start's probation is over
		s.register("i")
		for range 5 {
			time.Sleep(time.Second)
			if a := s.beat("i"); a.Err != nil {
				t.Fatal(a.Err)
			}
		}
		last := time.Now()
		for time.Since(last) < 3*time.Second-Tick { // credited time is counted in ticks
			if s.Hidden("i") || len(l.events("i")) != 1 {
				t.Fatalf("hidden or suspended %v after the last heartbeat", time.Since(last))
			}
			time.Sleep(25 * time.Millisecond)
		}
		until(t, "hidden", func() bool { return s.Hidden("i") || len(l.events("i")) == 2 })
		until(t, "suspended", func() bool { return len(l.events("i")) == 2 })
		if d := time.Since(last); d > 3500*time.Millisecond {
			t.Errorf("suspended %v after the last heartbeat, although nothing else happened", d)
		}
		wantStates(t, l, "i", Active, Suspended)
		if a := s.beat("i"); a.Err != nil || a.Record.State != Active {
			t.Errorf("the next heartbeat: %v, %s", a.Err, a.Record.State)
		}
		wantStates(t, l, "i", Active, Suspended, Active)
	})
}

func TestAHeartbeatThatChangesNothingWritesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(1), true)
		s.register("i")
		for range 30 {
			time.Sleep(time.Second)
			if a := s.beat("i"); a.Err != nil || a.TellInterval {
				t.Fatalf("%v, told %t", a.Err, a.TellInterval)
			}
		}
		if len(l.commits) != 1 || l.reads != 0 {
			t.Errorf("30 heartbeats: commits %v, %d reads", l.commits, l.reads)
		}
	})
}

// A pause of the whole process, many times the window: nobody is suspended who is
// heard within a window after it, and the dead are still found.
func TestAPauseSuspendsNobodyAliveAndSparesNobodyDead(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(1), true)
		time.Sleep(10 * time.Second)
		var living []ID
		for n := range 20 {
			living = append(living, ID(fmt.Sprint("living", n)))
			s.register(living[n])
		}
		s.register("dead")
		stop := s.beats(time.Second, living...)
		time.Sleep(1500 * time.Millisecond)
		for range 3 {
			stop()
			l.pause(10 * time.Second)
			time.Sleep(900 * time.Millisecond) // they resume late, but within their window
			for _, id := range living {
				if s.Hidden(id) {
					t.Errorf("%s is hidden after a pause", id)
				}
			}
			stop = s.beats(time.Second, living...)
			time.Sleep(5 * time.Second)
		}
		until(t, "the dead one is suspended", func() bool { return len(l.events("dead")) == 2 })
		stop()
		for _, id := range living {
			wantStates(t, l, id, Active)
		}
		wantStates(t, l, "dead", Active, Suspended)
		if s.disturbed() < 3 {
			t.Errorf("%d disturbances for a load and three pauses", s.disturbed())
		}
	})
}

func TestASilentStoreSuspendsNobodyAlive(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(1), true)
		time.Sleep(10 * time.Second)
		s.register("living")
		s.register("dead")
		stop := s.beats(time.Second, "living")
		time.Sleep(time.Second)
		l.setSilent(true)
		began := time.Now()
		if a := s.beat("living"); !errors.Is(a.Err, ErrUnavailable) {
			t.Errorf("a heartbeat while the store is silent: %v", a.Err)
		}
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("answered after %v", d)
		}
		time.Sleep(20 * time.Second) // every lease has ended meanwhile
		l.setSilent(false)
		time.Sleep(5 * time.Second)
		until(t, "the dead one is suspended", func() bool { return len(l.events("dead")) == 2 })
		stop()
		wantStates(t, l, "living", Active)
		if l.at("living").Absent() {
			t.Error("the living one is not back")
		}
	})
}

func TestAFullStoreHidesButDoesNotClaim(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(1), true)
		time.Sleep(10 * time.Second)
		s.register("dead")
		s.register("living")
		stop := s.beats(500*time.Millisecond, "living")
		defer stop()
		l.setFull(true)
		until(t, "hidden", func() bool { return s.Hidden("dead") })
		time.Sleep(10 * time.Second)
		if !s.Hidden("dead") || s.Hidden("living") || len(l.events("dead")) != 1 {
			t.Errorf("hidden: dead %t, living %t; told %v", s.Hidden("dead"), s.Hidden("living"), states(l.events("dead")))
		}
		if a := s.beat("living"); a.Err != nil {
			t.Errorf("a heartbeat on a present lease: %v", a.Err)
		}
		if !s.Stats().Full {
			t.Error("the engine does not know that the store is full")
		}
		l.setFull(false)
		cleared := time.Now()
		until(t, "claimed", func() bool { return len(l.events("dead")) == 2 })
		if d := time.Since(cleared); d < time.Second-Tick {
			t.Errorf("claimed %v after the store had space again, without a hold", d)
		}
		wantStates(t, l, "living", Active)
	})
}

func TestAFalseRevocationIsRefutedAndTellsNobody(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(brisk(10), false), l.addReplica(brisk(10), false)
		time.Sleep(30 * time.Second)
		a.register("i")
		time.Sleep(5 * time.Second)
		for range 3 {
			l.revoke("i")
			for range 30 {
				time.Sleep(100 * time.Millisecond)
				if a.Hidden("i") || b.Hidden("i") {
					t.Fatal("hidden")
				}
			}
			if l.at("i").Absent() {
				t.Fatal("not re-armed")
			}
		}
		wantStates(t, l, "i", Active)
		if n := l.count(Rearm); n != 3 {
			t.Errorf("%d re-arms for three revocations", n)
		}
		// Refuting does not double the detection time: 20 s since the registration.
		until(t, "suspended", func() bool { return len(l.events("i")) == 2 })
		snap := l.at("i")
		if d := time.Duration(snap.Record.SuspendedAt - snap.Record.RegisteredAt); d < 20*time.Second || d > 24*time.Second {
			t.Errorf("suspended %v after it was heard last; its window is 20 s", d)
		}
	})
}

func TestOfTwoReplicasOneClaims(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(brisk(1), false), l.addReplica(brisk(1), false)
		time.Sleep(10 * time.Second)
		const n = 50
		for i := range n {
			[]*replica{a, b}[i%2].register(ID(fmt.Sprint(i)))
		}
		time.Sleep(20 * time.Second)
		for i := range n {
			wantStates(t, l, ID(fmt.Sprint(i)), Active, Suspended)
		}
		if got := l.count(Claim); got != n {
			t.Errorf("%d claims for %d deaths", got, n)
		}
		for _, s := range []*replica{a, b} {
			if st := s.Stats(); st.Suspended != n || st.Absent != 0 {
				t.Errorf("%+v", st)
			}
		}
	})
}

// Who never heard the instance claims later, by its rank.
func TestWhoNeverHeardItLetsTheOthersGoFirst(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a := l.addReplica(brisk(1), false)
		l.addReplica(brisk(1), false)
		time.Sleep(10 * time.Second)
		a.register("i")
		heard := time.Now()
		a.stop()
		until(t, "suspended", func() bool { return len(l.events("i")) == 2 })
		if d := time.Since(heard); d < 4*time.Second-Tick || d > 5*time.Second {
			t.Errorf("claimed %v after it was heard; window 2 s, hold 1 s, rank 1", d)
		}
	})
}

func TestRetentionCountsCreditedTime(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(removing(brisk(1), 30*time.Second), true)
		time.Sleep(10 * time.Second)
		s.register("i")
		until(t, "suspended", func() bool { return len(l.events("i")) == 2 })
		time.Sleep(5 * time.Second)
		l.pause(time.Hour) // the wall clock says that it is time, our watching does not
		time.Sleep(20 * time.Second)
		wantStates(t, l, "i", Active, Suspended)
		time.Sleep(10 * time.Second)
		told := l.events("i")
		if len(told) != 3 || told[2].Change != Removed || told[2].Kind != Retention {
			t.Fatalf("told %v", told)
		}
		if a := s.beat("i"); !errors.Is(a.Err, ErrNotFound) {
			t.Errorf("a heartbeat of what was removed: %v", a.Err)
		}
	})
}

func TestTheSweepRepairsWhatWasChangedFromOutside(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(1), true)
		time.Sleep(10 * time.Second)
		s.register("asleep")
		until(t, "suspended", func() bool { return len(l.events("asleep")) == 2 })
		s.register("changed")
		stop := s.beats(time.Second, "changed")
		defer stop()
		l.mu.Lock()
		l.erase("asleep")
		p := l.projections["changed"]
		p.Differs = true
		l.projections["changed"] = p
		l.rev++
		l.projections["orphan"] = Projection{Revision: l.rev}
		l.mu.Unlock()
		time.Sleep(40 * time.Second) // 30 s ± 20 %
		if !l.at("asleep").Projection.Present() || l.at("asleep").Record.Seq != 2 {
			t.Error("the projection of the SUSPENDED one is not back, or an event was told")
		}
		l.mu.Lock()
		differs, orphan := l.projections["changed"].Differs, l.projections["orphan"]
		l.mu.Unlock()
		if differs || orphan.Present() {
			t.Errorf("changed one: differs %t; orphan present %t", differs, orphan.Present())
		}
		if got := [2]int{l.count(Repair), l.count(Orphan)}; got != [2]int{2, 1} {
			t.Errorf("repairs and orphans: %v", got)
		}
	})
}

// A watch may lose what it should show; the sweep finds the silence, and does not
// mistake it for a fault to repair.
func TestTheSweepFindsASilenceThatTheWatchMissed(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(1), true)
		time.Sleep(10 * time.Second)
		s.register("i")
		l.mu.Lock()
		replicas := l.replicas
		l.replicas = nil // nothing is shown
		l.mu.Unlock()
		time.Sleep(3 * time.Second)
		l.mu.Lock()
		l.replicas = replicas
		l.mu.Unlock()
		time.Sleep(45 * time.Second)
		wantStates(t, l, "i", Active, Suspended)
		if l.count(Repair) != 0 {
			t.Error("a silence was repaired")
		}
	})
}

func TestALeaseMovedByAnotherReplicaIsAdopted(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(brisk(10), false), l.addReplica(brisk(10), false)
		time.Sleep(30 * time.Second)
		a.register("i")
		old := l.at("i").Record.Lease
		time.Sleep(time.Second)
		if _, err := b.Update(context.Background(), "i", Update{Owner: "app", State: Inactive, Proposed: KeepInterval}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Update(context.Background(), "i", Update{Owner: "app", State: Active, Proposed: KeepInterval}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		l.mu.Lock()
		defer l.mu.Unlock()
		now := l.projections["i"].Lease
		if now == old || l.renewals[now] != 1 || l.leases[old] != nil {
			t.Errorf("lease %d then %d: renewed %d times, the old one is alive: %t", old, now, l.renewals[now], l.leases[old] != nil)
		}
	})
}

func TestStopReturnsWhateverTheStoreDoes(t *testing.T) {
	for _, silent := range []bool{false, true} {
		bubble(t, func(t *testing.T, l *lab) {
			s := l.addReplica(brisk(1), false)
			time.Sleep(10 * time.Second)
			for n := range 100 {
				s.register(ID(fmt.Sprint(n)))
			}
			time.Sleep(3 * time.Second)
			if silent {
				l.setSilent(true)
				defer l.setSilent(false)
			}
			time.Sleep(500 * time.Millisecond)
			began := time.Now()
			s.stop()
			if d := time.Since(began); d > 5*time.Second {
				t.Errorf("silent %t: stopped after %v", silent, d)
			}
			synctest.Wait()
			s.Observe([]Observation{{ID: "0", Revision: 1000, Projected: true}}, 1000) // what comes late finds nobody
			s.beat("1")
		})
	}
}

// Another replica moves many instances to new leases, and the renewals by which this
// one adopts them are slow. What it must refute does not wait behind them
// (refutations never wait for claims: protocol CE4).
func TestARefutationDoesNotWaitBehindAdoptions(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(brisk(10), false), l.addReplica(brisk(10), false)
		time.Sleep(30 * time.Second)
		a.register("refuted")
		for n := range 4 * usualWorkers {
			a.register(ID(fmt.Sprint(n)))
		}
		time.Sleep(time.Second)
		defer l.hold("renew")()
		for n := range 4 * usualWorkers {
			id := ID(fmt.Sprint(n))
			for _, to := range []State{Inactive, Active} {
				if _, err := b.Update(context.Background(), id, Update{Owner: "app", State: to, Proposed: KeepInterval}); err != nil {
					t.Fatal(err)
				}
			}
		}
		l.revoke("refuted")
		time.Sleep(900 * time.Millisecond) // less than the hold, and than a slow renewal
		if l.at("refuted").Absent() {
			t.Error("its refutation waits behind the adoptions of others")
		}
	})
}
