package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever hangs up again and again must not restart the holds, or the dead of all
// others would never be claimed.
func TestACallerThatHangsUpRestartsNoHold(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(1), false)
		time.Sleep(10 * time.Second)
		s.register("dead")
		s.register("rude")
		stop := make(chan struct{})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				ctx, hangUp := context.WithCancel(context.Background())
				hangUp()
				s.Beat(ctx, "rude", "")
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		}()
		time.Sleep(10 * time.Second)
		close(stop)
		<-ended
		wantStates(t, l, "dead", Active, Suspended)
	})
}

// A flood of made-up ids over a slow store holds up nobody for longer than the wait for a
// lookup and the lookup itself.
func TestAFloodOfUnknownIdsHoldsUpAHeartbeatForABoundedTime(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(1), false)
		release := l.hold("read") // each takes 2 s, in vain
		var wg sync.WaitGroup
		for n := range 400 {
			wg.Go(func() { s.beat(ID(fmt.Sprint("made up", n))) })
		}
		time.Sleep(time.Second)
		began := time.Now()
		if a := s.beat("unseen"); !errors.Is(a.Err, ErrUnavailable) {
			t.Error(a.Err)
		}
		if d := time.Since(began); d > lookupWait+2*time.Second {
			t.Errorf("held up for %v", d)
		}
		wg.Wait()
		if d := time.Since(began); d > lookupWait+2*time.Second {
			t.Errorf("the flood itself took %v", d)
		}
		release()
	})
}

func TestUnknownIdsAreLookedUpAFewAtATime(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(1), false)
		release := l.hold("read")
		var wg sync.WaitGroup
		for n := range 200 {
			wg.Go(func() {
				if a := s.beat(ID(fmt.Sprint("unknown", n%100))); !errors.Is(a.Err, ErrNotFound) {
					t.Errorf("unknown: %v", a.Err)
				}
			})
		}
		synctest.Wait()
		release()
		wg.Wait()
		if l.mostReading > maxLookups || l.reads != 100 {
			t.Errorf("%d reads of 100 unknown ids, %d at once", l.reads, l.mostReading)
		}
		before := l.reads
		s.beat("unknown1")
		if l.reads != before {
			t.Error("an absence is not remembered for a second")
		}
		time.Sleep(absenceTTL + time.Millisecond)
		s.beat("unknown1")
		if l.reads != before+1 {
			t.Error("an absence is remembered for longer than a second")
		}
		if len(s.entries) != 0 {
			t.Errorf("%d entries of unknown ids", len(s.entries))
		}
	})
}

// What another replica just registered is found by the read, before the watch
// shows it.
func TestWhatTheWatchHasNotShownYetIsRead(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(brisk(10), false), l.addReplica(brisk(10), false)
		release := l.hold("watch")
		a.register("i")
		if x := b.beat("i"); x.Err != nil {
			t.Error(x.Err)
		}
		if s, err := b.Get(context.Background(), "i"); err != nil || s.Record.Seq != 1 {
			t.Errorf("%+v, %v", s, err)
		}
		release()
	})
}

func TestBeforeTheListsAreLoadedNothingIsUnknown(t *testing.T) {
	e := New(Config{Store: newLab(t), Policy: brisk(1), Alone: true, Clock: func() (time.Duration, int64) { return 0, 0 }})
	if a := e.Beat(context.Background(), "i", ""); !errors.Is(a.Err, ErrNotReady) || e.Ready() {
		t.Errorf("%v, ready %t", a.Err, e.Ready())
	}
}

// A sweep in the middle of a registration must not drop its entry: evidence and
// acknowledgement would be of an instance that this replica does not know.
func TestASweepDuringARegistrationDropsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), true)
		release, shown := l.hold("commit"), l.hold("watch")
		done := make(chan error)
		go func() {
			_, err := s.Register(context.Background(), Record{ID: "i", Owner: "app", State: Active})
			done <- err
		}()
		synctest.Wait()
		l.mu.Lock()
		l.rev += 5 // others write meanwhile
		l.mu.Unlock()
		s.Observe(nil, l.rev)
		s.Sweep()
		synctest.Wait()
		release()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if a := s.beat("i"); a.Err != nil {
			t.Errorf("a heartbeat of what was just registered: %v", a.Err)
		}
		shown()
	})
}

