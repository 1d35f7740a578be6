package heartbeat

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// stamp is what a replica tells as the last heartbeat, since the beginning of the test.
func (s *replica) stamp(id ID, began time.Time) time.Duration {
	s.lab.t.Helper()
	synctest.Wait()
	at, err := s.LastBeat(context.Background(), id)
	if err != nil {
		s.lab.t.Fatal(err)
	}
	return time.Duration(at - began.UnixNano())
}

// A dead service looked freshly heard after a restart, a PUT, a re-armed lease or a change
// of etcd's leader. What is told may be earlier than the last heartbeat, never later.
func TestNobodyTellsALaterTimeThanTheLastHeartbeat(t *testing.T) {
	const s = time.Second
	put := func(at *replica, proposed int) {
		if _, err := at.Update(context.Background(), "i", Update{Owner: "app", State: Active, Attributes: "new", Proposed: proposed}); err != nil {
			at.lab.t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		then func(l *lab, a, b *replica) // 5 s after the last heartbeat, at a
		// told is how long before or after the last heartbeat each replica may tell at least:
		// what is lost is the registration's time.
		lost bool // at the replica that did not hear it
	}{
		{"nothing else", func(*lab, *replica, *replica) {}, false},
		{"another leader of etcd", func(l *lab, _, _ *replica) { l.extend() }, true},
		{"a PUT of other words", func(_ *lab, a, _ *replica) { put(a, KeepInterval) }, false},
		{"a PUT of other words at the other", func(_ *lab, _, b *replica) { put(b, KeepInterval) }, false},
		{"a PUT of a longer interval", func(_ *lab, a, _ *replica) { put(a, 20) }, false},
		{"a PUT of a longer interval at the other", func(_ *lab, _, b *replica) { put(b, 20) }, true},
		{"a PUT of a shorter interval at the other", func(_ *lab, _, b *replica) { put(b, 5) }, true},
		{"a false revocation", func(l *lab, _, _ *replica) { l.revoke("i") }, false},
		{"INACTIVE and ACTIVE again", func(_ *lab, _, b *replica) {
			if _, err := b.Update(context.Background(), "i", Update{Owner: "app", State: Inactive, Proposed: KeepInterval}); err != nil {
				b.lab.t.Fatal(err)
			}
			put(b, KeepInterval)
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				p := between(1, 20)
				p.DefaultInterval = 10
				a, b := l.addReplica(p, false), l.addReplica(p, false)
				time.Sleep(40 * s)
				began := time.Now()
				a.register("i")
				time.Sleep(5 * s)
				a.beat("i")
				const last = 5 * s
				time.Sleep(5 * s)
				if got := b.stamp("i", began); got > last || got < last-s {
					t.Errorf("at first the other one says %v", got)
				}
				c.then(l, a, b)
				for range 4 {
					if got := a.stamp("i", began); got != last {
						t.Errorf("who heard it at %v says %v", last, got)
					}
					got := b.stamp("i", began)
					if got > last || got < 0 || !c.lost && got < last-s {
						t.Errorf("after the heartbeat at %v the other one says %v", last, got)
					}
					time.Sleep(1500 * time.Millisecond)
				}
			})
		})
	}
}

// What the last heartbeat was survives its replica wherever the record is written anyway.
func TestAWriteKeepsWhenItWasHeard(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name string
		then func(l *lab, a *replica)
		kept bool
	}{
		{"nothing was written", func(*lab, *replica) {}, false},
		{"a PUT", func(_ *lab, a *replica) {
			_, _ = a.Update(context.Background(), "i", Update{Owner: "app", State: Active, Attributes: "new", Proposed: KeepInterval})
		}, true},
		{"a re-armed lease", func(l *lab, _ *replica) { l.revoke("i") }, true},
		{"its suspension", func(*lab, *replica) { time.Sleep(30 * s) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				a := l.addReplica(brisk(10), true)
				time.Sleep(30 * s)
				began := time.Now()
				a.register("i")
				time.Sleep(5 * s)
				a.beat("i")
				time.Sleep(2 * s)
				c.then(l, a)
				time.Sleep(s)
				a.stop()
				time.Sleep(25 * s)
				l.extend() // etcd starts with it
				again := l.addReplica(brisk(10), true)
				time.Sleep(s)
				want := 5 * s
				if !c.kept {
					want = 0 // the registration's
				}
				if got := again.stamp("i", began); got != want {
					t.Errorf("after the restart it says %v, want %v", got, want)
				}
				if l.at("i").Record.State != Suspended {
					again.beat("i")
					if got := again.stamp("i", began); got != time.Since(began) {
						t.Errorf("after the next heartbeat it says %v", got)
					}
				}
			})
		})
	}
}

// A return is told as of its heartbeat, however long its lease takes.
func TestAReturnIsToldAsOfItsHeartbeat(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a := l.addReplica(brisk(1), true)
		time.Sleep(10 * time.Second)
		began := time.Now()
		a.register("i")
		until(t, "SUSPENDED", func() bool { return l.at("i").Record.State == Suspended })
		heard := time.Since(began)
		release := l.hold("grant")
		done := make(chan Response)
		go func() { done <- a.beat("i") }()
		time.Sleep(500 * time.Millisecond)
		release()
		if x := <-done; x.Err != nil || x.Record.LastBeat != began.Add(heard).UnixNano() {
			t.Errorf("%v, the record says %v", x.Err, time.Duration(x.Record.LastBeat-began.UnixNano()))
		}
		if got := a.stamp("i", began); got != heard {
			t.Errorf("heard at %v, told %v", heard, got)
		}
	})
}
