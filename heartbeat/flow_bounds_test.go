package heartbeat

import (
	"reflect"
	"testing"
	"time"
)

// A flow may not go on for ever, whatever the store answers: grants that are stale when
// they come, commits that always lose, records that move again and again. All that a
// flow remembers is in its value, so one that cannot come back to a value that it had
// ends; the longest way there is counted.
func TestEveryFlowEndsWhateverTheStoreAnswers(t *testing.T) {
	rec := Record{Schema: Schema, ID: "i", Owner: "app", State: Active, Seq: 1, Interval: 10, Window: 20, Lease: 7}
	raised := rec
	raised.Interval, raised.Previous, raised.Window, raised.Lease = 5, 10, 20, 6
	for _, c := range []struct {
		name  string
		flow  Flow
		most  int // actions
		alone bool
	}{
		{"heartbeat", &BeatFlow{}, 7*maxRounds + 2, false},
		{"heartbeat, alone", &BeatFlow{}, 5*maxRounds + 2, true},
		{"refutation", &RefuteFlow{}, 3 * maxRounds, false},
		{"claim", &ClaimFlow{}, 1, false},
		{"claim that waits for a token", &ClaimFlow{step: claimToken, at: 9, since: Credit(-time.Hour)}, 2, false},
		{"registration", &RegisterFlow{Record: rec}, maxRounds + 2, false},
		{"registration without heartbeats", &RegisterFlow{Record: Record{ID: "i", State: Active}}, 2, false},
		{"update", &UpdateFlow{Update: Update{Owner: "app", State: Active, Attributes: "new", Proposed: 60}}, 3*(maxConflicts+maxRounds) + 1, false},
		{"deactivation", &UpdateFlow{Update: Update{Owner: "app", State: Inactive, Proposed: KeepInterval}}, 2 * (maxConflicts + maxRounds), false},
		{"removal by its owner", &RemoveFlow{Removal: Removal{Owner: "app"}}, 2 * (maxConflicts + maxRounds), false},
		{"removal", &RetentionFlow{}, 2, false},
		{"drain", &DrainFlow{Request: DrainRequest{Reason: "disk"}}, 2 * (maxConflicts + maxRounds), false},
		{"undrain", &DrainFlow{Request: DrainRequest{Lift: true}}, 2 * (maxConflicts + maxRounds), false},
		{"repair", &RepairFlow{ID: "i", Differs: 9}, 3, false},
		{"end of a lease", &EndFlow{}, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := flowWalk{most: map[any]int{}}
			w.situations(c.flow, rec, raised, c.alone)
			n := w.longest(t, c.flow, Result{})
			t.Logf("at most %d actions, %d values of the flow", n, len(w.most))
			if n > c.most {
				t.Errorf("it takes up to %d actions, want at most %d", n, c.most)
			}
			if n == 0 {
				t.Error("it does nothing")
			}
		})
	}
}

const underWay = -1

// flowWalk goes through every value that a flow can come to.
type flowWalk struct {
	inputs []Input
	reads  []Snapshot
	most   map[any]int // the longest way from a value and a result to the end
	seen   moves       // not nil: what the flows did is noted
}

type flowAt struct {
	flow   any
	result Result
}

// longest is the number of actions from here to the end.
func (w *flowWalk) longest(t *testing.T, f Flow, r Result) int {
	at := flowAt{valueOf(f), r}
	if n, known := w.most[at]; known {
		if n == underWay {
			t.Fatalf("it comes back to where it was: %+v after %+v", at.flow, r)
		}
		return n
	}
	w.most[at] = underWay
	type step struct {
		flow any
		do   Verb
	}
	steps := map[step]bool{}
	for i := range w.inputs {
		in := w.inputs[i]
		local := *in.Local
		in.Local = &local
		flow, a := next(at.flow, in, r)
		if w.seen != nil {
			w.seen.note(at.flow, flow, r, a)
		}
		if a.Do != DoRespond && a.Do != DoWait && a.Do != DoToken {
			steps[step{askedAtZero(flow), a.Do}] = true
		}
	}
	longest := 0
	for s := range steps {
		for _, result := range w.results(s.do) {
			longest = max(longest, 1+w.longest(t, pointerTo(s.flow), result))
		}
	}
	w.most[at] = longest
	return longest
}

