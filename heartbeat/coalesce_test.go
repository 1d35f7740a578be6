package heartbeat

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

// answers runs n heartbeats at once and collects what becomes of them.
func (s *replica) answers(n int, id ID) func() []Response {
	out := make([]Response, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { out[i] = s.beat(id) })
	}
	return func() []Response {
		wg.Wait()
		return out
	}
}

func (l *lab) renewed(id LeaseID) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.renewals[id]
}

func TestRenewalsInFlightTogetherAreOne(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), true)
		lease := s.register("i").Lease
		release := l.hold("renew")
		all := s.answers(10, "i")
		synctest.Wait()
		release()
		for _, a := range all() {
			if a.Err != nil {
				t.Error(a.Err)
			}
		}
		if n := l.renewed(lease); n != 1 {
			t.Errorf("%d renewals for ten heartbeats at once", n)
		}
		s.beat("i")
		if n := l.renewed(lease); n != 2 {
			t.Errorf("the next heartbeat did not renew: %d renewals", n)
		}
	})
}

// A waiter may leave, and so may the one that was first: the others get their
// answer all the same.
func TestAHeartbeatThatIsGivenUpHarmsNoOther(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), true)
		lease := s.register("i").Lease
		release := l.hold("renew")
		var wg sync.WaitGroup
		gone := make([]Response, 2)
		first, leave := context.WithCancel(context.Background())
		wg.Go(func() { gone[0] = s.Beat(first, "i", "") })
		synctest.Wait()
		second, leaveToo := context.WithCancel(context.Background())
		wg.Go(func() { gone[1] = s.Beat(second, "i", "") })
		all := s.answers(5, "i")
		synctest.Wait()
		leave()
		leaveToo()
		synctest.Wait()
		if !errors.Is(gone[1].Err, ErrUnavailable) {
			t.Errorf("who left while waiting: %v", gone[1].Err)
		}
		release()
		wg.Wait()
		for _, a := range all() {
			if a.Err != nil {
				t.Errorf("another heartbeat: %v", a.Err)
			}
		}
		if n := l.renewed(lease); n != 1 {
			t.Errorf("%d renewals", n)
		}
	})
}

// A renewal in flight answers for its own lease only.
func TestARenewalOfAnotherLeaseIsNotJoined(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), true)
		old := s.register("i").Lease
		release := l.hold("renew")
		first := s.answers(1, "i")
		synctest.Wait()
		for _, state := range []State{Inactive, Active} {
			if _, err := s.Update(context.Background(), "i", Update{Owner: "app", State: state, Proposed: KeepInterval}); err != nil {
				t.Fatal(err)
			}
		}
		now := l.at("i").Record.Lease
		second := s.answers(1, "i")
		synctest.Wait()
		if now == old || l.renewed(now) != 1 {
			t.Errorf("lease %d, now %d: renewed %d times", old, now, l.renewed(now))
		}
		release()
		for _, a := range append(first(), second()...) {
			if a.Err != nil {
				t.Error(a.Err)
			}
		}
	})
}

// A heartbeat counts when what the store had after its renewal's answer shows the record on
// that lease (a renewal is verified: protocol CE5). All heartbeats that wait ask for that together.
func TestTheVerifyingReadIsSharedByAllAndBeginsAfterTheRenewal(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), false)
		l.addReplica(brisk(10), false)
		for _, id := range []ID{"i", "j", "k"} {
			s.register(id)
		}
		synctest.Wait()
		release := l.hold("head")
		first := s.answers(1, "i")
		synctest.Wait() // it is renewed, and its read has begun
		rest := []func() []Response{first, s.answers(3, "i"), s.answers(3, "j"), s.answers(3, "k")}
		synctest.Wait() // they are renewed, and may not use that read
		if l.heads != 1 {
			t.Fatalf("%d reads in flight", l.heads)
		}
		release()
		for _, some := range rest {
			for _, a := range some() {
				if a.Err != nil {
					t.Error(a.Err)
				}
			}
		}
		if l.heads != 2 || l.reads != 0 {
			t.Errorf("%d reads and %d of instances for ten heartbeats, nine of which came after the first had begun to read", l.heads, l.reads)
		}
		s.beat("i")
		if l.heads != 3 || l.reads != 0 {
			t.Error("the next heartbeat did not read")
		}
	})
}

