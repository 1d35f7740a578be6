package heartbeat

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// lateStore has the store end what has run out half a second later, as etcd's does.
func lateStore(l *lab) { l.late = 500 * time.Millisecond }

// Whoever waits for the store finds a death up to half a second later than it could.
func TestADeathIsFoundToTheMoment(t *testing.T) {
	for _, offset := range []time.Duration{0, 30, 70, 99} {
		bubble(t, func(t *testing.T, l *lab) {
			lateStore(l)
			s := l.addReplica(brisk(2), true) // window 4 s
			time.Sleep(10*time.Second + offset*time.Millisecond)
			s.register("i")
			time.Sleep(1500 * time.Millisecond)
			s.beat("i")
			reads := l.reads
			ends := time.Now().Add(4 * time.Second)
			until(t, "absent", func() bool { return l.at("i").Absent() })
			if late := time.Since(ends); late < 0 || late > 3*shortTick {
				t.Errorf("offset %d ms: absent %v after its lease ran out", offset, late)
			}
			until(t, "hidden", func() bool { return s.Hidden("i") || len(l.events("i")) == 2 })
			if late := time.Since(ends.Add(s.Policy.Hold)); late < 0 || late > 5*shortTick {
				t.Errorf("offset %d ms: hidden %v after window and hold", offset, late)
			}
			until(t, "suspended", func() bool { return len(l.events("i")) == 2 })
			wantStates(t, l, "i", Active, Suspended)
			if st := s.Stats(); st.EndsHere != 1 || st.EndsByStore != 0 || l.count(End) != 1 {
				t.Errorf("%d ends here, %d by the store", st.EndsHere, st.EndsByStore)
			}
			if l.reads != reads {
				t.Errorf("%d reads: the reply to END begins the hold", l.reads-reads)
			}
		})
	}
}

// A tick comes when something is due, but what is looked at of those who live waits for the steady ticks.
func TestWhoBeatsWakesNobody(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		lateStore(l)
		var ticks atomic.Int64
		l.receiving = func() bool { ticks.Add(1); return true }
		s := l.addReplica(brisk(2), true)
		time.Sleep(10 * time.Second)
		ids := make([]ID, 40)
		for i := range ids {
			ids[i] = ID(fmt.Sprint(i))
			s.register(ids[i])
			defer s.beats(2*time.Second, ids[i])()
			time.Sleep(37 * time.Millisecond)
		}
		before := ticks.Load()
		time.Sleep(time.Minute)
		if n := ticks.Load() - before; n > int64(time.Minute/Tick)+10 {
			t.Errorf("%d ticks in a minute in which all have beaten", n)
		}
		if n := l.count(End); n > 0 {
			t.Errorf("%d leases were ended", n)
		}
	})
}

// Where the lease was renewed later than the heartbeat came, or the store cannot say, nobody ends it.
func TestALeaseThatHoldsIsNotEnded(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		lateStore(l)
		s := l.addReplica(brisk(2), true)
		time.Sleep(10 * time.Second)
		s.register("i")
		release := l.hold("renew")
		go s.beat("i") // it is received now, and renewed later
		time.Sleep(900 * time.Millisecond)
		release()
		synctest.Wait()
		ends := time.Now().Add(4 * time.Second)
		until(t, "absent", func() bool { return l.at("i").Absent() })
		if early := time.Until(ends); early > 0 {
			t.Errorf("ended %v before it had run out", early)
		}
		if l.asked != 2 { // when the window of the heartbeat was over, and when the lease had run out
			t.Errorf("asked %d times", l.asked)
		}
	})
}

// A lease that the store extended when it started, one that it ended first, and a store that does not
// answer: each is found dead by what the store does, as before.
func TestWhatTheStoreCannotSayIsLeftToIt(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		lateStore(l)
		s := l.addReplica(brisk(2), true)
		time.Sleep(10 * time.Second)
		s.register("extended")
		time.Sleep(time.Second)
		l.extend()
		until(t, "suspended", func() bool { return len(l.events("extended")) == 2 })
		if st := s.Stats(); st.EndsHere != 0 || st.EndsByStore != 1 {
			t.Errorf("%d ends here, %d by the store", st.EndsHere, st.EndsByStore)
		}
		s.register("unanswered")
		defer l.hold("end")()
		until(t, "suspended", func() bool { return len(l.events("unanswered")) == 2 })
		time.Sleep(2 * time.Second) // which the call takes
		if st := s.Stats(); st.EndsHere != 0 || st.EndsByStore != 2 {
			t.Errorf("%d ends here, %d by the store", st.EndsHere, st.EndsByStore)
		}
		asked := l.asked
		time.Sleep(time.Minute)
		if l.asked > asked+1 {
			t.Errorf("asked %d times more for what is SUSPENDED", l.asked-asked)
		}
	})
}

// Heartbeats that race the end of their lease are answered, and nobody is told anything.
func TestAHeartbeatThatRacesTheEndIsAnswered(t *testing.T) {
	for at := -20 * time.Millisecond; at <= 220*time.Millisecond; at += 10 * time.Millisecond {
		bubble(t, func(t *testing.T, l *lab) {
			lateStore(l)
			s := l.addReplica(brisk(2), true)
			time.Sleep(10 * time.Second)
			s.register("i")
			l.slow(15*time.Millisecond, 8) // writes take their time
			time.Sleep(4*time.Second + at)
			if a := s.beat("i"); a.Err != nil {
				t.Errorf("%v after the end: %v", at, a.Err)
			}
			time.Sleep(3 * time.Second)
			if s.Hidden("i") {
				t.Errorf("%v after the end: heard, and hidden", at)
			}
			wantStates(t, l, "i", Active)
		})
	}
}