// A registration that got no answer and happens late is found by the watch.
func TestARegistrationThatHappensLateIsKnown(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), true)
		r := Record{Schema: Schema, ID: "i", Owner: "app", State: Active, Interval: 10, Window: 20}
		release := l.hold("commit")
		_, err := s.Register(context.Background(), r)
		release()
		if !errors.Is(err, ErrUnavailable) || len(s.entries) != 0 {
			t.Fatalf("%v, %d entries", err, len(s.entries))
		}
		lease, _ := l.Grant(context.Background(), 20)
		txn := register(r, lease)
		if _, err := l.Commit(context.Background(), &txn); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if a := s.beat("i"); a.Err != nil {
			t.Error(a.Err)
		}
	})
}

func TestTheRemovedAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), true)
		s.register("i")
		if err := s.Remove(context.Background(), "i", Removal{Owner: "other"}); !errors.Is(err, ErrNotOwner) {
			t.Errorf("removed by another: %v", err)
		}
		if err := s.Remove(context.Background(), "i", Removal{Owner: "app", IfAt: 7}); !errors.Is(err, ErrStale) {
			t.Errorf("removed at another revision: %v", err)
		}
		if err := s.Remove(context.Background(), "i", Removal{Owner: "app"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(40 * time.Second)
		if st := s.Stats(); st.Records != 0 || st.Absent != 0 || len(l.leases) != 0 {
			t.Errorf("%+v, %d leases", st, len(l.leases))
		}
	})
}

// A renewal that takes more than a second is a store that did not answer.
func TestASlowRenewalDisturbsTheReplica(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), true)
		s.register("i")
		time.Sleep(10 * time.Second)
		before := s.disturbed()
		release := l.hold("renew")
		all := s.answers(3, "i")
		time.Sleep(1500 * time.Millisecond)
		release()
		all()
		synctest.Wait() // the hook is called beside the answers
		if n := s.disturbed() - before; n != 1 {
			t.Errorf("%d disturbances", n)
		}
	})
}

func TestWhenItWasHeardLast(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(brisk(10), false), l.addReplica(brisk(10), false)
		a.register("i")
		time.Sleep(7 * time.Second)
		a.beat("i")
		heard := time.Now()
		time.Sleep(3 * time.Second)
		for name, s := range map[string]*replica{"that heard it": a, "that did not": b} {
			got, err := s.LastBeat(context.Background(), "i")
			if off := time.Duration(got - heard.UnixNano()); err != nil || off.Abs() > time.Second {
				t.Errorf("at the replica %s: off by %v, %v", name, off, err)
			}
		}
		if got, _ := a.LastBeat(context.Background(), "i"); got != heard.UnixNano() {
			t.Errorf("not exact at the replica that heard it: off by %v", time.Duration(got-heard.UnixNano()))
		}
	})
}

// quiet is a store that renews and nothing else, so that an allocation is the
// engine's own.
type quiet struct{ Store }

func (quiet) Renew(context.Context, LeaseID) (int, error) { return 20, nil }

func (quiet) RenewAll(_ context.Context, leases []LeaseID, done func(i, ttl int, err error)) {
	for i := range leases {
		done(i, 20, nil)
	}
}

func TestAHeartbeatAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("skipped: the race detector allocates")
	}
	l := newLab(t)
	const now = time.Hour
	e := New(Config{Store: l, Policy: brisk(10), Alone: true, Clock: func() (time.Duration, int64) { return now, 0 }})
	ctx := context.Background()
	if _, err := e.Load(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Register(ctx, Record{ID: "i", Owner: "app", Agents: "a.1", State: Active}); err != nil {
		t.Fatal(err)
	}
	e.Store = quiet{l}
	agents := []string{"a.1", "b.1", ""}
	beats := func() {
		for _, agent := range agents {
			if a := e.Beat(ctx, "i", agent); a.Err != nil {
				t.Fatal(a.Err)
			}
		}
	}
	if n := testing.AllocsPerRun(1000, beats); n != 0 {
		t.Errorf("%.0f allocations for a heartbeat, want none", n)
	}
	if len(l.commits) != 1 || l.reads != 0 {
		t.Errorf("the heartbeats wrote %v and read %d times", l.commits, l.reads)
	}
	l.end()
}
