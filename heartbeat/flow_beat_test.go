package heartbeat

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// What a heartbeat asks of the store and ends with, path by path.
func TestTheStepsOfAHeartbeat(t *testing.T) {
	alive := aliveAt(5, "")
	absent, asleep, inactive, silent, moved := alive, alive, alive, alive, alive
	absent.Projection = Projection{}
	asleep.Record.State, asleep.Record.Lease, asleep.Projection.Lease = Suspended, 0, 0
	inactive.Record.State, inactive.Record.Lease, inactive.Projection.Lease = Inactive, 0, 0
	silent.Record.Interval, silent.Record.Window, silent.Record.Lease = 0, 0, 0
	moved.Record.Lease, moved.Projection.Lease = 8, 8
	read := func(s Snapshot) Result { return Result{Snapshot: s} }
	renewed, head, ahead := Result{TTL: 20}, Result{Revision: 5}, Result{Revision: 6}
	gone, lost, full, conflict := Result{Outcome: LeaseGone}, Result{Outcome: Unavailable}, Result{Outcome: Full}, Result{Outcome: Conflict}
	for _, c := range []struct {
		name    string
		known   Snapshot
		alone   bool
		results []Result
		asked   string
		err     error
		revoked string
	}{
		{"verified by what the watch has shown", alive, false, []Result{renewed, head}, "[renew head]", nil, "[]"},
		{"verified by a read", alive, false, []Result{renewed, ahead, read(alive)}, "[renew head read]", nil, "[]"},
		{"known to have lost its projection", absent, false, []Result{renewed, head, read(absent), {Lease: 9}, {Revision: 6}}, "[renew head read grant REARM]", nil, "[]"},
		{"alone, by what is known", alive, true, []Result{renewed}, "[renew]", nil, "[]"},
		{"the lease was left", alive, false, []Result{renewed, ahead, read(moved), renewed, head, read(moved)}, "[renew head read renew head read]", nil, "[]"},
		{"the lease ended", alive, false, []Result{gone, read(absent), {Lease: 9}, {Revision: 6}}, "[renew read grant REARM]", nil, "[]"},
		{"somebody re-armed it first", alive, false, []Result{gone, read(absent), {Lease: 9}, conflict, read(moved), renewed, head, read(moved)},
			"[renew read grant REARM read renew head read]", nil, "[9]"},
		{"the re-arm got no answer", alive, false, []Result{gone, read(absent), {Lease: 9}, lost, read(moved), renewed, head, read(moved)},
			"[renew read grant REARM read renew head read]", nil, "[]"},
		{"a short lease", alive, true, []Result{{TTL: 3}, {Lease: 9}, {Revision: 6}, renewed}, "[renew grant RAISE renew]", nil, "[7]"},
		{"a short lease, full", alive, true, []Result{{TTL: 3}, full}, "[renew grant]", nil, "[]"},
		{"SUSPENDED", asleep, false, []Result{read(asleep), {Lease: 9}, {Revision: 6}}, "[read grant RESUME]", nil, "[]"},
		{"SUSPENDED, no lease to be had", asleep, false, []Result{read(asleep), full}, "[read grant]", ErrFull, "[]"},
		{"SUSPENDED, full at the commit", asleep, false, []Result{read(asleep), {Lease: 9}, full}, "[read grant RESUME]", ErrFull, "[9]"},
		{"INACTIVE", inactive, false, []Result{read(inactive)}, "[read]", ErrInactive, "[]"},
		{"without heartbeats", silent, false, []Result{read(silent)}, "[read]", ErrNoLiveness, "[]"},
		{"removed", alive, false, []Result{gone, read(Snapshot{})}, "[renew read]", ErrNotFound, "[]"},
		{"a silent store", alive, false, []Result{lost}, "[renew]", ErrUnavailable, "[]"},
		{"silent after the renewal", alive, false, []Result{renewed, lost}, "[renew head]", ErrUnavailable, "[]"},
		{"silent at the read", alive, false, []Result{renewed, ahead, lost}, "[renew head read]", ErrUnavailable, "[]"},
		{"its lease runs out, and another puts it back, twice", alive, false, []Result{gone, read(absent), {Lease: 9}, conflict, read(absent), {Lease: 10}, conflict, read(absent), {Lease: 11}, {Revision: 6}},
			"[renew read grant REARM read grant REARM read grant REARM]", nil, "[9 10]"},
		{"three rounds at most", alive, false, []Result{gone, read(absent), {Lease: 9}, conflict, read(absent), {Lease: 10}, conflict, read(absent), {Lease: 11}, conflict},
			"[renew read grant REARM read grant REARM read grant REARM]", ErrUnavailable, "[9 10 11]"},
	} {
		s := newScript(new(BeatFlow), c.results...)
		s.in.Known, s.in.Alone = &c.known, c.alone
		a := s.run(t)
		revoked := fmt.Sprint(s.revoked)
		if fmt.Sprint(s.asked) != c.asked || !errors.Is(a.Err, c.err) || revoked != c.revoked {
			t.Errorf("%s: asked %v, %v, revoked %s; want %s, %v, %s", c.name, s.asked, a.Err, revoked, c.asked, c.err, c.revoked)
		}
		if !s.in.Local.hasEvidence || s.in.Local.EvidenceAt != Mono(time.Hour) {
			t.Errorf("%s: not noted as evidence", c.name)
		}
		if len(s.results) != 0 {
			t.Errorf("%s: %d results were not asked for", c.name, len(s.results))
		}
	}
}

