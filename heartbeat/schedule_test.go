package heartbeat

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatIsDueIsTakenInOrderAndOnce(t *testing.T) {
	var s schedule
	all := make([]*entry, 1000)
	for i := range all {
		all[i] = &entry{}
		s.put(&s.due, all[i], int64(rand.IntN(100)))
	}
	for range 5000 { // they come, go and are put off
		en := all[rand.IntN(len(all))]
		switch rand.IntN(4) {
		case 0:
			s.drop(en)
		case 1:
			s.put(&s.awaitingSpace, en, 0)
		default:
			s.put(&s.due, en, int64(rand.IntN(100)))
		}
	}
	due, _ := s.length(&s.due)
	space, _ := s.length(&s.awaitingSpace)
	seen, last := map[*entry]bool{}, int64(-1)
	take := func(upTo int64) {
		for en := s.take(&s.due, upTo); en != nil; en = s.take(&s.due, upTo) {
			if seen[en] || en.position != (queuePosition{}) {
				t.Fatal("taken twice, or it still waits")
			}
			seen[en] = true
		}
	}
	for key := range int64(50) {
		if n, first := s.length(&s.due); n > 0 && first < last {
			t.Fatalf("%d is due after %d", first, last)
		}
		take(key)
		last = key
	}
	s.release(&s.awaitingSpace, 60)
	if n, _ := s.length(&s.awaitingSpace); n != 0 {
		t.Errorf("%d still wait for space", n)
	}
	if first := s.take(&s.due, last); first != nil {
		t.Error("what was released is due too early")
	}
	take(anyKey)
	if len(seen) != due+space {
		t.Errorf("%d taken of %d and %d", len(seen), due, space)
	}
}

// Somebody may set the wall clock: a board without a battery begins in 1970, and is told
// the time later.
func TestARemovalFollowsTheWallClock(t *testing.T) {
	for name, set := range map[string][2]time.Duration{"set forward": {0, 2 * time.Hour}, "set back, then right": {-24 * time.Hour, 2 * time.Hour}} {
		bubble(t, func(t *testing.T, l *lab) {
			s := l.addReplica(removing(brisk(1), 2*time.Hour), true) // to be seen SUSPENDED for an hour
			time.Sleep(10 * time.Second)
			s.register("i")
			until(t, "suspended", func() bool { return len(l.events("i")) == 2 })
			s.setWall(set[0])
			time.Sleep(65 * time.Minute)
			wantStates(t, l, "i", Active, Suspended)
			s.setWall(set[1])
			if d := until(t, "removed", func() bool { return len(l.events("i")) == 3 }); d > time.Second {
				t.Errorf("%s: removed %v after the clock was set", name, d)
			}
		})
	}
}

// A probation begins with the first disturbance, also if nobody looked at the absence
// between that and the last one.
func TestAnAbsenceThatWaitsForSpaceTakesNoticeOfTheFirstDisturbance(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(5), true) // window 10 s
		time.Sleep(30 * time.Second)
		s.register("i")
		l.setFull(true)
		until(t, "it waits for space", func() bool { return s.Stats().AwaitingSpace == 1 })
		s.disturb("test")
		time.Sleep(30 * time.Second)
		s.disturb("test")
		time.Sleep(Tick)
		l.setFull(false)
		if d := until(t, "suspended", func() bool { return len(l.events("i")) == 2 }); d > 3*time.Second {
			t.Errorf("suspended %v after the store had space again", d)
		}
	})
}

// What a full store refuses is not tried again and again; it goes on when there is space.
func TestARefutationWaitsForSpace(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), true)
		time.Sleep(30 * time.Second)
		s.register("i")
		l.setFull(true)
		time.Sleep(time.Second)
		l.revoke("i")
		until(t, "it waits for space", func() bool { return s.Stats().AwaitingSpace == 1 })
		synctest.Wait()
		reads := l.reads
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if l.reads != reads {
			t.Errorf("%d more attempts while the store was full", l.reads-reads)
		}
		l.setFull(false)
		if d := until(t, "re-armed", func() bool { return !l.at("i").Absent() }); d > s.Policy.Hold/2 {
			t.Errorf("re-armed %v after the store had space again", d)
		}
		wantStates(t, l, "i", Active)
	})
}
