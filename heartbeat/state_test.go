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
	},
	Active: {
		Beat: "ACTIVE", Expired: "SUSPENDED STATE_CHANGED",
		PutInactive: "INACTIVE STATE_CHANGED", PutActive: "impossible", PutSame: "ACTIVE ATTRIBUTES_CHANGED",
		RetentionOver: "impossible", Delete: "(none) REMOVED",
	},
	Suspended: {
		Beat: "ACTIVE STATE_CHANGED", Expired: "impossible",
		PutInactive: "INACTIVE STATE_CHANGED", PutActive: "ACTIVE STATE_CHANGED", PutSame: "SUSPENDED ATTRIBUTES_CHANGED",
		RetentionOver: "(none) REMOVED", Delete: "(none) REMOVED",
	},
	Inactive: {
		Beat: "inactive", Expired: "impossible",
		PutInactive: "impossible", PutActive: "ACTIVE STATE_CHANGED", PutSame: "INACTIVE ATTRIBUTES_CHANGED",
		RetentionOver: "impossible", Delete: "(none) REMOVED",
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
			refusal := map[string]error{"no record": ErrNotFound, "impossible": ErrNoCell, "inactive": ErrInactive}[wantCells[s][e]]
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
			if c.Err == nil && c.To != s && c.Change == NoChange {
				t.Errorf("%s, %s: the state changes and nobody is told", s, e)
			}
			if (c.Change == Removed) != (c.Err == nil && c.To == None) {
				t.Errorf("%s, %s: REMOVED does not mean that the record goes", s, e)
			}
			if c.Change == StateChanged && c.To == s {
				t.Errorf("%s, %s: STATE_CHANGED without a change", s, e)
			}
		}
	}
}

func TestAPutIsNamedByWhereItLeads(t *testing.T) {
	for _, c := range []struct {
		from, to State
		want     Event
	}{
		{Active, Active, PutSame}, {Active, Inactive, PutInactive}, {Suspended, Suspended, PutSame},
		{Suspended, Active, PutActive}, {Suspended, Inactive, PutInactive}, {Inactive, Inactive, PutSame}, {Inactive, Active, PutActive},
	} {
		if got, err := putEvent(c.from, c.to); err != nil || got != c.want || errors.Is(Next(c.from, got).Err, ErrNoCell) {
			t.Errorf("PUT %s on %s is %q (%v), want %q, in a cell that exists", c.to, c.from, got, err, c.want)
		}
	}
}

// A state that putEvent does not know was a PUT to ACTIVE.
func TestAPutToAStateThatNoOwnerSetsIsRefused(t *testing.T) {
	for _, from := range States {
		for _, to := range []State{None, Suspended, numStates} {
			if got, err := putEvent(from, to); from != to && !errors.Is(err, ErrOnlyPlatform) {
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
