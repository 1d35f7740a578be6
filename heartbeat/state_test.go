package heartbeat

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// The state table as the design has it, written down a second time. Each cell is
// "state change" or the refusal.
var wantCells = map[State]map[Event]string{
	None: {
		Beat: "no record", Expired: "impossible",
		PutInactive: "no record", PutActive: "no record", PutSame: "no record",
		RetentionOver: "impossible", Delete: "no record",
		Drain: "no record", Undrain: "no record", UndrainUnmonitored: "no record",
	},
	Active: {
		Beat: "ACTIVE", Expired: "SUSPENDED STATE_CHANGED",
		PutInactive: "INACTIVE STATE_CHANGED", PutActive: "impossible", PutSame: "ACTIVE ATTRIBUTES_CHANGED",
		RetentionOver: "impossible", Delete: "(none) REMOVED",
		Drain: "DRAINED STATE_CHANGED", Undrain: "not drained", UndrainUnmonitored: "not drained",
	},
	Suspended: {
		Beat: "ACTIVE STATE_CHANGED", Expired: "impossible",
		PutInactive: "INACTIVE STATE_CHANGED", PutActive: "ACTIVE STATE_CHANGED", PutSame: "SUSPENDED ATTRIBUTES_CHANGED",
		RetentionOver: "(none) REMOVED", Delete: "(none) REMOVED",
		Drain: "DRAINED STATE_CHANGED", Undrain: "not drained", UndrainUnmonitored: "not drained",
	},
	Inactive: {
		Beat: "inactive", Expired: "impossible",
		PutInactive: "impossible", PutActive: "ACTIVE STATE_CHANGED", PutSame: "INACTIVE ATTRIBUTES_CHANGED",
		RetentionOver: "impossible", Delete: "(none) REMOVED",
		Drain: "DRAINED_INACTIVE CAUSE_CHANGED", Undrain: "not drained", UndrainUnmonitored: "not drained",
	},
	Drained: {
		Beat: "drained", Expired: "impossible",
		PutInactive: "DRAINED_INACTIVE ATTRIBUTES_CHANGED", PutActive: "drained", PutSame: "DRAINED ATTRIBUTES_CHANGED",
		RetentionOver: "impossible", Delete: "(none) REMOVED",
		Drain: "DRAINED CAUSE_CHANGED", Undrain: "SUSPENDED STATE_CHANGED", UndrainUnmonitored: "ACTIVE STATE_CHANGED",
	},
	DrainedInactive: {
		Beat: "drained", Expired: "impossible",
		PutInactive: "impossible", PutActive: "drained", PutSame: "DRAINED_INACTIVE ATTRIBUTES_CHANGED",
		RetentionOver: "impossible", Delete: "(none) REMOVED",
		Drain: "DRAINED_INACTIVE CAUSE_CHANGED", Undrain: "INACTIVE CAUSE_CHANGED", UndrainUnmonitored: "INACTIVE CAUSE_CHANGED",
	},
}

func TestEveryCellOfTheStateTable(t *testing.T) {
	seen := 0
	for _, s := range States {
		for _, e := range Events {
			seen++
			got := Next(s, e)
			words := got.To.String()
			if got.Change != NoChange {
				words += " " + got.Change.String()
			}
			refusal := map[string]error{"no record": ErrNotFound, "impossible": ErrNoCell, "inactive": ErrInactive,
				"drained": ErrDrained, "not drained": ErrNotDrained}[wantCells[s][e]]
			switch {
			case refusal != nil && !errors.Is(got.Err, refusal):
				t.Errorf("%s, %s: error %v, want %v", s, e, got.Err, refusal)
			case refusal != nil && (got.To != s || got.Change != NoChange):
				t.Errorf("%s, %s: a refused event leads to %q", s, e, words)
			case refusal == nil && (got.Err != nil || words != wantCells[s][e]):
				t.Errorf("%s, %s: %q (%v), want %q", s, e, words, got.Err, wantCells[s][e])
			}
		}
	}
	if want := len(States) * len(Events); seen != want || len(wantCells) != len(States) {
		t.Errorf("%d cells seen, want %d", seen, want)
	}
}

