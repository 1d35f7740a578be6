package heartbeat

import (
	"errors"
	"fmt"
)

// The ways an operation of the engine can end badly. They are matched with
// errors.Is; mp1/server maps them to HTTP in one table.
var (
	// ErrNotFound: there is no record of this instance.
	ErrNotFound = errors.New("no such service instance")
	// ErrNotOwner: the record belongs to another application instance.
	ErrNotOwner = errors.New("the service instance belongs to another application instance")
	// ErrNoLiveness: the instance is registered without heartbeats.
	ErrNoLiveness = errors.New("the service instance needs no heartbeat")
	// ErrInactive: a heartbeat never wakes an INACTIVE instance.
	ErrInactive = errors.New("the service instance is INACTIVE")
	// ErrDrained: an administrator has drained the instance; neither a heartbeat nor a PUT of
	// its owner changes that.
	ErrDrained = errors.New("the service instance is drained")
	// ErrNotDrained: there is nothing to undrain.
	ErrNotDrained = errors.New("the service instance is not drained")
	// ErrOnlyPlatform: an owner asked for a state that only the platform gives.
	ErrOnlyPlatform = errors.New("only the platform gives an instance this state")
	// ErrStale: the precondition names an older state of the instance.
	ErrStale = errors.New("the service instance has changed since")
	// ErrKept: another agent keeps the instance alive, so it was not removed; the agent that
	// asked for it no longer counts.
	ErrKept = errors.New("another agent keeps the service instance alive")
	// ErrUnavailable: the store did not confirm in time; the caller may try again.
	ErrUnavailable = errors.New("the store did not confirm in time")
	// ErrFull: the store takes no writes until space is made.
	ErrFull = errors.New("the store is full")
	// ErrNoAdditions: the store takes no write that adds to it, but all that free space or
	// change a state. It is an ErrFull to whoever asked, and says nothing of other writes.
	ErrNoAdditions = fmt.Errorf("%w for what adds to it", ErrFull)
	// ErrLimit: the application holds as many services as it may.
	ErrLimit = errors.New("the application has reached its limit of services")
	// ErrNotReady: the lists are not loaded yet.
	ErrNotReady = errors.New("the platform is starting")
)
