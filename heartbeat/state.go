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
	// Drained: an administrator has taken it out of use. To consumers it is INACTIVE, and neither
	// a heartbeat nor a PUT of its owner changes that.
	Drained
	DrainedInactive // the same, and its owner has set INACTIVE, which it is when it is undrained
	numStates       = iota
)

// States lists every state, for tables and tests. A new state also changes: its name, its
// row of the table and the event that puts it, below; wantCells in state_test.go, checkMove
// in model_invariants_test.go, and UpdateFlow.kind if its projection hangs on a lease; at
// Mp1, mp1/enums.go and mp1/openapi; plugins/servicemgmt (stateOf, discoverable),
// plugins/filterindex.go, the status in plugins/servicecenter/store/projection.go and
// agent/transitions.go; in documents, the table in docs/architecture.md and the life
// of a service in README.md, which `go test ./heartbeat ./test/docs` compare.
var States = [numStates]State{None, Active, Suspended, Inactive, Drained, DrainedInactive}

var stateNames = [numStates]string{None: "(none)", Active: "ACTIVE", Suspended: "SUSPENDED", Inactive: "INACTIVE",
	Drained: "DRAINED", DrainedInactive: "DRAINED_INACTIVE"}

// Valid reports whether this release knows the state; what is stored may come from a later one.
func (s State) Valid() bool { return s < numStates }

// Drained says whether an administrator has drained the instance.
func (s State) Drained() bool { return s == Drained || s == DrainedInactive }

// Shown is the state that everybody but administrators is shown: one that MEC 011 has.
func (s State) Shown() State {
	if s.Drained() {
		return Inactive
	}
	return s
}

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
	Beat               Event = iota // a heartbeat of its owner
	Expired                         // its window ended without one, and a replica may claim that
	PutInactive                     // its owner sets another state: INACTIVE
	PutActive                       // its owner sets another state: ACTIVE
	PutSame                         // its owner writes it without changing the state
	RetentionOver                   // it has been SUSPENDED for too long
	Delete                          // its owner, or the removal of its application
	Drain                           // an administrator takes it out of use, or says why it is
	Undrain                         // and gives it back; heartbeats are required of it
	UndrainUnmonitored              // the same, and none are
	numEvents          = iota
)

// Events lists every event, for tables and tests.
var Events = [numEvents]Event{Beat, Expired, PutInactive, PutActive, PutSame, RetentionOver, Delete, Drain, Undrain, UndrainUnmonitored}

var eventNames = [numEvents]string{Beat: "Beat", Expired: "Expired", PutInactive: "PUT INACTIVE", PutActive: "PUT ACTIVE",
	PutSame: "PUT, same state", RetentionOver: "Retention over", Delete: "Delete",
	Drain: "Drain", Undrain: "Undrain", UndrainUnmonitored: "Undrain, no heartbeats required"}

func (e Event) String() string { return eventNames[e] }

// Change is what is told of a transition: to consumers what MEC 011 v3.1.1 §8.1.4.2 has.
type Change uint8

// The changes.
const (
	NoChange Change = iota // there is no event
	Added
	StateChanged
	AttributesChanged
	Removed
	// CauseChanged: it is in its state for another reason. Consumers are not told, for MEC 011 knows
	// of no reasons; who looks at the platform is shown it.
	CauseChanged
	numChanges = iota
)

// Changes lists every change, for tables and tests.
var Changes = [numChanges]Change{NoChange, Added, StateChanged, AttributesChanged, Removed, CauseChanged}

var changeNames = [numChanges]string{Added: "ADDED", StateChanged: "STATE_CHANGED", AttributesChanged: "ATTRIBUTES_CHANGED", Removed: "REMOVED",
	CauseChanged: "CAUSE_CHANGED"}

// Valid reports whether this release knows the change; what is stored may come from a later one.
func (c Change) Valid() bool { return c < numChanges }

