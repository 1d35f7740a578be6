package plugins

import (
	"context"
	"slices"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// Event is one entry of the outbox: a change of an instance or of its reason, or that an application is being
// terminated, written in the transaction that made the change. It carries all that a filter
// and a notification need.
type Event struct {
	At    heartbeat.Revision // at which it was committed; notifications follow this order
	Owner string             // the application whose instance it is, or that is being terminated
	// Termination says that Owner is being terminated; nil: the event is a change of the
	// instance ID, and Change, State and Attributes say which.
	Termination *Termination
	ID          heartbeat.ID
	Change      heartbeat.Change
	From        heartbeat.State // before the change; None: it was registered, or an earlier release wrote this
	State       heartbeat.State // after the change; of a removed instance: the one it had
	Cause       heartbeat.Cause // of its state, or of its removal
	LastBeat    int64           // wall clock, Unix nanoseconds; the last that is certain, 0: none
	Interval    int             // seconds; 0: no heartbeats are required
	Window      int             // seconds
	Made        int64           // wall clock, Unix nanoseconds
	Attributes  string          // the service as it was registered
	Size        int             // bytes that the store keeps for it, key and value
}

// Told says whether consumers may be told. A change that they know no word for is shown to those who
// look at the platform.
func (e *Event) Told() bool { return e.Termination != nil || e.Change.Told() }

// Subscription says which events a consumer is to be notified of, and where.
type Subscription struct {
	ID     string
	Owner  string // appInstanceId of the consumer
	Prefix string // of the links in its notifications: the path under which the consumer reached the platform
	Asked  mp1.Subscription
	Since  int64              // wall clock, Unix nanoseconds
	At     heartbeat.Revision // at which it was made: only later events concern it
}

// Cursor is how far the notifications of a subscription have got. It is a value: the replica
// that sends to the subscription replaces it as a whole.
type Cursor struct {
	// After is the revision up to which all events are done with: delivered, given up or
	// left out.
	After heartbeat.Revision
	// Passed is how far events were sent past those of PutOff, whose telling is put off because
	// their instances flap: of the events after After and up to Passed, only those of PutOff and
	// of Group are still to be sent. 0, or not after After: there are none.
	Passed heartbeat.Revision
	PutOff []heartbeat.Revision
	// Group are the events of the next POST. A group is stored before its first attempt, so
	// that whoever repeats the POST sends the same. nil: the first pending event alone.
	Group []heartbeat.Revision
	// Newest bounds what the store keeps for a consumer that does not answer: of the events
	// after After and up to Newest, only the newest of each instance and those of Group are
	// still to be sent. 0: all are.
	Newest heartbeat.Revision
	// Gone says that the consumer answered 410 Gone: nothing is sent to it any more.
	Gone bool
	// At is the revision of the cursor's last write; MoveCursor compares it.
	At heartbeat.Revision
}

// Needs is the revision up to which a replica must have seen the outbox before it can tell
// by this cursor what to send.
func (c *Cursor) Needs() heartbeat.Revision {
	needs := max(c.Newest, c.Passed)
	if n := len(c.Group); n > 0 {
		return max(needs, c.Group[n-1])
	}
	return needs
}

// Done says whether an event is done with, whatever Newest leaves out beside.
func (c *Cursor) Done(at heartbeat.Revision) bool {
	return at <= c.After || at <= c.Passed && !slices.Contains(c.PutOff, at) && !slices.Contains(c.Group, at)
}

// OutboxWrite is one write that concerns notifications: of an event, a subscription
// or the lock of one.
type OutboxWrite struct {
	Kind         OutboxKind
	Name         string // the subscription's id, or the key of the event
	At           heartbeat.Revision
	Gone         bool              // it was erased; the fields below are not set
	Event        *Event            // of an EventWritten; nil: it cannot be read
	Subscription *Subscription     // of a SubscriptionWritten
	Lease        heartbeat.LeaseID // of a LockWritten: on which the lock is
	Connected    bool              // of a LockWritten: the consumer had its WebSocket open where it was locked
}

// OutboxKind says what was written.
type OutboxKind uint8

// The kinds of OutboxWrite. Load gets them in this order.
const (
	EventWritten OutboxKind = iota
	SubscriptionWritten
	LockWritten
)

// OutboxReader is given everything that concerns notifications: first all there is, then
// every write, in order. Its methods must not block.
type OutboxReader interface {
	// Load replaces all that was given before by what the store has at a revision.
	Load(all []OutboxWrite, at heartbeat.Revision)
	// See adds writes; after it, every write up to upTo was given.
	See(writes []OutboxWrite, upTo heartbeat.Revision)
}

// Outbox is what the store offers for notifications. Its errors are those of
// heartbeat.Store.
type Outbox interface {
	// FollowOutbox loads r and gives it every write until ctx ends; failed is called when
	// everything has to be loaded anew.
	FollowOutbox(ctx context.Context, r OutboxReader, failed func(reason string, err error))

	// Subscribe stores a subscription with its cursor; ErrConflict: the id is taken.
	Subscribe(ctx context.Context, s *Subscription) (heartbeat.Revision, error)
	// Subscription reads one of a SubscriptionType; nil: there is none.
	Subscription(ctx context.Context, subscriptionType, id string) (*Subscription, error)
	// Unsubscribe erases it with its cursor; ErrConflict: there is none.
	Unsubscribe(ctx context.Context, subscriptionType, id string) error

	// Cursor reads a cursor; ErrConflict: there is none.
	Cursor(ctx context.Context, id string) (Cursor, error)
	// Cursors reads all cursors, by the ids of their subscriptions, without those that cannot be
	// read; nil: there are more than most.
	Cursors(ctx context.Context, most int) (map[string]Cursor, error)
	// MoveCursor replaces the cursor that is still at c.At, and returns its new
	// revision; ErrConflict: it is not, or there is none.
	MoveCursor(ctx context.Context, id string, c Cursor) (heartbeat.Revision, error)

	// Lock takes the lock of a subscription on a lease; ErrConflict: somebody holds it,
	// or there is no such subscription, that is no cursor of it. connected is
	// OutboxWrite.Connected.
	Lock(ctx context.Context, id string, on heartbeat.LeaseID, connected bool) (heartbeat.Revision, error)
	// TakeLock takes the lock for a connection of the consumer, also if somebody holds it.
	// from, unless it is 0, is the revision at which it must have been written last.
	// ErrConflict: it was not, or there is no such subscription.
	TakeLock(ctx context.Context, id string, on heartbeat.LeaseID, from heartbeat.Revision) (heartbeat.Revision, error)
	// Unlock gives it back if it is on that lease.
	Unlock(ctx context.Context, id string, on heartbeat.LeaseID) error
	// Locked says whether anybody holds it.
	Locked(ctx context.Context, id string) (bool, error)
}
