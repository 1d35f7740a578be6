package heartbeat

import (
	"fmt"
	"slices"
)

// ended stands in a step table for the end of the flow: it has responded.
const ended = 255

// transition is one line of a flow's step table, as docs/protocol.md prints it.
type transition struct {
	at   uint8
	came []Outcome // what the action of this step came back with; nil: all that no line above names
	then string    // what the flow does, in words
	to   []uint8   // the steps that this may lead to
}

// line is a transition with the function that decides it.
type line[F any] struct {
	transition
	decide func(F, Input, Result) Action
}

// on makes a line of a step table.
func on[F any, S ~uint8](at S, came []Outcome, decide func(F, Input, Result) Action, then string, to ...S) line[F] {
	l := line[F]{transition{at: uint8(at), came: came, then: then}, decide}
	for _, s := range to {
		l.to = append(l.to, uint8(s))
	}
	return l
}

// always and otherwise stand for all outcomes, and for all that no line above names.
var always, otherwise []Outcome

// stepTable is the state machine of a flow: the one place that says what is decided at
// which step. It is total: a flow at a step that has no line is a defect, and panics.
type stepTable[F any] struct {
	flow   string
	steps  []string // their names; the flow starts at the first
	lines  []transition
	decide [][outcomes]func(F, Input, Result) Action
}

func newStepTable[F any](flow string, steps []string, lines ...line[F]) *stepTable[F] {
	t := &stepTable[F]{flow: flow, steps: steps, decide: make([][outcomes]func(F, Input, Result) Action, len(steps))}
	for _, l := range lines {
		t.lines = append(t.lines, l.transition)
		for o := range Outcome(outcomes) {
			if t.decide[l.at][o] == nil && (l.came == nil || slices.Contains(l.came, o)) {
				t.decide[l.at][o] = l.decide
			}
		}
	}
	return t
}

// line is the decision for a step and an outcome.
func (t *stepTable[F]) line(at uint8, o Outcome) func(F, Input, Result) Action {
	if int(at) >= len(t.decide) || o >= outcomes || t.decide[at][o] == nil {
		t.unknown(at, o)
	}
	return t.decide[at][o]
}

func (t *stepTable[F]) unknown(at uint8, o Outcome) {
	panic(fmt.Sprintf("%s has no step %d that ends with outcome %d", t.flow, at, o))
}

// end makes a decision that only ends the flow.
func end[F any](err error) func(F, Input, Result) Action {
	return func(F, Input, Result) Action { return respond(err, Record{}) }
}