// Told says whether consumers are told.
func (c Change) Told() bool { return c != NoChange && c != CauseChanged }

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

		Drain:              {None, NoChange, ErrNotFound},
		Undrain:            {None, NoChange, ErrNotFound},
		UndrainUnmonitored: {None, NoChange, ErrNotFound},
	},
	Active: {
		Beat:          {Active, NoChange, nil},
		Expired:       {Suspended, StateChanged, nil},
		PutInactive:   {Inactive, StateChanged, nil},
		PutActive:     {Active, NoChange, ErrNoCell}, // that is PutSame
		PutSame:       {Active, AttributesChanged, nil},
		RetentionOver: {Active, NoChange, ErrNoCell},
		Delete:        {None, Removed, nil},

		Drain:              {Drained, StateChanged, nil},
		Undrain:            {Active, NoChange, ErrNotDrained},
		UndrainUnmonitored: {Active, NoChange, ErrNotDrained},
	},
	Suspended: {
		Beat:          {Active, StateChanged, nil},
		Expired:       {Suspended, NoChange, ErrNoCell},
		PutInactive:   {Inactive, StateChanged, nil},
		PutActive:     {Active, StateChanged, nil},
		PutSame:       {Suspended, AttributesChanged, nil},
		RetentionOver: {None, Removed, nil},
		Delete:        {None, Removed, nil},

		Drain:              {Drained, StateChanged, nil},
		Undrain:            {Suspended, NoChange, ErrNotDrained},
		UndrainUnmonitored: {Suspended, NoChange, ErrNotDrained},
	},
	Inactive: {
		Beat:          {Inactive, NoChange, ErrInactive},
		Expired:       {Inactive, NoChange, ErrNoCell},
		PutInactive:   {Inactive, NoChange, ErrNoCell}, // that is PutSame
		PutActive:     {Active, StateChanged, nil},
		PutSame:       {Inactive, AttributesChanged, nil},
		RetentionOver: {Inactive, NoChange, ErrNoCell},
		Delete:        {None, Removed, nil},

		Drain:              {DrainedInactive, CauseChanged, nil}, // INACTIVE to consumers, as before
		Undrain:            {Inactive, NoChange, ErrNotDrained},
		UndrainUnmonitored: {Inactive, NoChange, ErrNotDrained},
	},
	Drained: {
		Beat:          {Drained, NoChange, ErrDrained},
		Expired:       {Drained, NoChange, ErrNoCell},
		PutInactive:   {DrainedInactive, AttributesChanged, nil},
		PutActive:     {Drained, NoChange, ErrDrained},
		PutSame:       {Drained, AttributesChanged, nil}, // of an agent, which leaves the state as it is shown
		RetentionOver: {Drained, NoChange, ErrNoCell},
		Delete:        {None, Removed, nil},

		Drain:              {Drained, CauseChanged, nil},
		Undrain:            {Suspended, StateChanged, nil},
		UndrainUnmonitored: {Active, StateChanged, nil},
	},
	DrainedInactive: {
		Beat:          {DrainedInactive, NoChange, ErrDrained},
		Expired:       {DrainedInactive, NoChange, ErrNoCell},
		PutInactive:   {DrainedInactive, NoChange, ErrNoCell}, // that is PutSame
		PutActive:     {DrainedInactive, NoChange, ErrDrained},
		PutSame:       {DrainedInactive, AttributesChanged, nil},
		RetentionOver: {DrainedInactive, NoChange, ErrNoCell},
		Delete:        {None, Removed, nil},

		Drain:              {DrainedInactive, CauseChanged, nil},
		Undrain:            {Inactive, CauseChanged, nil},
		UndrainUnmonitored: {Inactive, CauseChanged, nil},
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
// event leads. AttributesChanged is told only if something did change
// that consumers see.
func Next(from State, e Event) Cell { return table[from][e] }

// putEvent names the event that a PUT to state to is for a record in from. It fails with
// ErrOnlyPlatform for a state that no owner can set. byAgent says that an agent sends it: one that
// joins a service writes the state that it was shown, and corrects that when it is shown another.
// Taken for its owner's wish, it would keep a service INACTIVE after every drain in which the
// machine was started again.
func putEvent(from, to State, byAgent bool) (Event, error) {
	switch {
	case to.Drained(): // only an administrator makes it so
		return 0, ErrOnlyPlatform
	case from == to, from == DrainedInactive && to == Inactive, from == Drained && to == Inactive && byAgent:
		return PutSame, nil
	case to == Inactive:
		return PutInactive, nil
	case to == Active:
		return PutActive, nil
	default:
		return 0, ErrOnlyPlatform
	}
}

// drainEvent names what an administrator's request is for the record.
func drainEvent(r *Record, lift bool) Event {
	switch {
	case !lift:
		return Drain
	case r.Beating():
		return Undrain
	default:
		return UndrainUnmonitored
	}
}
