package heartbeat

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// script performs a flow against prepared results and tells the actions it wanted.
type script struct {
	flow    Flow
	in      Input
	results []Result
	asked   []string
	revoked []LeaseID
	last    Action
	// committed is the last transaction.
	committed Txn
}

func (s *script) run(t *testing.T) Response {
	t.Helper()
	var r Result
	for range 20 {
		s.last = s.flow.Next(s.in, r)
		if s.last.Revoke != 0 {
			s.revoked = append(s.revoked, s.last.Revoke)
		}
		if s.last.Do == DoRespond {
			return s.last.Response
		}
		word := map[Verb]string{DoRead: "read", DoHead: "head", DoGrant: "grant", DoRenew: "renew", DoAge: "age", DoEnd: "end"}[s.last.Do]
		if s.last.Do == DoCommit {
			word, s.committed = s.last.Txn.Kind.String(), s.last.Txn
		}
		s.asked = append(s.asked, word)
		if len(s.results) == 0 {
			t.Fatalf("wants more than was prepared: %v", s.asked)
		}
		r, s.results = s.results[0], s.results[1:]
	}
	t.Fatalf("does not end: %v", s.asked)
	return Response{}
}

func newScript(f Flow, results ...Result) *script {
	p := brisk(10)
	return &script{flow: f, results: results,
		in: Input{Now: Mono(time.Hour), Wall: 77, Policy: &p, Health: new(Health), Known: new(Snapshot), Watched: 5, Local: new(Local), MinLease: 1}}
}

func aliveAt(at Revision, attributes string) Snapshot {
	return Snapshot{At: at, Projection: Projection{Revision: at, Lease: 7},
		Record: Record{ID: "i", Owner: "app", State: Active, Seq: 3, Interval: 10, Window: 20, Proposed: 10, Lease: 7, Attributes: attributes}}
}

// The model found it: a PUT that had nothing to change was answered 200, and the
// instance suspended by the same replica a second later.
func TestAPutThatChangesNothingIsEvidence(t *testing.T) {
	s := newScript(&UpdateFlow{Update: Update{Owner: "app", State: Active, Proposed: KeepInterval}}, Result{Snapshot: aliveAt(5, "")})
	if a := s.run(t); a.Err != nil || !s.in.Local.hasEvidence || s.in.Local.EvidenceAt != Mono(time.Hour) || s.in.Local.EvidenceWall != 77 {
		t.Errorf("%v, heard %+v", a.Err, s.in.Local)
	}
	if got := fmt.Sprint(s.asked); got != "[read]" {
		t.Errorf("asked for %s", got)
	}
}

// The model found it: a claim that was on its way suspended the instance after the
// PUT was answered. Re-arming writes the record, and the claim fails.
func TestAPutOnAnAbsentInstanceRearmsIt(t *testing.T) {
	gone := aliveAt(5, "")
	gone.Projection = Projection{}
	s := newScript(&UpdateFlow{Update: Update{Owner: "app", State: Active, Proposed: KeepInterval}},
		Result{Snapshot: gone}, Result{Lease: 9}, Result{Revision: 6})
	if a := s.run(t); a.Err != nil || a.Record.Lease != 9 || a.Record.Seq != 3 || !s.in.Local.hasEvidence {
		t.Errorf("%+v, heard %+v", a, s.in.Local)
	}
	if got := fmt.Sprint(s.asked); got != "[read grant REARM]" {
		t.Errorf("asked for %s", got)
	}
}

