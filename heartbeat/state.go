package heartbeat

import "errors"

// State is the liveness state of an instance (MEC 011 v3.1.1 §8.1.6.6).
type State uint8

// The states. None stands for an instance without a record.
const (
	None State = iota
	Active
	Suspended
	Inactive
)

// States lists every state, for tables and tests.
var States = [...]State{None, Active, Suspended, Inactive}

func (s State) String() string {
	return [...]string{"(none)", "ACTIVE", "SUSPENDED", "INACTIVE"}[s]
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
)

// Events lists every event, for tables and tests.
var Events = [...]Event{Beat, Expired, PutInactive, PutActive, PutSame, RetentionOver, Delete}

func (e Event) String() string {
	return [...]string{"Beat", "Expired", "PUT INACTIVE", "PUT ACTIVE", "PUT, same state", "Retention over", "Delete"}[e]
}

// Change is what consumers are told of a transition (MEC 011 v3.1.1 §8.1.4.2).
type Change uint8

// The changes.
const (
	NoChange Change = iota // nothing is told
	Added
	StateChanged
	AttributesChanged
	Removed
)

func (c Change) String() string {
	return [...]string{"", "ADDED", "STATE_CHANGED", "ATTRIBUTES_CHANGED", "REMOVED"}[c]
}

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

var table = [len(States)][len(Events)]Cell{
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
}

// Next is the state table: total, pure, and the only place that says where an
// event leads. AttributesChanged is told only if something did change.
func Next(from State, e Event) Cell { return table[from][e] }

// putEvent names the event that a PUT to state to is for a record in from.
func putEvent(from, to State) Event {
	switch {
	case from == to:
		return PutSame
	case to == Inactive:
		return PutInactive
	default:
		return PutActive
	}
}
