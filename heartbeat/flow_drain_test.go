package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var disk = Cause{Kind: ByDrain, By: "admin", Text: "disk is replaced"}

func (s *replica) drain(reason string) {
	s.lab.t.Helper()
	if r, err := s.Drain(context.Background(), "i", DrainRequest{By: "admin", Reason: reason}); err != nil || !r.State.Drained() || r.Cause.Text != reason {
		s.lab.t.Fatalf("drain: %+v, %v", r, err)
	}
}

func (s *replica) undrain(want State) {
	s.lab.t.Helper()
	if r, err := s.Drain(context.Background(), "i", DrainRequest{By: "other", Lift: true}); err != nil || r.State != want {
		s.lab.t.Fatalf("undrain: %+v, %v", r, err)
	}
}

func (s *replica) update(u Update) error {
	u.Owner, u.Proposed = "app", KeepInterval
	_, err := s.Update(context.Background(), "i", u)
	return err
}

func TestNeitherHeartbeatNorPutLiftsADrain(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(removing(brisk(2), time.Minute), true)
		s.register("i")
		synctest.Wait()
		stop := s.beats(time.Second, "i")
		defer stop()
		s.drain("disk is replaced")
		time.Sleep(time.Hour)
		if a := s.beat("i"); !errors.Is(a.Err, ErrDrained) || a.Record.Cause != disk {
			t.Errorf("a heartbeat is answered %v of %+v", a.Err, a.Record)
		}
		if err := s.update(Update{State: Active, Attributes: "{ }"}); !errors.Is(err, ErrDrained) {
			t.Errorf("a PUT is answered %v", err)
		}
		s.drain("it takes longer")
		wantStates(t, l, "i", Active, Drained, Drained)
		s.undrain(Suspended)
		if r := l.at("i").Record; r.Cause != (Cause{Kind: ByUndrain, By: "other"}) {
			t.Errorf("SUSPENDED because of %+v", r.Cause)
		}
		until(t, "it is heard", func() bool { return l.at("i").Record.State == Active })
		wantStates(t, l, "i", Active, Drained, Drained, Suspended, Active)
		if _, err := s.Drain(t.Context(), "i", DrainRequest{Lift: true}); !errors.Is(err, ErrNotDrained) {
			t.Errorf("undrained twice: %v", err)
		}
		if _, err := s.Drain(t.Context(), "j", DrainRequest{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("nothing is drained: %v", err)
		}
	})
}

// A dead application is SUSPENDED when it is undrained, for as long as its retention is.
func TestADrainedInstanceIsNeitherClaimedNorRemoved(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(removing(brisk(2), time.Minute), false), l.addReplica(removing(brisk(2), time.Minute), false)
		a.register("i")
		b.drain("disk is replaced")
		time.Sleep(24 * time.Hour)
		wantStates(t, l, "i", Active, Drained)
		a.undrain(Suspended)
		time.Sleep(50 * time.Second)
		wantStates(t, l, "i", Active, Drained, Suspended)
		until(t, "its retention is over", func() bool { return !l.at("i").Exists() })
		wantStates(t, l, "i", Active, Drained, Suspended, Suspended)
	})
}

func TestASuspendedInstanceCanBeDrained(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(2), true)
		s.register("i")
		until(t, "nobody beats", func() bool { return l.at("i").Record.State == Suspended })
		s.drain("disk is replaced")
		if r := l.at("i").Record; r.SuspendedAt != 0 {
			t.Errorf("its retention goes on: %+v", r)
		}
		wantStates(t, l, "i", Active, Suspended, Drained)
	})
}