// What the table promises as a whole, whatever its cells say.
func TestNoCellTellsOfNothingOrHidesAChange(t *testing.T) {
	for _, s := range States {
		for _, e := range Events {
			c := Next(s, e)
			if c.Err == nil && c.To.Shown() != s.Shown() && c.Change == NoChange {
				t.Errorf("%s, %s: the state changes and nobody is told", s, e)
			}
			if (c.Change == Removed) != (c.Err == nil && c.To == None) {
				t.Errorf("%s, %s: REMOVED does not mean that the record goes", s, e)
			}
			if c.Change == StateChanged && c.To.Shown() == s.Shown() {
				t.Errorf("%s, %s: STATE_CHANGED without a change", s, e)
			}
			if c.Change == CauseChanged && c.To.Shown() != s.Shown() {
				t.Errorf("%s, %s: the state changes, and consumers are not told", s, e)
			}
		}
	}
}

func TestAPutIsNamedByWhereItLeads(t *testing.T) {
	for _, c := range []struct {
		from, to State
		agent    bool
		want     Event
	}{
		{Active, Active, false, PutSame}, {Active, Inactive, true, PutInactive}, {Suspended, Suspended, false, PutSame},
		{Suspended, Active, false, PutActive}, {Suspended, Inactive, false, PutInactive}, {Inactive, Inactive, true, PutSame}, {Inactive, Active, false, PutActive},
		{Drained, Inactive, false, PutInactive}, {Drained, Inactive, true, PutSame}, {Drained, Active, true, PutActive},
		{DrainedInactive, Inactive, false, PutSame}, {DrainedInactive, Active, false, PutActive},
	} {
		if got, err := putEvent(c.from, c.to, c.agent); err != nil || got != c.want || errors.Is(Next(c.from, got).Err, ErrNoCell) {
			t.Errorf("PUT %s on %s is %q (%v), want %q, in a cell that exists", c.to, c.from, got, err, c.want)
		}
	}
}

// A state that putEvent does not know was a PUT to ACTIVE.
func TestAPutToAStateThatNoOwnerSetsIsRefused(t *testing.T) {
	for _, from := range States {
		for _, to := range []State{None, Suspended, Drained, DrainedInactive, numStates} {
			if got, err := putEvent(from, to, false); (from != to || to.Drained()) && !errors.Is(err, ErrOnlyPlatform) {
				t.Errorf("PUT %s on %s is %q (%v)", to, from, got, err)
			}
		}
	}
}

func TestACellThatIsLeftOutOfTheTableIsNoticed(t *testing.T) {
	for _, s := range States {
		for _, e := range Events {
			func() {
				defer func() {
					if said := fmt.Sprint(recover()); !strings.Contains(said, s.String()) || !strings.Contains(said, e.String()) {
						t.Errorf("%s, %s is left out: %s", s, e, said)
					}
				}()
				less := table
				less[s][e] = Cell{}
				complete(less)
			}()
		}
	}
}

func TestEveryConstantIsListedAndHasAName(t *testing.T) {
	names := map[string]int{}
	for i, s := range States {
		if names[s.String()]++; s != State(i) || !s.Valid() {
			t.Errorf("States[%d] is %s", i, s)
		}
	}
	for i, e := range Events {
		if names[e.String()]++; e != Event(i) {
			t.Errorf("Events[%d] is %s", i, e)
		}
	}
	for i, c := range Changes {
		if names["a change: "+c.String()]++; c != Change(i) || !c.Valid() || (c == NoChange) != (c.String() == "") {
			t.Errorf("Changes[%d] is %s", i, c)
		}
	}
	for i, k := range Kinds {
		if names["a transaction: "+k.String()]++; k != Kind(i) || k.String() == "" {
			t.Errorf("Kinds[%d] is %s", i, k)
		}
	}
	if want := numStates + numEvents + numChanges + numKinds; len(names) != want || names[""] > 0 {
		t.Errorf("%d names for %d constants: %v", len(names), want, names)
	}
	if State(numStates).Valid() || Change(numChanges).Valid() || State(numStates).String() == "" {
		t.Error("one beyond the last is taken for one that is known")
	}
}
