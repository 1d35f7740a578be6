package heartbeat

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// reservations is how often a lease was reserved.
func (l *lab) reservations() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.reserved)
}

// The store revokes what has run out with a write of its own, which others wait for: it is told in time
// that it need not, once for each silence that lasts.
func TestALeaseIsReservedBeforeItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		lateStore(l)
		s := l.addReplica(brisk(2), true) // window 4 s
		time.Sleep(10 * time.Second)
		s.register("i")
		for range 3 {
			time.Sleep(1500 * time.Millisecond)
			s.beat("i")
		}
		if n := l.reservations(); n > 0 {
			t.Errorf("%d reservations of one that beats", n)
		}
		for silence := 1; silence <= 3; silence++ { // it comes back each time, in the last second
			time.Sleep(2900 * time.Millisecond)
			if n := l.reservations(); n != silence-1 {
				t.Errorf("%d reservations before silence %d has lasted for 3 s", n, silence)
			}
			time.Sleep(900 * time.Millisecond)
			synctest.Wait()
			if n := l.reservations(); n != silence {
				t.Errorf("%d reservations in silence %d", n, silence)
			}
			if a := s.beat("i"); a.Err != nil {
				t.Error(a.Err)
			}
		}
		ends := time.Now().Add(4 * time.Second)
		until(t, "absent", func() bool { return l.at("i").Absent() })
		if late := time.Since(ends); late < 0 || late > 3*shortTick {
			t.Errorf("absent %v after its lease ran out", late)
		}
		if n := l.reservations(); n != 4 || l.count(End) != 1 {
			t.Errorf("%d reservations, %d ends", n, l.count(End))
		}
		until(t, "suspended", func() bool { return len(l.events("i")) == 2 })
	})
}

// A store that does not answer to that ends the lease as any other, and the death is found.
func TestAReservationThatIsNotAnsweredKeepsNoDeathFromBeingFound(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		lateStore(l)
		s := l.addReplica(brisk(2), true)
		time.Sleep(10 * time.Second)
		s.register("i")
		defer l.hold("reserve")()
		until(t, "suspended", func() bool { return len(l.events("i")) == 2 })
		wantStates(t, l, "i", Active, Suspended)
	})
}

// Where this replica will not end the lease it is not reserved either: else nobody would end it in time.
func TestWhatIsNotEndedHereIsNotReserved(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) { // another one may have heard it
		lateStore(l)
		a := l.addReplica(brisk(2), false)
		l.addReplica(brisk(2), false)
		time.Sleep(10 * time.Second)
		a.register("i")
		until(t, "suspended", func() bool { return len(l.events("i")) == 2 })
		if n := l.reservations(); n > 0 {
			t.Errorf("%d reservations among replicas", n)
		}
	})
	bubble(t, func(t *testing.T, l *lab) { // it could not be heard
		lateStore(l)
		var receiving atomic.Bool
		receiving.Store(true)
		l.receiving = receiving.Load
		s := l.addReplica(brisk(5), true) // window 10 s
		time.Sleep(10 * time.Second)
		s.register("i")
		time.Sleep(3 * time.Second)
		receiving.Store(false)
		time.Sleep(6500 * time.Millisecond)
		receiving.Store(true)
		time.Sleep(900 * time.Millisecond)
		if n := l.reservations(); n > 0 {
			t.Errorf("%d reservations after 4 s of credited time, its window being 10 s", n)
		}
	})
	bubble(t, func(t *testing.T, l *lab) { // it was paused
		lateStore(l)
		s := l.addReplica(brisk(5), true)
		time.Sleep(10 * time.Second)
		s.register("i")
		time.Sleep(3 * time.Second)
		s.disturb("test")
		until(t, "suspended", func() bool { return len(l.events("i")) == 2 })
		if n := l.reservations(); n > 0 {
			t.Errorf("%d reservations after a disturbance", n)
		}
	})
}
