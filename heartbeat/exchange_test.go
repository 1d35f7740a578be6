package heartbeat

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// inMass registers n instances at the replicas in rotation, lets 5 s pass since, and has every
// lease revoked falsely, a thousand a second, while each write takes so long.
func (l *lab) inMass(n int, each time.Duration, atOnce int, replicas ...*replica) []ID {
	ids := make([]ID, n)
	for i := range ids {
		ids[i] = ID(fmt.Sprintf("i%05d", i))
		replicas[i%len(replicas)].register(ids[i])
	}
	time.Sleep(5 * time.Second)
	synctest.Wait()
	l.slow(each, atOnce)
	for i, id := range ids {
		l.revoke(id)
		if i%10 == 9 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	return ids
}

// A mass of false revocations at any speed of the store: what one replica heard is refuted
// before another claims it, however long that takes. Judged by time alone, 7,522 of
// 10,000 were suspended at 40 ms a write.
func TestNoLivingOneIsSuspendedInAMass(t *testing.T) {
	for _, c := range []struct {
		replicas, n int
		each        time.Duration
		atOnce      int
	}{
		{2, 10000, 40 * time.Millisecond, 1000},
		{4, 4000, 40 * time.Millisecond, 1000},
		{2, 2000, 20 * time.Millisecond, 1000},
		{2, 2000, 200 * time.Millisecond, 1000},
		{2, 1000, time.Second, 1000},
		{2, 1000, 40 * time.Millisecond, 4}, // a hundred a second
	} {
		if *modelFull && c.atOnce > 100 {
			c.n = 10000
		}
		t.Run(fmt.Sprintf("%d replicas, %d leases, %v a write, %d at once", c.replicas, c.n, c.each, c.atOnce), func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				var replicas []*replica
				for range c.replicas {
					replicas = append(replicas, l.addReplica(brisk(45), false))
				}
				time.Sleep(100 * time.Second) // the start's probation is over
				ids := l.inMass(c.n, c.each, c.atOnce, replicas...)
				began, hidden := time.Now(), 0
				for l.absent() > 0 && time.Since(began) < 80*time.Second {
					time.Sleep(500 * time.Millisecond)
					for _, s := range replicas {
						for _, id := range ids {
							if s.Hidden(id) {
								hidden++
							}
						}
					}
				}
				published := l.published()
				t.Logf("refuted within %v, %d published", time.Since(began), published)
				if n := l.absent(); n > 0 || hidden > 0 || l.count(Claim) > 0 {
					t.Errorf("%d of %d still absent, %d times hidden, %d claimed", n, c.n, hidden, l.count(Claim))
				}
				if most := int(10*time.Since(began)/time.Second) + 20 + c.n/100; published > c.replicas*most {
					t.Errorf("%d watermarks published by %d replicas in %v", published, c.replicas, time.Since(began))
				}
			})
		})
	}
}

// absent counts the instances without a projection.
func (l *lab) absent() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.records {
		if s := l.snapshot(id); s.Absent() {
			n++
		}
	}
	return n
}

// The rule of the previous release, which judges by time alone, suspends the living in the
// same mass: the test above would see it.
func TestByTimeAloneAMassSuspendsTheLiving(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		var replicas []*replica
		for range 2 {
			s := l.addReplica(brisk(45), false)
			s.old = true // before anybody was told of a key
			l.mu.Lock()
			l.dropKey(s, true)
			l.mu.Unlock()
			replicas = append(replicas, s)
		}
		for i, s := range replicas {
			s.LosePeer(replicas[1-i].name, true)
		}
		time.Sleep(100 * time.Second)
		l.inMass(10000, 200*time.Millisecond, 100, replicas...)
		time.Sleep(20 * time.Second)
		if l.count(Claim) == 0 {
			t.Error("nobody was suspended falsely")
		}
		t.Logf("%d of 10000 suspended", l.count(Claim))
	})
}

// A single death costs one write of each replica and is claimed as soon as the hold is over.
func TestASingleDeathIsClaimedAtItsHold(t *testing.T) {
	for _, count := range []int{1, 2, 4} {
		bubble(t, func(t *testing.T, l *lab) {
			var replicas []*replica
			for range count {
				replicas = append(replicas, l.addReplica(brisk(1), false))
			}
			time.Sleep(10 * time.Second)
			replicas[0].register("i")
			heard, before := time.Now(), l.published()
			until(t, "suspended", func() bool { return len(l.events("i")) == 2 })
			if d := time.Since(heard); d > 3500*time.Millisecond {
				t.Errorf("%d replicas: suspended %v after it was heard; window 2 s, hold 1 s", count, d)
			}
			want := count
			if count == 1 {
				want = 0 // there is nobody to tell
			}
			if n := l.published() - before; n > want {
				t.Errorf("%d replicas: %d watermarks for one death", count, n)
			}
		})
	}
}

