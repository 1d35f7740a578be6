package heartbeat

import (
	"errors"
	"testing"
)

// The state table as the design has it, written down a second time. Each cell is
// "state change" or the refusal.
var wantCells = map[State][len(Events)]string{
	//          Beat                      Expired                    PUT INACTIVE              PUT ACTIVE               PUT, same state               Retention over    Delete
	None:      {"no record", "impossible", "no record", "no record", "no record", "impossible", "no record"},
	Active:    {"ACTIVE", "SUSPENDED STATE_CHANGED", "INACTIVE STATE_CHANGED", "impossible", "ACTIVE ATTRIBUTES_CHANGED", "impossible", "(none) REMOVED"},
	Suspended: {"ACTIVE STATE_CHANGED", "impossible", "INACTIVE STATE_CHANGED", "ACTIVE STATE_CHANGED", "SUSPENDED ATTRIBUTES_CHANGED", "(none) REMOVED", "(none) REMOVED"},
	Inactive:  {"inactive", "impossible", "impossible", "ACTIVE STATE_CHANGED", "INACTIVE ATTRIBUTES_CHANGED", "impossible", "(none) REMOVED"},
}

func TestEveryCellOfTheStateTable(t *testing.T) {
	seen := 0
	for _, s := range States {
		for i, e := range Events {
			seen++
			got := Next(s, e)
			words := got.To.String()
			if got.Change != NoChange {
				words += " " + got.Change.String()
			}
			refusal := map[string]error{"no record": ErrNotFound, "impossible": ErrNoCell, "inactive": ErrInactive}[wantCells[s][i]]
			switch {
			case refusal != nil && !errors.Is(got.Err, refusal):
				t.Errorf("%s, %s: error %v, want %v", s, e, got.Err, refusal)
			case refusal != nil && (got.To != s || got.Change != NoChange):
				t.Errorf("%s, %s: a refused event leads to %q", s, e, words)
			case refusal == nil && (got.Err != nil || words != wantCells[s][i]):
				t.Errorf("%s, %s: %q (%v), want %q", s, e, words, got.Err, wantCells[s][i])
			}
		}
	}
	if want := 4 * 7; seen != want || len(wantCells) != len(States) {
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
		if got := putEvent(c.from, c.to); got != c.want || errors.Is(Next(c.from, got).Err, ErrNoCell) {
			t.Errorf("PUT %s on %s is %q, want %q, in a cell that exists", c.to, c.from, got, c.want)
		}
	}
}