// Consumers see INACTIVE before, while it is drained and after, and are told nothing.
func TestWhatItsOwnerSetInactiveIsInactiveAfterADrain(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(2), true)
		s.register("i")
		if err := s.update(Update{State: Inactive}); err != nil {
			t.Fatal(err)
		}
		s.drain("disk is replaced")
		if a := s.beat("i"); !errors.Is(a.Err, ErrDrained) {
			t.Errorf("a heartbeat is answered %v", a.Err)
		}
		s.undrain(Inactive)
		wantStates(t, l, "i", Active, Inactive, DrainedInactive, Inactive)
		if r := l.at("i").Record; r.Cause != (Cause{Kind: ByApplication}) {
			t.Errorf("INACTIVE because of %+v", r.Cause)
		}
		if err := s.update(Update{State: Active}); err != nil {
			t.Fatal(err)
		}
		s.drain("again")
		if err := s.update(Update{State: Inactive}); err != nil {
			t.Fatal(err)
		}
		wantStates(t, l, "i", Active, Inactive, DrainedInactive, Inactive, Active, Drained)
		if err := s.update(Update{State: Inactive, Attributes: "{ }"}); err != nil {
			t.Fatal(err)
		}
		told := l.events("i")
		if last := told[len(told)-1]; last.Change != AttributesChanged || last.Record.State != DrainedInactive || last.Record.Cause.Text != "again" {
			t.Errorf("told %s of %+v", last.Change, last.Record)
		}
		s.undrain(Inactive)
		wantStates(t, l, "i", Active, Inactive, DrainedInactive, Inactive, Active, Drained, DrainedInactive, Inactive)
	})
}

func TestWhatSendsNoHeartbeatsIsActiveAtOnceAfterADrain(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(2), true)
		if _, err := s.Register(t.Context(), Record{ID: "i", Owner: "app", State: Active, Proposed: -1}); err != nil {
			t.Fatal(err)
		}
		s.drain("disk is replaced")
		s.undrain(Active)
		wantStates(t, l, "i", Active, Drained, Active)
		s.drain("disk is replaced")
		if err := s.Remove(t.Context(), "i", Removal{Owner: "app"}); err != nil {
			t.Errorf("a drained instance cannot be removed: %v", err)
		}
	})
}

// What one agent has left while it was drained is not removed before the other could be heard.
func TestAnAgentThatLeftWhileItWasDrainedLeavesItToTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(2), true)
		if _, err := s.Register(t.Context(), Record{ID: "i", Owner: "app", Agents: "a.1 b.1", State: Active}); err != nil {
			t.Fatal(err)
		}
		s.drain("disk is replaced")
		if err := s.Remove(t.Context(), "i", Removal{Owner: "app", Agent: "a.1"}); !errors.Is(err, ErrKept) {
			t.Fatal(err)
		}
		s.undrain(Suspended)
		time.Sleep(10 * time.Second)
		if a := s.Beat(t.Context(), "i", "b.1"); a.Err != nil || a.Record.Agents != "b.1" {
			t.Errorf("%v, kept by %q", a.Err, a.Record.Agents)
		}
	})
}

func TestAnUndrainWithoutAReplyIsNotRefusedWhenItHappened(t *testing.T) {
	drained, back := aliveAt(5, ""), aliveAt(6, "")
	drained.Record.State, drained.Record.Lease, drained.Record.Cause = Drained, 0, disk
	s := newScript(&DrainFlow{Request: DrainRequest{Lift: true}}, Result{Snapshot: drained}, Result{Outcome: Unavailable}, Result{Snapshot: back})
	if a := s.run(t); a.Err != nil || a.Record.State != Active {
		t.Errorf("%v of %+v", a.Err, a.Record)
	}
	s = newScript(&DrainFlow{Request: DrainRequest{Lift: true}}, Result{Snapshot: drained}, Result{Outcome: Conflict}, Result{Snapshot: back})
	if a := s.run(t); !errors.Is(a.Err, ErrNotDrained) {
		t.Errorf("somebody else undrained it: %v", a.Err)
	}
}

// The reply to a drain that happened is lost: it is not told a second time.
func TestADrainWithoutAReplyIsItsOwn(t *testing.T) {
	drained := aliveAt(6, "")
	drained.Record.State, drained.Record.Lease, drained.Record.Cause = Drained, 0, disk
	s := newScript(&DrainFlow{Request: DrainRequest{By: disk.By, Reason: disk.Text}}, Result{Snapshot: aliveAt(5, "")}, Result{Outcome: Unavailable}, Result{Snapshot: drained})
	if a := s.run(t); a.Err != nil || a.Record.State != Drained {
		t.Errorf("%v of %+v", a.Err, a.Record)
	}
	if got := fmt.Sprint(s.asked); got != "[read WITHDRAW read]" {
		t.Errorf("asked for %s", got)
	}
}

