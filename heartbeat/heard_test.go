package heartbeat

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// joined registers an instance that two agents keep alive.
func (s *replica) joined(id ID) {
	s.lab.t.Helper()
	ctx := context.Background()
	_, err := s.Register(ctx, Record{ID: id, Owner: "app", Agents: "a.1", State: Active})
	if err == nil {
		_, err = s.Update(ctx, id, Update{Owner: "app", Agent: "b.1", State: Active, Proposed: KeepInterval})
	}
	if err != nil {
		s.lab.t.Fatal(err)
	}
}

// put is a PUT of somebody who does not say which agent it is.
func (s *replica) put(id ID, state State) {
	s.lab.t.Helper()
	if _, err := s.Update(context.Background(), id, Update{Owner: "app", State: state, Proposed: KeepInterval}); err != nil {
		s.lab.t.Fatal(err)
	}
}

// leaves is a DELETE of an agent.
func (s *replica) leaves(id ID, agent string) error {
	return s.Remove(context.Background(), id, Removal{Owner: "app", Agent: agent})
}

// beaten has the agents beat for a while, each every five seconds.
func (s *replica) beaten(id ID, during time.Duration, agents ...string) {
	s.lab.t.Helper()
	for range during / (5 * time.Second) {
		for _, agent := range agents {
			if a := s.Beat(context.Background(), id, agent); a.Err != nil {
				s.lab.t.Fatal(a.Err)
			}
		}
		time.Sleep(5 * time.Second)
	}
	synctest.Wait()
}

// The one that was to keep it alive had died: for a day it was listed as SUSPENDED.
func TestWhatAllHaveLeftIsRemovedOnceItIsSuspended(t *testing.T) {
	for name, after := range map[string]time.Duration{"never removed otherwise": 0, "removed after a day": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				s := l.addReplica(removing(brisk(10), after), false)
				l.addReplica(removing(brisk(10), after), false)
				time.Sleep(time.Minute)
				s.joined("i")
				s.beaten("i", 30*time.Second, "a.1")
				if err := s.leaves("i", "a.1"); !errors.Is(err, ErrKept) {
					t.Fatal(err)
				}
				if r := l.at("i").Record; r.Agents != "b.1" || r.State != Active || r.Seq != 1 {
					t.Errorf("%+v", r)
				}
				until(t, "removed", func() bool { return !l.at("i").Exists() })
				wantStates(t, l, "i", Active, Suspended, Suspended)
				if last := l.events("i")[2]; last.Change != Removed || l.count(Heard) != 0 {
					t.Errorf("%v, %d heard", last.Change, l.count(Heard))
				}
			})
		})
	}
}

func TestAHeartbeatAfterALeaveIsWrittenOnceAndKeepsTheService(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), false)
		other := l.addReplica(brisk(10), false)
		time.Sleep(time.Minute)
		s.joined("i")
		s.beaten("i", 30*time.Second, "a.1", "b.1")
		if n := len(l.commits); n != 2 {
			t.Errorf("the heartbeats wrote: %v", l.commits)
		}
		if err := s.leaves("i", "a.1"); !errors.Is(err, ErrKept) {
			t.Fatal(err)
		}
		other.beaten("i", 30*time.Second, "b.1")
		if l.count(Leave) != 1 || l.count(Heard) != 1 || len(l.commits) != 4 || l.at("i").Record.Left {
			t.Errorf("%v, %+v", l.commits, l.at("i").Record)
		}
		until(t, "SUSPENDED", func() bool { return l.at("i").Record.State == Suspended })
		time.Sleep(time.Hour)
		if r := l.at("i").Record; r.State != Suspended || r.Agents != "" {
			t.Errorf("%+v", r)
		}
		if a := s.Beat(context.Background(), "i", "b.1"); a.Err != nil || l.at("i").Record.Agents != "b.1" {
			t.Errorf("who comes back is an agent of it: %v, %+v", a.Err, l.at("i").Record)
		}
		if err := s.leaves("i", "b.1"); err != nil || l.at("i").Exists() {
			t.Errorf("the last one: %v", err)
		}
	})
}

func TestAloneWhoIsNotHeardForAWindowKeepsNothing(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name  string
		alone bool
		then  func(*replica)
		want  error
	}{
		{"b is heard too", true, func(r *replica) { r.beaten("i", 60*s, "a.1", "b.1") }, ErrKept},
		{"b was heard within the window", true, func(r *replica) { r.beaten("i", 60*s, "a.1", "b.1"); r.beaten("i", 10*s, "a.1") }, ErrKept},
		{"b was last heard a window ago", true, func(r *replica) { r.beaten("i", 60*s, "a.1", "b.1"); r.beaten("i", 25*s, "a.1") }, nil},
		{"b never was heard after it joined", true, func(r *replica) { r.beaten("i", 25*s, "a.1") }, nil},
		{"b has just joined", true, func(*replica) {}, ErrKept},
		{"somebody beats who does not say who it is", true, func(r *replica) { r.beaten("i", 60*s, "a.1", "") }, ErrKept},
		{"another replica may have heard b", false, func(r *replica) { r.beaten("i", 60*s, "a.1") }, ErrKept},
		{"b had nothing to send while it was INACTIVE", true, func(r *replica) {
			r.put("i", Inactive)
			time.Sleep(60 * s)
			r.put("i", Active)
		}, ErrKept},
		{"the platform was paused meanwhile", true, func(r *replica) {
			r.beaten("i", 25*s, "a.1")
			r.lab.pause(5 * s)
			r.beaten("i", 10*s, "a.1")
		}, ErrKept},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				r := l.addReplica(brisk(10), c.alone)
				time.Sleep(60 * s)
				r.joined("i")
				c.then(r)
				if err := r.leaves("i", "a.1"); !errors.Is(err, c.want) || l.at("i").Exists() != (c.want != nil) {
					t.Errorf("%v; it is there: %t", err, l.at("i").Exists())
				}
			})
		})
	}
}

// What a start has not heard yet it may not take for dead.
func TestAfterAStartEveryAgentCountsForAWindow(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		r := l.addReplica(brisk(10), true)
		time.Sleep(time.Minute)
		r.joined("i")
		r.stop()
		l.extend()
		r = l.addReplica(brisk(10), true)
		r.beaten("i", 15*time.Second, "a.1")
		if err := r.leaves("i", "a.1"); !errors.Is(err, ErrKept) {
			t.Fatal(err)
		}
		r.beaten("i", 10*time.Second, "c.1")
		if err := r.leaves("i", "c.1"); err != nil || l.at("i").Exists() {
			t.Errorf("a window later: %v", err)
		}
	})
}
