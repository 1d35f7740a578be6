package heartbeat

import (
	"fmt"
	"testing"
	"time"
)

// untilCommit carries a flow up to its commit, which gets no answer yet.
func untilCommit(t *testing.T, s *script) {
	t.Helper()
	var r Result
	for range 5 {
		a := s.flow.Next(s.in, r)
		if a.Do == DoCommit {
			return
		}
		r, s.results = s.results[0], s.results[1:]
	}
	t.Fatal("never commits")
}

// The model found it: the answer to a registration's commit was late; meanwhile the lease
// was revoked falsely, and its own replica, which had heard nothing yet, suspended it a
// second after the 201.
func TestAnOwnersRequestIsEvidenceBeforeItsCommitIsAnswered(t *testing.T) {
	inactive := aliveAt(5, "")
	inactive.Record.State, inactive.Record.Lease, inactive.Projection.Lease = Inactive, 0, 0
	for name, c := range map[string]struct {
		flow    Flow
		results []Result
		want    bool
	}{
		"a registration":           {&RegisterFlow{Record: aliveAt(0, "").Record}, []Result{{Lease: 9}}, true},
		"one that does not beat":   {&RegisterFlow{Record: Record{ID: "i", State: Active}}, nil, false},
		"one that is INACTIVE":     {&RegisterFlow{Record: inactive.Record}, nil, false},
		"a PUT of other words":     {&UpdateFlow{Update: Update{Owner: "app", State: Active, Attributes: "new", Proposed: KeepInterval}}, []Result{{Snapshot: aliveAt(5, "old")}}, true},
		"a PUT that ends INACTIVE": {&UpdateFlow{Update: Update{Owner: "app", State: Inactive, Proposed: KeepInterval}}, []Result{{Snapshot: aliveAt(5, "")}}, false},
		"a PUT that wakes it":      {&UpdateFlow{Update: Update{Owner: "app", State: Active, Proposed: KeepInterval}}, []Result{{Snapshot: inactive}, {Lease: 9}}, true},
	} {
		s := newScript(c.flow, c.results...)
		untilCommit(t, s)
		if got := s.in.Local.fresh(s.in.Now, &Record{Window: 20}); got != c.want {
			t.Errorf("%s: evidence is %t", name, got)
		}
		if c.want && s.in.Local.EvidenceAt != Mono(time.Hour) {
			t.Errorf("%s: as old as %s", name, s.in.Local.EvidenceAt)
		}
	}
}

// A read that is late may still see a projection whose end the watch has shown: the claim of
// that end may be on its way, so that "nothing to change" is no answer.
func TestALateReadIsNoReasonToAnswerAPut(t *testing.T) {
	gone := aliveAt(5, "")
	gone.Projection = Projection{}
	s := newScript(&UpdateFlow{Update: Update{Owner: "app", State: Active, Proposed: KeepInterval}},
		Result{Snapshot: aliveAt(5, "")}, Result{Snapshot: gone}, Result{Lease: 9}, Result{Revision: 6})
	s.in.Known = &gone
	if a := s.run(t); a.Err != nil || a.Record.Lease != 9 {
		t.Errorf("%+v", a)
	}
	if got := fmt.Sprint(s.asked); got != "[read read grant REARM]" {
		t.Errorf("asked for %s", got)
	}
}

// A PUT that had nothing to change but a missing projection to put back took the record that
// it read in its second round for its own commit, which it had not sent.
func TestAStaleGrantIsNoCommitOfAPut(t *testing.T) {
	gone := aliveAt(5, "")
	gone.Projection = Projection{}
	s := newScript(&UpdateFlow{Update: Update{Owner: "app", State: Active, Proposed: KeepInterval}})
	s.flow.Next(s.in, Result{})
	if a := s.flow.Next(s.in, Result{Snapshot: gone}); a.Do != DoGrant {
		t.Fatalf("%+v", a)
	}
	s.in.Now += Mono(2 * maxGrantAge)
	if a := s.flow.Next(s.in, Result{Lease: 9}); a.Do != DoRead || a.Revoke != 9 {
		t.Fatalf("%+v", a)
	}
	if a := s.flow.Next(s.in, Result{Snapshot: gone}); a.Do != DoGrant {
		t.Errorf("%+v", a)
	}
}
