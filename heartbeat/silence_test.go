package heartbeat

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// platform is an embedded one that is stopped and started again: its store extends every
// lease at each start, and its run time survives, if clocked.
type platform struct {
	*replica
	l       *lab
	p       Policy
	clocked bool
	ran     atomic.Int64 // an time.Duration
}

func (l *lab) platform(p Policy, clocked bool) *platform {
	f := &platform{l: l, p: p, clocked: clocked}
	f.start()
	return f
}

func (f *platform) start() {
	f.l.extend()
	f.l.ran = nil
	if f.clocked {
		f.l.ranBefore, f.l.ran = time.Duration(f.ran.Load()), func(r time.Duration) { f.ran.Store(int64(r)) }
	}
	f.replica = f.l.addReplica(f.p, true)
}

// restart stops it for a while. How it stops makes no difference: nothing is written then.
func (f *platform) restart(down time.Duration) {
	f.stop()
	f.l.pauseLeases()
	time.Sleep(down)
	f.start()
}

const s = time.Second

// thrice is an interval of 5 s and a window of 15 s.
func thrice() Policy {
	p := brisk(5)
	p.AllowedMisses = 2
	return p
}

// A dead service stayed listed for as long as the platform was restarted every 10 s, with a
// window of 15 s.
func TestASilenceCountsAcrossRestarts(t *testing.T) {
	for _, c := range []struct {
		name    string
		clocked bool
		every   time.Duration // between restarts, from the last heartbeat on
		most    time.Duration // of running platform, from the last heartbeat until it is hidden
	}{
		// window + hold, and less than a second for each start
		{"every 10 s", true, 10 * s, 15*s + s + s},
		{"every 8 s", true, 8 * s, 15*s + s + 2*s + 5*s},
		{"every 7 s, less than one and a half intervals", true, 7 * s, 3*7*s + 5*s + s + 2*s},
		{"every 10 s, the run time was lost", false, 10 * s, 10*s + 7500*time.Millisecond + s + s},
		{"every 30 s", true, 30 * s, 15*s + s + s},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				f := l.platform(thrice(), c.clocked)
				time.Sleep(30 * s)
				f.register("dead")
				f.register("living")
				began, running := time.Now(), time.Duration(0)
				last := began
				for range 6 {
					for up := time.Duration(0); up < c.every; up += 100 * time.Millisecond {
						if time.Since(last) >= 5*s {
							last = time.Now()
							if a := f.beat("living"); a.Err != nil {
								t.Fatal(a.Err)
							}
						}
						time.Sleep(100 * time.Millisecond)
						running += 100 * time.Millisecond
						if f.Hidden("living") {
							t.Fatalf("the living one is hidden after %v", time.Since(began))
						}
						hidden := f.Hidden("dead") || l.at("dead").Record.State == Suspended
						if hidden && running < 15*s {
							t.Fatalf("hidden after %v of running platform", running)
						}
						if !hidden && running > c.most {
							t.Fatalf("not hidden after %v of running platform", running)
						}
					}
					f.restart(s)
				}
				wantStates(t, l, "dead", Active, Suspended)
				wantStates(t, l, "living", Active)
				if n := l.count(Silent); n > 1 {
					t.Errorf("%d writes to keep one silence", n)
				}
				if n := l.count(Heard); n != 0 {
					t.Errorf("%d writes for heartbeats that are in time", n)
				}
			})
		})
	}
}

// A silence that a heartbeat ended counts for nothing after a restart.
func TestAHeartbeatEndsASilenceThatIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		f := l.platform(thrice(), true)
		time.Sleep(30 * s)
		f.register("i")
		time.Sleep(9 * s)
		if r := l.at("i").Record; r.Silence < 7500*time.Millisecond || r.Silence > 8*s {
			t.Fatalf("kept: %v", r.Silence)
		}
		if a := f.beat("i"); a.Err != nil || a.Record.Silence != 0 {
			t.Fatalf("%v, kept %v", a.Err, a.Record.Silence)
		}
		if l.count(Silent) != 1 || l.count(Heard) != 1 {
			t.Errorf("kept by %d writes, ended by %d", l.count(Silent), l.count(Heard))
		}
		time.Sleep(2 * s)
		f.restart(s)
		began := time.Now()
		until(t, "SUSPENDED", func() bool { return l.at("i").Record.State == Suspended })
		if d := time.Since(began); d < 15*s || d > 17*s {
			t.Errorf("claimed %v after the start, want a window and a hold", d)
		}
	})
}

// An interval in which to be heard is due after every start, however long the silence
// before it was.
func TestAnIntervalIsDueAfterEveryStart(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		f := l.platform(thrice(), true)
		time.Sleep(30 * s)
		f.register("late")
		f.register("dead")
		time.Sleep(14900 * time.Millisecond)
		f.restart(s)
		time.Sleep(5*s + 500*time.Millisecond) // an interval, and what the road takes
		if f.Hidden("late") {
			t.Error("hidden before its next heartbeat was due")
		}
		if a := f.beat("late"); a.Err != nil {
			t.Error(a.Err)
		}
		until(t, "SUSPENDED", func() bool { return l.at("dead").Record.State == Suspended })
		wantStates(t, l, "late", Active)
	})
}

// An application that is always late must not cost two writes a heartbeat.
func TestASlowPaceCostsFewWrites(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		f := l.platform(thrice(), true)
		time.Sleep(30 * s)
		f.register("i")
		const beats = 200
		for range beats {
			time.Sleep(8 * s)
			if a := f.beat("i"); a.Err != nil {
				t.Fatal(a.Err)
			}
		}
		if n := l.count(Silent) + l.count(Heard); n < 6 || n > 2*(3+beats*8/150+1) {
			t.Errorf("%d writes for %d late heartbeats", n, beats)
		}
		wantStates(t, l, "i", Active)
	})
}