// Behind the store, a replica reads the instance itself; such reads of one instance
// are shared too.
func TestAReplicaThatIsBehindReadsTheInstance(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s, other := l.addReplica(brisk(10), false), l.addReplica(brisk(10), false)
		s.register("i")
		synctest.Wait()
		show := l.hold("watch")
		other.register("j")
		release := l.hold("read")
		first := s.answers(1, "i")
		synctest.Wait() // it is renewed, and its read has begun
		rest := s.answers(9, "i")
		synctest.Wait() // they are renewed, and may not use that read
		if l.reads != 1 {
			t.Fatalf("%d reads in flight", l.reads)
		}
		release()
		for _, a := range append(first(), rest()...) {
			if a.Err != nil {
				t.Error(a.Err)
			}
		}
		show()
		synctest.Wait()
		reads := l.reads
		if reads < 2 || reads > 6 { // whoever renewed wakes up beside those who joined him, in whatever order
			t.Errorf("%d reads for ten heartbeats, nine of which came after the first had begun to read", reads)
		}
		s.beat("i")
		if l.reads != reads {
			t.Error("it read, although it is not behind any more")
		}
	})
}

func TestAReadThatIsSharedEndsWithItsCaller(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), false)
		s.register("i")
		release := l.hold("head")
		first := s.answers(1, "i")
		synctest.Wait()
		ctx, leave := context.WithCancel(context.Background())
		left := make(chan Response, 1)
		go func() { left <- s.Beat(ctx, "i", "") }()
		synctest.Wait()
		leave()
		if a := <-left; !errors.Is(a.Err, ErrUnavailable) {
			t.Errorf("who left: %v", a.Err)
		}
		release()
		if a := first()[0]; a.Err != nil {
			t.Error(a.Err)
		}
		if a := s.beat("i"); a.Err != nil {
			t.Errorf("the next one: %v", a.Err)
		}
	})
}

// Whoever began the read leaves; those who wait for the next one get theirs.
func TestAReadGoesOnWithoutWhoeverBeganIt(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), false)
		s.register("i")
		release := l.hold("head")
		ctx, leave := context.WithCancel(context.Background())
		left := make(chan Response, 1)
		go func() { left <- s.Beat(ctx, "i", "") }()
		synctest.Wait()
		rest := s.answers(3, "i")
		synctest.Wait()
		leave()
		if a := <-left; !errors.Is(a.Err, ErrUnavailable) {
			t.Errorf("who left: %v", a.Err)
		}
		synctest.Wait()
		release()
		for _, a := range rest() {
			if a.Err != nil {
				t.Error(a.Err)
			}
		}
		if l.heads != 2 {
			t.Errorf("%d reads", l.heads)
		}
	})
}

// After a pause a store may take many seconds to revoke what ran out meanwhile. Whoever
// beats before that is moved to a new lease at once.
func TestAHeartbeatOnALeaseThatIsAboutToBeRevokedMovesAtOnce(t *testing.T) {
	for _, alone := range []bool{true, false} {
		bubble(t, func(t *testing.T, l *lab) {
			s := l.addReplica(brisk(10), alone)
			old := s.register("i").Lease
			l.mu.Lock()
			l.ending = old
			l.mu.Unlock()
			if a := s.beat("i"); a.Err != nil {
				t.Fatalf("alone %t: %v", alone, a.Err)
			}
			synctest.Wait()
			now := l.at("i")
			if now.Record.Lease == old || !now.on(now.Record.Lease) || l.count(Raise) != 1 {
				t.Errorf("alone %t: on lease %d, then %d, by %v", alone, old, now.Record.Lease, l.commits)
			}
			wantStates(t, l, "i", Active)
		})
	}
}