// What a killed replica heard last is found dead when its key and the grace are over:
// window + 10 s at the latest.
func TestADeathBesideAKillIsFoundWithinItsBound(t *testing.T) {
	for after := range 10 {
		bubble(t, func(t *testing.T, l *lab) {
			replicas := []*replica{l.addReplica(brisk(3), false), l.addReplica(brisk(3), false), l.addReplica(brisk(3), false)}
			time.Sleep(20 * time.Second)
			replicas[0].register("heard by the killed")
			replicas[1].register("heard by another")
			heard := time.Now()
			time.Sleep(time.Duration(after) * time.Second / 2)
			replicas[0].kill()
			for _, id := range []ID{"heard by the killed", "heard by another"} {
				until(t, "suspended", func() bool { return len(l.events(id)) == 2 })
				if d := time.Since(heard); d > 16*time.Second {
					t.Errorf("killed %d/2 s after it was heard, %s was suspended after %v; its window is 6 s", after, id, d)
				}
			}
		})
	}
}

// The keys of the replicas are lost in the same mass. That is no death: their owners put
// them back as fast as the store takes them, and nobody claims before.
func TestAReplicaWhoseKeyIsLostIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		n      int
		each   time.Duration
		atOnce int
	}{{3000, 40 * time.Millisecond, 40}, {500, time.Second, 1000}, {500, 40 * time.Millisecond, 4}} {
		bubble(t, func(t *testing.T, l *lab) {
			a, b := l.addReplica(brisk(45), false), l.addReplica(brisk(45), false)
			time.Sleep(100 * time.Second)
			ids := l.inMass(c.n, c.each, c.atOnce, a, b)
			a.loseKey()
			b.loseKey()
			hidden := 0
			for range 160 {
				time.Sleep(500 * time.Millisecond)
				for _, id := range ids {
					if a.Hidden(id) || b.Hidden(id) {
						hidden++
					}
				}
				if l.absent() == 0 {
					break
				}
			}
			if n := l.absent(); n+l.count(Claim)+hidden > 0 {
				t.Errorf("%v a write, %d at once: %d absent, %d claimed, %d times hidden", c.each, c.atOnce, n, l.count(Claim), hidden)
			}
		})
	}
}

// Steady failures of writes concern the instances that they were for, and nobody else.
func TestOneFailingWriteASecondStarvesNoClaim(t *testing.T) {
	for _, count := range []int{1, 2} {
		bubble(t, func(t *testing.T, l *lab) {
			var replicas []*replica
			for range count {
				replicas = append(replicas, l.addReplica(brisk(1), count == 1))
			}
			time.Sleep(10 * time.Second)
			s := replicas[0]
			s.register("dead")
			began := time.Now()
			for time.Since(began) < 6*time.Second {
				s.updateHealth(func(g *Health) { g.NoteOutcome(DoCommit, Unavailable, s.peers.nonPublisher()) })
				time.Sleep(500 * time.Millisecond)
			}
			if len(l.events("dead")) != 2 {
				t.Errorf("%d replicas: the dead one is not suspended", count)
			}
		})
	}
}

// The dead are hidden while the store is full, although nobody can say what is settled.
func TestAFullStoreHidesTheDeadOfSeveralReplicas(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(brisk(1), false), l.addReplica(brisk(1), false)
		time.Sleep(10 * time.Second)
		a.register("dead")
		l.setFull(true)
		until(t, "hidden by both", func() bool { return a.Hidden("dead") && b.Hidden("dead") })
		time.Sleep(10 * time.Second)
		l.setFull(false)
		for len(l.events("dead")) < 2 {
			if !a.Hidden("dead") && len(l.events("dead")) < 2 {
				t.Fatal("shown again when the store had space again")
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

// A replica that can neither refute nor tell what it has settled says so, so that the
// others need not wait for it; a full store is not its fault.
func TestAReplicaThatCannotGetOnGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(brisk(1), false), l.addReplica(brisk(1), false)
		time.Sleep(10 * time.Second)
		a.register("i")
		release := l.hold("publish")
		until(t, "gone", func() bool { return l.at("i").Absent() })
		time.Sleep(9 * time.Second)
		if a.Stuck() || b.Stuck() || len(l.events("i")) > 1 {
			t.Errorf("stuck: %t, %t; told %v", a.Stuck(), b.Stuck(), states(l.events("i")))
		}
		until(t, "both give up", func() bool { return a.Stuck() && b.Stuck() })
		release()
		until(t, "both get on", func() bool { return !a.Stuck() && !b.Stuck() })
		until(t, "suspended", func() bool { return len(l.events("i")) == 2 })
	})
}

// A store that went back in time must not hold words of what was settled in another one.
func TestARestoredStoreForgetsWhatWasSettled(t *testing.T) {
	e := New(Config{Store: failing{}, Clock: func() (time.Duration, int64) { return 0, 0 }})
	e.advanceWatch(100)
	e.UpdatePeer("b", PeerStatus{Publishes: true, Settled: 90})
	e.peers.published, e.peers.needed = PeerStatus{Publishes: true, Settled: 100}, 100
	if e.peers.unsettled() != 91 {
		t.Fatalf("unsettled from %d on", e.peers.unsettled())
	}
	e.Restored()
	if e.peers.unsettled() != 1 || e.peers.published.Settled != 0 || e.peers.needed != 0 {
		t.Errorf("unsettled from %d on, published %+v, needed %d", e.peers.unsettled(), e.peers.published, e.peers.needed)
	}
	e.SetPeers(map[string]PeerStatus{"b": {Publishes: true, Settled: 40}})
	if e.peers.unsettled() != 41 {
		t.Errorf("unsettled from %d on", e.peers.unsettled())
	}
}
