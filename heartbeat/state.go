package heartbeat

import (
	"errors"
	"fmt"
)

// State is the liveness state of an instance (MEC 011 v3.1.1 §8.1.6.6).
type State uint8

// The states. None stands for an instance without a record.
const (
	None State = iota
	Active
	Suspended
	Inactive
	numStates = iota
)

// States lists every state, for tables and tests. A new state also changes: its name, its
// row of the table and the event that puts it, below; wantCells in state_test.go, checkMove
// in model_invariants_test.go, and UpdateFlow.kind if its projection hangs on a lease; at
// Mp1, mp1/enums.go and mp1/openapi; plugins/servicemgmt (stateOf, discoverable),
// plugins/filterindex.go, the status in plugins/servicecenter/store/projection.go and
// agent/transitions.go; in documents, the table in docs/architecture.md and the life
// of a service in README.md, which `go test ./heartbeat ./test/docs` compare.
var States = [numStates]State{None, Active, Suspended, Inactive}

var stateNames = [numStates]string{None: "(none)", Active: "ACTIVE", Suspended: "SUSPENDED", Inactive: "INACTIVE"}

// Valid reports whether this release knows the state; what is stored may come from a later one.
func (s State) Valid() bool { return s < numStates }

func (s State) String() string {
	if !s.Valid() {
		return fmt.Sprintf("State(%d)", uint8(s))
	}
	return stateNames[s]
}

// Event is what can happen to an instance.
type Event uint8

// The events.
const (
	Beat          Event = iota // a heartbeat of its owner
	Expired                    // its window ended without one, and a replica may claim that
	PutInactive                // its owner sets another state: INACTIVE
	PutActive                  // its owner sets another state: ACTIVE
	PutSame                    // its owner writes it without changing the state
	RetentionOver              // it has been SUSPENDED for too long
	Delete                     // its owner, or the removal of its application
	numEvents     = iota
)

// Events lists every event, for tables and tests.
var Events = [numEvents]Event{Beat, Expired, PutInactive, PutActive, PutSame, RetentionOver, Delete}

var eventNames = [numEvents]string{Beat: "Beat", Expired: "Expired", PutInactive: "PUT INACTIVE", PutActive: "PUT ACTIVE",
	PutSame: "PUT, same state", RetentionOver: "Retention over", Delete: "Delete"}

func (e Event) String() string { return eventNames[e] }

// Change is what consumers are told of a transition (MEC 011 v3.1.1 §8.1.4.2).
type Change uint8

// The changes.
const (
	NoChange Change = iota // nothing is told
	Added
	StateChanged
	AttributesChanged
	Removed
	numChanges = iota
)

// Changes lists every change, for tables and tests.
var Changes = [numChanges]Change{NoChange, Added, StateChanged, AttributesChanged, Removed}

var changeNames = [numChanges]string{Added: "ADDED", StateChanged: "STATE_CHANGED", AttributesChanged: "ATTRIBUTES_CHANGED", Removed: "REMOVED"}

// Valid reports whether this release knows the change; what is stored may come from a later one.
func (c Change) Valid() bool { return c < numChanges }

func (c Change) String() string { return changeNames[c] }

// ErrNoCell marks the cells of the table that cannot be reached: the event does
// not exist in that state.
var ErrNoCell = errors.New("this event cannot happen in this state")

// Cell is one cell of the state table: the state after the event, what is told
// of it, and why it is refused if it is.
type Cell struct {
	To     State
	Change Change
	Err    error
}

var table = complete([numStates][numEvents]Cell{
	None: {
		Beat:          {None, NoChange, ErrNotFound},
		Expired:       {None, NoChange, ErrNoCell},
		PutInactive:   {None, NoChange, ErrNotFound},
		PutActive:     {None, NoChange, ErrNotFound},
		PutSame:       {None, NoChange, ErrNotFound},
		RetentionOver: {None, NoChange, ErrNoCell},
		Delete:        {None, NoChange, ErrNotFound},
	},
	Active: {
		Beat:          {Active, NoChange, nil},
		Expired:       {Suspended, StateChanged, nil},
		PutInactive:   {Inactive, StateChanged, nil},
		PutActive:     {Active, NoChange, ErrNoCell}, // that is PutSame
		PutSame:       {Active, AttributesChanged, nil},
		RetentionOver: {Active, NoChange, ErrNoCell},
		Delete:        {None, Removed, nil},
	},
	Suspended: {
		Beat:          {Active, StateChanged, nil},
		Expired:       {Suspended, NoChange, ErrNoCell},
		PutInactive:   {Inactive, StateChanged, nil},
		PutActive:     {Active, StateChanged, nil},
		PutSame:       {Suspended, AttributesChanged, nil},
		RetentionOver: {None, Removed, nil},
		Delete:        {None, Removed, nil},
	},
	Inactive: {
		Beat:          {Inactive, NoChange, ErrInactive},
		Expired:       {Inactive, NoChange, ErrNoCell},
		PutInactive:   {Inactive, NoChange, ErrNoCell}, // that is PutSame
		PutActive:     {Active, StateChanged, nil},
		PutSame:       {Inactive, AttributesChanged, nil},
		RetentionOver: {Inactive, NoChange, ErrNoCell},
		Delete:        {None, Removed, nil},
	},
})

// complete panics if a cell was left out of the table: its zero value would accept the event
// and drop the state without telling anybody.
func complete(t [numStates][numEvents]Cell) [numStates][numEvents]Cell {
	for _, s := range States {
		for _, e := range Events {
			if t[s][e] == (Cell{}) {
				panic(fmt.Sprintf("heartbeat: the state table has no cell for %s, %s", s, e))
			}
		}
	}
	return t
}

// Next is the state table: total, pure, and the only place that says where an
// event leads. AttributesChanged is told only if something did change.
func Next(from State, e Event) Cell { return table[from][e] }

// putEvent names the event that a PUT to state to is for a record in from. It fails with
// ErrOnlyPlatform for a state that no owner can set.
func putEvent(from, to State) (Event, error) {
	switch {
	case from == to:
		return PutSame, nil
	case to == Inactive:
		return PutInactive, nil
	case to == Active:
		return PutActive, nil
	default:
		return 0, ErrOnlyPlatform
	}
}
