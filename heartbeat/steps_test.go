package heartbeat

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// stepTables are those of all flows, a heartbeat's first.
var stepTables = []interface {
	table() (flow string, steps []string, lines []transition)
	missing() []string
}{beatSteps, registerSteps, updateSteps, removeSteps, refuteSteps, claimSteps, retentionSteps, drainSteps, repairSteps, silenceSteps, expireSteps, endSteps}

func (t *stepTable[F]) table() (string, []string, []transition) { return t.flow, t.steps, t.lines }

// missing are the steps and outcomes for which the table has no line.
func (t *stepTable[F]) missing() (out []string) {
	for at := range t.decide {
		for o, decide := range t.decide[at] {
			if decide == nil {
				out = append(out, fmt.Sprintf("%s, %s, %s", t.flow, t.steps[at], outcomeNames[o]))
			}
		}
	}
	return out
}

func TestTheStepTablesAreTotal(t *testing.T) {
	for _, table := range stepTables {
		if m := table.missing(); m != nil {
			t.Errorf("no line for %v", m)
		}
	}
	partial := newStepTable("ExpireFlow", []string{"start", "commit"}, on(expireStart, always, (*ExpireFlow).begin, "", ended),
		on(expireCommit, []Outcome{Done}, (*ExpireFlow).afterCommit, "", ended))
	if m := partial.missing(); len(m) != int(outcomes)-1 {
		t.Errorf("of a table that lacks all but one outcome of a step, it misses %v", m)
	}
}

// A step that no line is about must not pass for the last one, as in a switch with a default.
func TestAnUnknownStepPanics(t *testing.T) {
	for _, f := range []Flow{&BeatFlow{step: 99}, &ClaimFlow{step: claimCommit + 1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%T goes on from a step that it does not have", f)
				}
			}()
			f.Next(newScript(f).in, Result{})
		}()
	}
}

// moves are the transitions that flows were seen to make: flow, step, outcome, next step.
type moves map[[4]string]bool

// note notes what a flow did; it is told the flow before and after.
func (m moves) note(before, after any, r Result, a Action) {
	to := uint8(reflect.ValueOf(after).FieldByName("step").Uint())
	if a.Do == DoRespond {
		to = ended
	}
	flow := reflect.TypeOf(before).Name()
	for _, table := range stepTables {
		if name, steps, _ := table.table(); name == flow {
			m[[4]string{flow, steps[reflect.ValueOf(before).FieldByName("step").Uint()], outcomeNames[r.Outcome], stepName(steps, to)}] = true
		}
	}
}

// The tables say where a flow goes: what is seen stands there, and what stands there is seen.
func TestTheFlowsFollowTheirStepTables(t *testing.T) {
	rec := Record{Schema: Schema, ID: "i", Owner: "app", State: Active, Seq: 1, Interval: 10, Window: 20, Lease: 7}
	raised, seen := rec, moves{}
	raised.Interval, raised.Previous, raised.Window, raised.Lease = 5, 10, 20, 6
	last := attempt{conflicts: maxConflicts} // the rounds before do the same
	put := func(u Update) Flow { u.Owner = "app"; return &UpdateFlow{Update: u, attempt: last} }
	for _, f := range []Flow{
		&BeatFlow{}, &RefuteFlow{}, &ClaimFlow{}, &ClaimFlow{step: claimHold, at: 9, since: Credit(-time.Hour)}, &ClaimFlow{step: claimToken, at: 9, since: Credit(-time.Hour)},
		&ClaimFlow{step: claimHold, at: 8}, &ClaimFlow{step: claimHold, at: 20}, &ClaimFlow{step: claimToken, at: 8}, &ClaimFlow{step: claimToken, at: 10},
		&RegisterFlow{Record: rec}, &RegisterFlow{Record: Record{ID: "i", State: Active}},
		put(Update{State: Active, Attributes: "new", Proposed: 60}), put(Update{State: Inactive, Proposed: KeepInterval}), put(Update{State: Active, Proposed: KeepInterval}),
		&UpdateFlow{step: updateRead, sent: true, txn: Raise, target: rec, attempt: last},
		&RemoveFlow{Removal: Removal{Owner: "app"}, attempt: last}, &RetentionFlow{}, &RepairFlow{ID: "i", Differs: 9}, &ExpireFlow{}, &EndFlow{},
		&DrainFlow{attempt: last}, &DrainFlow{Request: DrainRequest{Lift: true}, attempt: last},
		&SilenceFlow{}, &SilenceFlow{step: silenceCommit, from: 1}, &SilenceFlow{step: silenceConfirm, silence: time.Minute},
	} {
		for _, alone := range []bool{false, true} {
			w := flowWalk{most: map[any]int{}, seen: seen}
			w.situations(f, rec, raised, alone)
			w.longest(t, f, Result{})
			w.longest(t, f, Result{Snapshot: Snapshot{Record: rec, At: 9}})
		}
	}
	for _, table := range stepTables {
		flow, steps, lines := table.table()
		covered := map[[3]string]bool{} // step, outcome, next
		for _, l := range lines {
			for o := range Outcome(outcomes) {
				if l.came != nil && !slices.Contains(l.came, o) || covered[[3]string{steps[l.at], outcomeNames[o], "line"}] {
					continue
				}
				covered[[3]string{steps[l.at], outcomeNames[o], "line"}] = true
				for _, to := range l.to {
					covered[[3]string{steps[l.at], outcomeNames[o], stepName(steps, to)}] = true
				}
			}
			for _, to := range l.to {
				if !seen.any(flow, steps[l.at], stepName(steps, to), l.came) {
					t.Errorf("%s: from %s (%q) to %s was not seen", flow, steps[l.at], l.then, stepName(steps, to))
				}
			}
		}
		for m := range seen {
			if m[0] == flow && !covered[[3]string{m[1], m[2], m[3]}] {
				t.Errorf("not in the table: %s", strings.Join(m[:], ", "))
			}
		}
	}
}

// any says whether the flow was seen to go from one step to the other, by one of the outcomes.
func (m moves) any(flow, from, to string, came []Outcome) bool {
	for o := range Outcome(outcomes) {
		if (came == nil || slices.Contains(came, o)) && m[[4]string{flow, from, outcomeNames[o], to}] {
			return true
		}
	}
	return false
}