// What the platform did not hear because it was paused, or does not receive yet, is no silence: the
// leases of those that may live are not ended before the store does it.
func TestNothingIsEndedAfterAPause(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		lateStore(l)
		var receiving atomic.Bool
		receiving.Store(true)
		l.receiving = receiving.Load
		s := l.addReplica(brisk(5), true) // window 10 s
		time.Sleep(10 * time.Second)
		s.register("i")
		time.Sleep(3 * time.Second)
		receiving.Store(false)
		time.Sleep(6500 * time.Millisecond) // the lease has half a second left
		receiving.Store(true)
		time.Sleep(900 * time.Millisecond)
		if l.count(End) != 0 {
			t.Error("ended after 4 s of credited time, its window being 10 s")
		}
		if a := s.beat("i"); a.Err != nil {
			t.Error(a.Err)
		}
		wantStates(t, l, "i", Active)
	})
	bubble(t, func(t *testing.T, l *lab) {
		lateStore(l)
		s := l.addReplica(brisk(2), true)
		time.Sleep(10 * time.Second)
		s.register("i")
		time.Sleep(3 * time.Second)
		l.mu.Lock() // the process is stopped, and so is its etcd
		s.mu.Lock()
		s.jumped += 2 * time.Second
		s.mu.Unlock()
		for _, le := range l.leases {
			le.until = le.until.Add(-2 * time.Second)
		}
		l.mu.Unlock()
		time.Sleep(250 * time.Millisecond)
		if l.asked != 0 {
			t.Error("asked although the platform was paused since it was heard")
		}
		if a := s.beat("i"); a.Err != nil {
			t.Error(a.Err)
		}
		time.Sleep(time.Second)
		wantStates(t, l, "i", Active)
	})
}

// Among replicas another one may have heard it: there the store alone ends leases.
func TestAmongReplicasLeasesAreLeftToTheStore(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		lateStore(l)
		a := l.addReplica(brisk(2), false)
		l.addReplica(brisk(2), false)
		time.Sleep(10 * time.Second)
		a.register("i")
		until(t, "suspended", func() bool { return len(l.events("i")) == 2 })
		if l.asked != 0 {
			t.Errorf("asked %d times", l.asked)
		}
	})
}

// Whoever beats costs no question, and whoever is dead one; nobody waits in a goroutine of his own.
func TestTheLivingCostNoQuestion(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		lateStore(l)
		s := l.addReplica(brisk(2), true)
		time.Sleep(10 * time.Second)
		var ids []ID
		for n := range 50 {
			ids = append(ids, ID(fmt.Sprint("living", n)))
			s.register(ids[n])
		}
		s.register("dead")
		stop := s.beats(2*time.Second, ids...)
		time.Sleep(2 * time.Minute)
		stop()
		if l.asked > 2 {
			t.Errorf("asked %d times for one that died", l.asked)
		}
		if n := l.reservations(); n != 1 {
			t.Errorf("%d leases were reserved for one that died", n)
		}
		for _, id := range ids {
			wantStates(t, l, id, Active)
		}
	})
}

// In a mass many are ended at once, and fewer when the store does not get on with it.
func TestAMassIsEndedByABoundedNumberOfWorkers(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		lateStore(l)
		l.late = time.Minute
		s := l.addReplica(brisk(2), true)
		time.Sleep(10 * time.Second)
		const n = 2000
		for i := range n {
			s.register(ID(fmt.Sprint(i)))
		}
		release := l.hold("end")
		most := 0
		for range 70 {
			time.Sleep(Tick)
			synctest.Wait()
			s.ends.mu.Lock()
			most = max(most, s.ends.working)
			s.ends.mu.Unlock()
		}
		if most != endWorkers {
			t.Errorf("%d at once, want %d", most, endWorkers)
		}
		if s.ends.reducedBy == 0 {
			t.Error("as many as ever, although none is answered")
		}
		release()
		until(t, "all suspended", func() bool { return l.count(Claim) == n })
		if l.count(End) != n {
			t.Errorf("%d of %d were ended here", l.count(End), n)
		}
	})
}

// An end after which the process is killed leaves an absence, as any end does: the next start judges it.
func TestAnEndOutlivesItsReplica(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		lateStore(l)
		s := l.addReplica(brisk(2), true)
		time.Sleep(10 * time.Second)
		s.register("dead")
		s.register("living")
		time.Sleep(2 * time.Second)
		s.beat("living")
		until(t, "ended", func() bool { return l.at("dead").Absent() })
		s.stop()
		l.mu.Lock()
		l.replicas = nil
		l.mu.Unlock()
		l.extend()
		s = l.addReplica(brisk(2), true)
		stop := s.beats(2*time.Second, "living")
		defer stop()
		until(t, "suspended", func() bool { return len(l.events("dead")) == 2 })
		wantStates(t, l, "living", Active)
	})
}