// An update whose commit got no answer looks at the record: it is its own, so
// neither stale nor to be told a second time.
func TestAPutThatHappenedWithoutAnAnswerIsItsOwn(t *testing.T) {
	before := aliveAt(5, "old")
	for _, state := range []State{Active, Inactive} {
		f := &UpdateFlow{Update: Update{Owner: "app", State: state, Attributes: "new", Proposed: KeepInterval, IfAt: 5}}
		s := newScript(f, Result{Snapshot: before}, Result{Outcome: Unavailable})
		s.in.Wall = 88
		var r Result
		for range 3 {
			if a := f.Next(s.in, r); a.Do == DoCommit {
				mine := Snapshot{Record: a.Txn.Record, At: 6, Projection: Projection{Revision: 6, Lease: a.Txn.Record.Lease}}
				f.Next(s.in, Result{Outcome: Unavailable})
				s.results = []Result{{Snapshot: mine}}
				break
			}
			r, s.results = s.results[0], s.results[1:]
		}
		r = s.results[0]
		a := f.Next(s.in, r)
		if a.Do != DoRespond || a.Response.Err != nil || a.Response.Record.Attributes != "new" || a.Response.Record.Seq != 4 {
			t.Errorf("%s: %v %+v", state, a.Response.Err, a.Response.Record)
		}
		if s.in.Local.hasEvidence != (state == Active) {
			t.Errorf("%s: heard is %t", state, s.in.Local.hasEvidence)
		}
		if want := map[State]LeaseID{Inactive: 7}[state]; a.Revoke != want {
			t.Errorf("%s: retires lease %d, want %d", state, a.Revoke, want)
		}
	}
}

func TestWhatAPutIsRefusedFor(t *testing.T) {
	for name, c := range map[string]struct {
		snap Snapshot
		put  Update
		want error
	}{
		"no record":                 {Snapshot{}, Update{Owner: "app", State: Active}, ErrNotFound},
		"not the owner":             {aliveAt(5, ""), Update{Owner: "other", State: Active}, ErrNotOwner},
		"an older state":            {aliveAt(5, ""), Update{Owner: "app", State: Active, IfAt: 4}, ErrStale},
		"to SUSPENDED":              {aliveAt(5, ""), Update{Owner: "app", State: Suspended}, ErrOnlyPlatform},
		"not the owner, and no one": {Snapshot{}, Update{Owner: "other", State: Active}, ErrNotFound},
	} {
		s := newScript(&UpdateFlow{Update: c.put}, Result{Snapshot: c.snap})
		if a := s.run(t); !errors.Is(a.Err, c.want) || s.in.Local.hasEvidence {
			t.Errorf("%s: %v, heard %t", name, a.Err, s.in.Local.hasEvidence)
		}
	}
}

// A cell of the state table that refuses is the answer, whatever event a PUT is: the table
// would say no, and the change be committed all the same.
func TestAPutThatTheTableRefusesIsNotCommitted(t *testing.T) {
	was := table
	defer func() { table = was }()
	refused := errors.New("refused by the table")
	for _, from := range States {
		for _, to := range States {
			event, err := putEvent(from, to, false)
			if from == None || err != nil {
				continue
			}
			table = was
			table[from][event] = Cell{from, NoChange, refused}
			snap := aliveAt(5, "")
			if snap.Record.State = from; from != Active {
				snap.Record.Lease, snap.Projection.Lease = 0, 0
			}
			s := newScript(&UpdateFlow{Update: Update{Owner: "app", State: to, Attributes: "new", Proposed: KeepInterval}},
				Result{Snapshot: snap}, Result{Lease: 9}, Result{Revision: 6})
			if a := s.run(t); !errors.Is(a.Err, refused) || fmt.Sprint(s.asked) != "[read]" || s.in.Local.hasEvidence {
				t.Errorf("PUT %s on %s: %v after %v", to, from, a.Err, s.asked)
			}
		}
	}
}

// Also one to a state that this test does not know of: a change of state was a REWRITE.
func TestAPutThatChangesTheStateSaysIfItNeedsALease(t *testing.T) {
	for _, from := range States {
		for _, to := range append(States[:], numStates) {
			if from == to || from == None {
				continue
			}
			f := &UpdateFlow{target: Record{State: to}}
			want := Deactivate
			if to == Active {
				want = Activate
			}
			if got := f.kind(Record{State: from}); got != want {
				t.Errorf("PUT %s on %s is %s, want %s", to, from, got, want)
			}
		}
	}
}