// A PUT is evidence: it ends a silence too, and tells nobody.
func TestAPutEndsASilenceThatIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		f := l.platform(thrice(), true)
		time.Sleep(30 * s)
		f.register("i")
		time.Sleep(9 * s)
		r, err := f.Update(context.Background(), "i", Update{Owner: "app", State: Active, Proposed: KeepInterval})
		if err != nil || r.Silence != 0 || l.count(Silent) != 1 || l.count(Heard) != 1 {
			t.Errorf("%v, %+v; %v", err, r, l.commits)
		}
		wantStates(t, l, "i", Active)
	})
}

// A heartbeat that comes while a silence is being written ends it, whichever comes first.
func TestAHeartbeatWhileItsSilenceIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		f := l.platform(thrice(), true)
		time.Sleep(30 * s)
		f.register("i")
		time.Sleep(7 * s)
		release := l.hold("commit")
		time.Sleep(s)
		done := make(chan Response)
		go func() { done <- f.beat("i") }()
		time.Sleep(500 * time.Millisecond)
		release()
		if a := <-done; a.Err != nil {
			t.Error(a.Err)
		}
		time.Sleep(s)
		synctest.Wait()
		if r := l.at("i").Record; r.Silence != 0 {
			t.Errorf("still kept: %v, after %v", r.Silence, l.commits)
		}
	})
}

// Whoever heard it refutes a false end, and the silence that another replica kept.
func TestARefutationEndsASilenceThatIsKept(t *testing.T) {
	kept := aliveAt(5, "")
	kept.Projection, kept.Record.Silence = Projection{}, 15*s
	for heard, want := range map[time.Duration]time.Duration{5 * s: 0, 16 * s: 15 * s} {
		x := newScript(&RefuteFlow{}, Result{Lease: 9}, Result{Revision: 6})
		x.in.Known, x.in.Health.Credited = &kept, Credit(time.Hour)
		x.in.Local.AddEvidence(Moment{Now: Mono(time.Hour - heard), Credited: Credit(time.Hour - heard)})
		if x.run(t); x.last.Response.Err != nil {
			t.Fatal(x.last.Response.Err)
		}
		if got := x.committed.Record.Silence; got != want {
			t.Errorf("heard %v ago: it keeps %v, want %v", heard, got, want)
		}
	}
}

// Among replicas a silence is one only if nobody else heard the instance.
func TestASilenceIsKeptByWhoHeardLast(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(thrice(), false), l.addReplica(thrice(), false)
		time.Sleep(30 * s)
		a.register("roams")
		a.register("dead")
		a.beat("dead")
		for n := range 40 {
			time.Sleep(5 * s)
			[]*replica{a, b}[n%2].beat("roams")
		}
		synctest.Wait()
		if n := l.count(Silent); n != 1 { // of the dead one, once
			t.Errorf("%d silences are kept: %v", n, l.commits)
		}
		wantStates(t, l, "roams", Active)
		wantStates(t, l, "dead", Active, Suspended)
	})
}

// All replicas are restarted, one after the other, again and again: etcd's leases are not
// extended by that, but each of them would wait for a window of its own.
func TestASilenceCountsAcrossRestartsOfReplicas(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(thrice(), false), l.addReplica(thrice(), false)
		time.Sleep(30 * s)
		a.register("dead")
		began := time.Now()
		for range 4 {
			time.Sleep(9 * s)
			a.stop()
			a = l.addReplica(thrice(), false)
			b.stop()
			b = l.addReplica(thrice(), false)
		}
		time.Sleep(s)
		synctest.Wait()
		told := l.events("dead")
		if len(told) != 2 {
			t.Fatalf("not suspended after %v", time.Since(began))
		}
		if d := time.Duration(told[1].Record.SuspendedAt - began.UnixNano()); d < 15*s || d > 29*s {
			t.Errorf("suspended after %v", d)
		}
	})
}

// A replica of the previous release would not end a silence that is kept.
func TestNothingIsKeptBesideTheReleaseBefore(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a := l.addReplica(thrice(), false)
		time.Sleep(30 * s)
		a.UpdatePeer("old", PeerStatus{Publishes: true})
		for i := range 20 { // one alone is not always examined within that time
			a.register(ID(fmt.Sprint("i", i)))
		}
		time.Sleep(12 * s)
		if n := l.count(Silent); n != 0 {
			t.Errorf("%d silences are kept", n)
		}
	})
}

// While a server starts, or stops, its lists are loaded and its loops run, but heartbeats are
// refused: nobody is silent who cannot be heard.
func TestNobodyIsSilentWhoCannotBeHeard(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		var receives atomic.Bool
		receives.Store(true)
		l.receiving = receives.Load
		f := l.platform(thrice(), true)
		time.Sleep(30 * s)
		f.register("alive")
		f.register("dead")
		time.Sleep(9 * s) // the records keep this silence
		receives.Store(false)
		time.Sleep(60 * s) // it takes long to stop
		wantStates(t, l, "alive", Active)
		f.restart(s)
		time.Sleep(60 * s) // it takes long to start
		wantStates(t, l, "alive", Active)
		receives.Store(true)
		time.Sleep(5 * s)
		f.beat("alive")
		time.Sleep(4 * s)
		synctest.Wait()
		wantStates(t, l, "alive", Active)
		wantStates(t, l, "dead", Active, Suspended)
	})
}
