package heartbeat

import (
	"context"
	"errors"
	"time"
)

// Store is what the engine needs of the store. Every call has a deadline of its
// own. Errors are ErrConflict, ErrTaken, ErrLeaseGone, ErrUnusable or ErrFull if that is what
// happened; any other means that no answer came, and that a commit may have happened.
type Store interface {
	// Read returns record and projection as of one linearizable read.
	Read(ctx context.Context, id ID) (Snapshot, error)
	Commit(ctx context.Context, t *Txn) (Revision, error)
	Grant(ctx context.Context, seconds int) (LeaseID, error)
	// Renew returns the lease's full time to live in seconds.
	Renew(ctx context.Context, l LeaseID) (int, error)
	Revoke(ctx context.Context, l LeaseID) error
	// Age says how long ago the lease was granted or last renewed; an error if the store may
	// have extended it by itself since then.
	Age(ctx context.Context, l LeaseID) (time.Duration, error)
	// List returns every record with its projection, and every projection of ours
	// without a record, as of one revision. Projection.Differs is filled.
	List(ctx context.Context) ([]Listed, Revision, error)
	// Head is the newest revision of the store, as of a linearizable read; an error if
	// the store went back behind what the watch has shown.
	Head(ctx context.Context) (Revision, error)
	// Publish tells the other replicas what this one has settled, and that it lives. It is
	// called neither twice at once nor where there are no others. What another history of
	// the store had settled must not appear in this one.
	Publish(ctx context.Context, w PeerStatus) error
	// Pulse is a linearizable read of nothing; it says whether the store is full.
	Pulse(ctx context.Context) (full bool, err error)
}

// Listed is one line of Store.List.
type Listed struct {
	ID ID
	Snapshot
}

// What a Store answers.
var (
	ErrConflict  = errors.New("a compare of the transaction failed")
	ErrLeaseGone = errors.New("the lease does not exist")
	// ErrTaken: the place that was chosen for the instance belongs to somebody else;
	// nothing was written, and another place must be chosen.
	ErrTaken = errors.New("the place of the instance is taken")
	// ErrUnusable: the store answers, but this record cannot be read or written.
	ErrUnusable = errors.New("the record cannot be used")
)