// A lease to which a live instance is moved must not have run down (protocol CE6): the
// other leases are granted after the receipt of what they stand for, so that one which
// was granted slowly ends when it should. Where each write takes a second, no refutation
// would ever be carried out else.
func TestAStaleGrantIsDiscardedWhereItMovesALiveInstance(t *testing.T) {
	gone := aliveAt(5, "")
	gone.Projection = Projection{}
	alive := aliveAt(5, "")
	put := func() Flow {
		return &UpdateFlow{Update: Update{Owner: "app", State: Active, Attributes: "new", Proposed: KeepInterval}}
	}
	for _, c := range []struct {
		name     string
		flow     func() Flow
		known    Snapshot
		first    Result // before the grant
		discards bool
	}{
		{"a heartbeat that raises", func() Flow { return new(BeatFlow) }, alive, Result{TTL: 1}, true},
		{"a heartbeat that re-arms", func() Flow { return new(BeatFlow) }, Snapshot{}, Result{Snapshot: gone}, false},
		{"a refutation", func() Flow { return new(RefuteFlow) }, Snapshot{}, Result{Snapshot: gone}, false},
		{"a PUT", put, Snapshot{}, Result{Snapshot: gone}, true},
	} {
		for _, late := range []time.Duration{maxGrantAge, maxGrantAge + 1} {
			s := newScript(c.flow(), c.first, Result{Lease: 9})
			s.in.Known, s.in.Alone = &c.known, true
			s.in.Local.AddEvidence(Moment{Now: Mono(time.Hour)})
			var a Action
			r := Result{}
			for range 2 {
				a = s.flow.Next(s.in, r)
				r, s.results = s.results[0], s.results[1:]
			}
			if a.Do != DoGrant {
				t.Fatalf("%s: wants %v, not a grant", c.name, a.Do)
			}
			s.in.Now += Mono(late)
			a = s.flow.Next(s.in, r)
			if stale := c.discards && late > maxGrantAge; stale != (a.Do == DoRead && a.Revoke == 9) || !stale && a.Do != DoCommit {
				t.Errorf("%s: %v after it was asked for, the lease leads to %s, revoked %d", c.name, late, a, a.Revoke)
			}
		}
	}
}

// A refutation needs no read where what is known shows that the instance is gone, and uses
// no lease that outlives the evidence.
func TestARefutationReadsNothingThatIsKnown(t *testing.T) {
	gone := aliveAt(5, "")
	gone.Projection = Projection{}
	s := newScript(new(RefuteFlow), Result{Lease: 9}, Result{Revision: 6})
	s.in.Known = &gone
	s.in.Local.AddEvidence(Moment{Now: Mono(time.Hour)})
	if a := s.run(t); a.Err != nil || fmt.Sprint(s.asked) != "[grant REARM]" {
		t.Errorf("asked %v, %v", s.asked, a.Err)
	}
	f := new(RefuteFlow)
	in := s.in
	in.Known = &gone
	if a := f.Next(in, Result{}); a.Do != DoGrant {
		t.Fatalf("wants %v", a.Do)
	}
	in.Now += Mono(gone.Record.window())
	if a := f.Next(in, Result{Lease: 9}); a.Do != DoRespond || a.Revoke != 9 {
		t.Errorf("the evidence is too old, and yet %v, revoked %d", a.Do, a.Revoke)
	}
}

func TestADeletionIsWholeOrNotAtAll(t *testing.T) {
	alive := aliveAt(5, "")
	for _, c := range []struct {
		name    string
		results []Result
		asked   string
		err     error
		revoked string
	}{
		{"done", []Result{{Snapshot: alive}, {Revision: 6}}, "[read DELETE]", nil, "[7]"},
		{"a full store", []Result{{Snapshot: alive}, {Outcome: Full}}, "[read DELETE]", ErrFull, "[]"},
		{"no answer, but done", []Result{{Snapshot: alive}, {Outcome: Unavailable}, {}}, "[read DELETE read]", nil, "[]"},
		{"no answer, not done", []Result{{Snapshot: alive}, {Outcome: Unavailable}, {Snapshot: alive}, {Revision: 6}}, "[read DELETE read DELETE]", nil, "[7]"},
		{"it changed", []Result{{Snapshot: alive}, {Outcome: Conflict}, {Snapshot: aliveAt(6, "new")}, {Revision: 7}}, "[read DELETE read DELETE]", nil, "[7]"},
		{"there is none", []Result{{}}, "[read]", ErrNotFound, "[]"},
	} {
		s := newScript(&RemoveFlow{Removal: Removal{Owner: "app"}}, c.results...)
		a := s.run(t)
		if fmt.Sprint(s.asked) != c.asked || !errors.Is(a.Err, c.err) || fmt.Sprint(s.revoked) != c.revoked {
			t.Errorf("%s: asked %v, %v, revoked %v; want %s, %v, %s", c.name, s.asked, a.Err, s.revoked, c.asked, c.err, c.revoked)
		}
	}
}
