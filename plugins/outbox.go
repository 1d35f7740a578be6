package plugins

import (
	"context"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// Event is one entry of the outbox: a transition of an instance, written in the same
// transaction. It carries all that a filter and a notification need.
type Event struct {
	At         heartbeat.Revision // at which it was committed; events are told in this order
	ID         heartbeat.ID
	Owner      string
	Change     heartbeat.Change
	State      heartbeat.State // after the change; of a removed instance: the one it had
	Made       int64           // wall clock, Unix nanoseconds
	Attributes string          // the service as it was registered
	Size       int             // bytes that the store keeps for it, key and value
}

// Service is the service after the change, as filters see it. An error: the event's
// attributes cannot be read.
func (e *Event) Service() (i mp1.ServiceInfo, err error) {
	if i, err = mp1.ReadStored(e.Attributes); err != nil {
		return i, err
	}
	i.SerInstanceID, i.State = string(e.ID), mp1.State(e.State.String())
	return i, nil
}

// Subscription is who wants to know of which events.
type Subscription struct {
	ID     string
	Owner  string // appInstanceId of the consumer
	Prefix string // which the links in its notifications carry
	Asked  mp1.Subscription
	Since  int64              // wall clock, Unix nanoseconds
	At     heartbeat.Revision // at which it was made: later events are told
}

// Cursor is how far a subscription has been told. It is a value: its owner replaces
// it as a whole.
type Cursor struct {
	// After: all events up to this revision are done with.
	After heartbeat.Revision
	// Group are the events of the POST to be sent, fixed before its first attempt; nil:
	// the first pending event alone.
	Group []heartbeat.Revision
	// Newest: of the events behind After, and up to this revision, only the newest of each
	// instance is still to be told, and those of Group; 0: all are. It is a bound on what
	// the store keeps for a consumer that does not answer.
	Newest heartbeat.Revision
	// Gone: the subscriber answered 410, and nothing is sent any more.
	Gone bool
	// At is the cursor's own revision, at which it must still be to be moved.
	At heartbeat.Revision
}

// Needs is the revision up to which the outbox must be known before the cursor is of use.
func (c *Cursor) Needs() heartbeat.Revision {
	if n := len(c.Group); n > 0 {
		return max(c.Newest, c.Group[n-1])
	}
	return c.Newest
}

// OutboxWrite is one write that concerns notifications: of an event, a subscription
// or the lock of one.
type OutboxWrite struct {
	Kind         OutboxKind
	Name         string // the subscription's id; of an event: what it was written under
	At           heartbeat.Revision
	Gone         bool          // it was erased; the rest is not set
	Event        *Event        // of an EventWritten; nil: it cannot be read
	Subscription *Subscription // of a SubscriptionWritten
	Lease        heartbeat.LeaseID
}

// OutboxKind says what was written.
type OutboxKind uint8

// The kinds. Lists are in this order.
const (
	EventWritten OutboxKind = iota
	SubscriptionWritten
	LockWritten
)

// OutboxReader is shown the store: everything there is, then every write, in order.
// Its methods must not block.
type OutboxReader interface {
	// Load replaces all that was shown before.
	Load(all []OutboxWrite, at heartbeat.Revision)
	See(writes []OutboxWrite, upTo heartbeat.Revision)
}

// Outbox is what the store offers to those who tell consumers. Its errors are those of
// heartbeat.Store.
type Outbox interface {
	// FollowOutbox loads r and shows it every write until ctx ends.
	FollowOutbox(ctx context.Context, r OutboxReader, failed func(reason string, err error))

	// Subscribe enters a subscription with its cursor; ErrConflict: the id is taken.
	Subscribe(ctx context.Context, s *Subscription) (heartbeat.Revision, error)
	// Subscription reads one; nil: there is none.
	Subscription(ctx context.Context, id string) (*Subscription, error)
	// Unsubscribe erases it with its cursor; ErrConflict: there is none.
	Unsubscribe(ctx context.Context, id string) error

	// Cursor reads a cursor; ErrConflict: there is none.
	Cursor(ctx context.Context, id string) (Cursor, error)
	// MoveCursor replaces the cursor that is still at c.At, and returns its new
	// revision; ErrConflict: it is not, or there is none.
	MoveCursor(ctx context.Context, id string, c Cursor) (heartbeat.Revision, error)

	// Lock takes the lock of a subscription on a lease; ErrConflict: somebody holds it,
	// or there is no such subscription.
	Lock(ctx context.Context, id string, on heartbeat.LeaseID) (heartbeat.Revision, error)
	// Unlock gives it back if it is on that lease.
	Unlock(ctx context.Context, id string, on heartbeat.LeaseID) error
	// Locked says whether anybody holds it.
	Locked(ctx context.Context, id string) (bool, error)
}