// The machine was started again while it was drained: its agent finds the service INACTIVE, and
// joins it without changing that.
func TestAnAgentThatJoinsADrainedServiceDoesNotKeepItInactive(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(2), true)
		s.register("i")
		s.drain("disk is replaced")
		if err := s.update(Update{State: Inactive, Agent: "a.2"}); err != nil {
			t.Fatal(err)
		}
		if r := l.at("i").Record; r.State != Drained || r.Cause != disk || r.Agents != "a.2" {
			t.Errorf("%+v", r)
		}
		if err := s.update(Update{State: Inactive, Agent: "a.2", Attributes: "{ }"}); err != nil {
			t.Fatal(err)
		}
		s.undrain(Suspended)
		wantStates(t, l, "i", Active, Drained, Drained, Suspended)
	})
}

// What consumers need not be told of is an event all the same: whoever looks at the platform sees
// that its reason is another one, and since when.
func TestADrainThatNobodyIsToldOfIsAnEvent(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(2), true)
		s.register("i")
		began := l.at("i").Record.CausedAt
		time.Sleep(time.Second)
		if err := s.update(Update{State: Inactive}); err != nil {
			t.Fatal(err)
		}
		told := l.at("i").Record.ChangedAt
		steps := []func(){
			func() { s.drain("disk is replaced") },
			func() { s.drain("it takes longer") },
			func() { s.drain("it takes longer") },
			func() { s.undrain(Inactive) },
		}
		for _, step := range steps {
			time.Sleep(time.Minute)
			step()
		}
		want := []string{"ADDED (none) ACTIVE registered 0s", "STATE_CHANGED ACTIVE INACTIVE application 1s",
			"CAUSE_CHANGED INACTIVE DRAINED_INACTIVE drained disk is replaced 1m1s", "CAUSE_CHANGED DRAINED_INACTIVE DRAINED_INACTIVE drained it takes longer 2m1s",
			"CAUSE_CHANGED DRAINED_INACTIVE INACTIVE application 4m1s"}
		var got []string
		for i, x := range l.events("i") {
			r := &x.Record
			got = append(got, strings.Join(strings.Fields(fmt.Sprint(x.Change, " ", x.Was, " ", r.State, " ", r.Cause.Kind, " ", r.Cause.Text, " ", time.Duration(r.CausedAt-began))), " "))
			if r.Seq != uint64(i+1) || i > 0 && r.ChangedAt != told {
				t.Errorf("%s: seq %d, told at %d", got[i], r.Seq, r.ChangedAt)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		synctest.Wait()
		var seen []string
		for _, x := range s.Trace("i").Transitions {
			seen = append(seen, fmt.Sprintf("%s %s %q %s", x.From, x.To, x.Cause.Text, time.Duration(x.At-began)))
		}
		if want := []string{`ACTIVE INACTIVE "" 1s`, `INACTIVE DRAINED_INACTIVE "disk is replaced" 1m1s`,
			`DRAINED_INACTIVE DRAINED_INACTIVE "it takes longer" 2m1s`, `DRAINED_INACTIVE INACTIVE "" 4m1s`}; !slices.Equal(seen, want) {
			t.Errorf("%q", seen)
		}
	})
}

// A PUT of its owner, who sets INACTIVE meanwhile, leaves the reason and its time as they are.
func TestTheReasonOfADrainKeepsItsTime(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(2), true)
		s.register("i")
		s.drain("disk is replaced")
		drained := l.at("i").Record.CausedAt
		for _, u := range []Update{{State: Inactive}, {State: Inactive, Attributes: "{ }"}} {
			time.Sleep(time.Minute)
			if err := s.update(u); err != nil {
				t.Fatal(err)
			}
			if r := l.at("i").Record; r.State != DrainedInactive || r.CausedAt != drained || r.Cause != disk {
				t.Errorf("%+v", r)
			}
		}
		if v, _ := s.Vitals("i"); v.Since != drained {
			t.Errorf("since %d", v.Since)
		}
	})
}