// results are the ways in which an action may end.
func (w *flowWalk) results(do Verb) (out []Result) {
	failed := []Outcome{Unavailable}
	switch do {
	case DoRead:
		out, failed = append(out, Result{}), append(failed, Unusable)
		for _, s := range w.reads {
			out = append(out, Result{Snapshot: s})
		}
	case DoHead:
		out = append(out, Result{Revision: 5}, Result{Revision: 1000})
	case DoGrant:
		out, failed = append(out, Result{Lease: 8}), append(failed, Full)
	case DoRenew:
		out, failed = append(out, Result{TTL: 20}, Result{TTL: 5}), append(failed, LeaseGone)
	case DoAge:
		out = append(out, Result{Age: time.Second}, Result{Age: time.Hour})
	case DoEnd:
		out, failed = append(out, Result{}, Result{Left: time.Second}), append(failed, Conflict)
	case DoReserve:
		out = append(out, Result{})
	case DoCommit:
		out, failed = append(out, Result{Revision: 50}), append(failed, Conflict, Taken, LeaseGone, Full, Unusable)
	}
	for _, o := range failed {
		out = append(out, Result{Outcome: o})
	}
	return out
}

// situations are those in which a flow may have to decide: the record in every state,
// heard lately or not, at once or after a grant has run down.
func (w *flowWalk) situations(f Flow, rec, raised Record, alone bool) {
	p := brisk(10)
	p.DeregisterAfter = time.Second
	asleep, resting, drained, strange, silent := rec, rec, rec, rec, rec
	asleep.State, asleep.Lease = Suspended, 0
	resting.State, resting.Lease = Inactive, 0
	drained.State, drained.Lease, drained.Cause = Drained, 0, Cause{Kind: ByDrain}
	strange.Owner = "other"
	silent.Silence = time.Second
	present, moved, lasting := Projection{Revision: 9, Lease: 7}, Projection{Revision: 10, Lease: 6}, Projection{Revision: 9}
	w.reads = []Snapshot{
		{Record: rec, At: 9}, {Record: rec, At: 9, Projection: present}, {Record: rec, At: 11, Projection: moved},
		{Record: raised, At: 12, Projection: Projection{Revision: 12, Lease: 6}}, {Record: asleep, At: 13, Projection: lasting}, {Record: resting, At: 14, Projection: lasting},
		{Record: strange, At: 15, Projection: present}, {Record: silent, At: 16, Projection: present},
		{Record: drained, At: 17, Projection: lasting},
	}
	known, heards := w.reads, []bool{true, false}
	switch f.(type) {
	case *UpdateFlow, *RemoveFlow, *DrainFlow: // they decide by what they read, and heard matters to nothing
		known, heards = known[:1], heards[:1]
	}
	for i := range known {
		for _, heard := range heards {
			for _, now := range []time.Duration{0, maxGrantAge + 1} { // to ask at the first and be answered at the second is too late
				l := &Local{hasEvidence: heard, suspended: true, SuspendedSince: 0}
				if _, is := f.(*EndFlow); is {
					l.EvidenceAt = Mono(-time.Hour)
					if now > 0 { // its window is soon over
						l.EvidenceAt = Mono(now - known[i].Record.window() + longestReserve/2)
					}
				}
				w.inputs = append(w.inputs, Input{Now: Mono(now), Policy: &p, Health: &Health{Credited: Credit(time.Hour), Alone: alone}, Known: &known[i], Watched: 100, Local: l,
					Wall: int64(time.Hour), Alone: alone, MinLease: 1})
			}
		}
	}
}

// askedAtZero has the time begin with the grant that was asked for, so that a grant that
// comes too late, again and again, leads to the same value.
func askedAtZero(flow any) any {
	switch f := flow.(type) {
	case BeatFlow:
		f.grantAskedAt = 0
		return f
	case RefuteFlow:
		f.grantAskedAt = 0
		return f
	case RegisterFlow:
		f.grantAskedAt = 0
		return f
	case UpdateFlow:
		f.grantAskedAt = 0
		return f
	case RepairFlow:
		f.grantAskedAt = 0
		return f
	}
	return flow
}

// valueOf is what a pointer to a flow points at.
func valueOf(f Flow) any { return reflect.ValueOf(f).Elem().Interface() }

func pointerTo(v any) Flow {
	p := reflect.New(reflect.TypeOf(v))
	p.Elem().Set(reflect.ValueOf(v))
	return p.Interface().(Flow)
}
