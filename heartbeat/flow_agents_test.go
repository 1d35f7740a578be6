package heartbeat

import (
	"errors"
	"fmt"
	"testing"
)

// kept is an instance that these agents keep alive.
func kept(agents Agents) Snapshot {
	s := aliveAt(5, "")
	s.Record.Agents = agents
	return s
}

func TestAPutThatOnlyJoinsIsWrittenAndTellsNobody(t *testing.T) {
	for _, c := range []struct {
		had         Agents
		agent, want string
		asked       string
	}{
		{"", "b.1", "b.1", "[read JOIN]"},
		{"a.1", "b.1", "a.1 b.1", "[read JOIN]"},
		{"a.1 b.1", "a.2", "b.1 a.2", "[read JOIN]"},
		{"a.1 b.1", "a.1", "a.1 b.1", "[read]"},
		{"a.1", "", "a.1", "[read]"},
	} {
		s := newScript(&UpdateFlow{Update: Update{Owner: "app", Agent: c.agent, State: Active, Proposed: KeepInterval}}, Result{Snapshot: kept(c.had)}, Result{Revision: 6})
		a := s.run(t)
		if got := fmt.Sprint(s.asked); a.Err != nil || got != c.asked || string(a.Record.Agents) != c.want || a.Record.Seq != 3 || a.Record.Lease != 7 || !s.in.Local.hasEvidence {
			t.Errorf("%q puts to %q: %v, asked for %s: %+v", c.agent, c.had, a.Err, got, a.Record)
		}
		if x := s.committed; x.Kind == Join && (x.Change != NoChange || x.ProjectionOp != Keep || x.RecordOp != Put || string(x.Record.Agents) != c.want) {
			t.Errorf("%q puts to %q: %+v", c.agent, c.had, x)
		}
	}
}

func TestWhateverAPutWritesItsAgentJoins(t *testing.T) {
	absent, silent, suspended, unleased := kept("a.1"), kept("a.1"), kept(""), kept("a.1")
	absent.Projection = Projection{}
	silent.Record.Silence = 5
	suspended.Record.State, suspended.Record.Lease, suspended.Projection.Lease = Suspended, 0, 0
	unleased.Record.Interval, unleased.Record.Window, unleased.Record.Proposed, unleased.Record.Lease, unleased.Projection.Lease = 0, 0, -1, 0, 0
	for _, c := range []struct {
		name   string
		snap   Snapshot
		update Update
		kind   Kind
		want   Agents
	}{
		{"other attributes", kept("a.1"), Update{State: Active, Attributes: "new"}, Rewrite, "a.1 b.1"},
		{"INACTIVE", kept("a.1"), Update{State: Inactive}, Deactivate, "a.1 b.1"},
		{"absent", absent, Update{State: Active}, Rearm, "a.1 b.1"},
		{"silent", silent, Update{State: Active}, Heard, "a.1 b.1"},
		{"SUSPENDED, and it stays so", suspended, Update{State: Suspended, Attributes: "new"}, Rewrite, "b.1"},
		{"SUSPENDED", suspended, Update{State: Active}, Activate, "b.1"},
		{"without heartbeats", unleased, Update{State: Active}, Join, "a.1 b.1"},
	} {
		c.snap.Record.Left = true
		c.update.Owner, c.update.Agent, c.update.Proposed = "app", "b.1", KeepInterval
		results := []Result{{Snapshot: c.snap}, {Lease: 9}, {Revision: 6}}
		if c.kind != Rearm && c.kind != Activate {
			results = results[:2]
		}
		s := newScript(&UpdateFlow{Update: c.update}, results...)
		if a := s.run(t); a.Err != nil || s.committed.Kind != c.kind || s.committed.Record.Agents != c.want || s.committed.Record.Left || a.Record.Agents != c.want {
			t.Errorf("%s: %v, %s, %+v", c.name, a.Err, s.committed.Kind, a.Record)
		}
	}
}

func TestOnlyTheLastAgentRemoves(t *testing.T) {
	for _, c := range []struct {
		had   Agents
		agent string
		asked string
		err   error
		left  Agents
	}{
		{"a.1", "a.1", "[read DELETE]", nil, ""},
		{"", "a.1", "[read DELETE]", nil, ""},
		{"", "", "[read DELETE]", nil, ""},
		{"a.1 b.1", "", "[read DELETE]", nil, ""}, // as ETSI has it
		{"a.1 b.1", "a.1", "[read LEAVE]", ErrKept, "b.1"},
		{"a.2", "a.1", "[read LEAVE]", ErrKept, "a.2"}, // a newer one runs where it ran
		{"b.1", "a.1", "[read LEAVE]", ErrKept, "b.1"},
	} {
		s := newScript(&RemoveFlow{Removal: Removal{Owner: "app", Agent: c.agent}}, Result{Snapshot: kept(c.had)}, Result{Revision: 6})
		a := s.run(t)
		if got := fmt.Sprint(s.asked); !errors.Is(a.Err, c.err) || got != c.asked {
			t.Errorf("%q leaves %q: %v, asked for %s", c.agent, c.had, a.Err, got)
		}
		if x := s.committed; x.Kind == Leave && (x.Record.Agents != c.left || !x.Record.Left || x.Change != NoChange || x.Record.Seq != 3 || x.ProjectionOp != Keep || len(s.revoked) > 0) {
			t.Errorf("%q leaves %q: %+v, revoked %v", c.agent, c.had, x, s.revoked)
		}
	}
}

// What a predecessor at the same place has left behind is removed, and nothing else.
func TestAnAgentRemovesWhatWasLeftWhereItRuns(t *testing.T) {
	for had, err := range map[Agents]error{"a.1": nil, "a.2": nil, "": ErrKept, "b.1": ErrKept, "a.1 b.1": ErrKept, "aa.1": ErrKept} {
		s := newScript(&RemoveFlow{Removal: Removal{Owner: "app", Agent: "a.2", AtPlace: true}}, Result{Snapshot: kept(had)}, Result{Revision: 6})
		if a := s.run(t); !errors.Is(a.Err, err) || s.committed.Kind == Leave || (err == nil) != (s.committed.Kind == Remove) {
			t.Errorf("%q: %v, asked for %v", had, a.Err, s.asked)
		}
	}
}

// The one that is left may leave while the LEAVE before has no reply.
func TestALeaveWithoutAReplyIsDecidedAnew(t *testing.T) {
	f := func() *RemoveFlow { return &RemoveFlow{Removal: Removal{Owner: "app", Agent: "a.1"}} }
	happened := kept("b.1")
	happened.Record.Left = true
	s := newScript(f(), Result{Snapshot: kept("a.1 b.1")}, Result{Outcome: Unavailable}, Result{Snapshot: happened})
	if a := s.run(t); !errors.Is(a.Err, ErrKept) {
		t.Errorf("it had happened: %v", a.Err)
	}
	s = newScript(f(), Result{Snapshot: kept("a.1 b.1")}, Result{Outcome: Conflict}, Result{Snapshot: kept("a.1")}, Result{Revision: 7})
	if a := s.run(t); a.Err != nil || fmt.Sprint(s.asked) != "[read LEAVE read DELETE]" {
		t.Errorf("b left meanwhile: %v, asked for %s", a.Err, s.asked)
	}
}

func TestNoAgentIsLeftOfWhatIsSuspended(t *testing.T) {
	gone := kept("a.1 b.1")
	gone.Projection = Projection{}
	if x := gone.claim("a", 8, 0); x.Record.State != Suspended || x.Record.Agents != "" {
		t.Errorf("%+v", x.Record)
	}
}
