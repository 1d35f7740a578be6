package heartbeat

import (
	"context"
	"errors"
	"time"
)

// Store is what the engine needs of the store. Every call has a deadline of its own.
// Errors are ErrConflict, ErrTaken, ErrLeaseGone, ErrForgotten, ErrUnusable, ErrFull or ErrNoAdditions if
// that is what happened, and nothing was written; any other means that no reply came, and
// that a commit may have happened.
type Store interface {
	// Read returns record and projection as of one linearizable read.
	Read(ctx context.Context, id ID) (Snapshot, error)
	// Commit carries a transaction out, and returns its revision.
	Commit(ctx context.Context, t *Txn) (Revision, error)
	// Grant returns a new lease of so many seconds.
	Grant(ctx context.Context, seconds int) (LeaseID, error)
	// Renew returns the lease's full time to live in seconds.
	Renew(ctx context.Context, l LeaseID) (int, error)
	// RenewAll renews many leases as Renew does, each with its deadline, and returns when all
	// have ended. done is told how, by the lease's place in the list, as soon as that is known:
	// no lease waits for a slow one. It is called by one goroutine at a time, and must not block.
	RenewAll(ctx context.Context, leases []LeaseID, done func(i, ttl int, err error))
	Revoke(ctx context.Context, l LeaseID) error
	// Reserve tells the store that this replica ends lease l, which is about to run out, by itself: the
	// store need not take it away at once then. From the end of its life on it is renewed no more all the
	// same, and it is gone soon after, ended or not. The store may do nothing of it.
	Reserve(ctx context.Context, l LeaseID)
	// End carries a transaction out as Commit does, if lease l has run out for certain: no
	// renewal of it can succeed any more. Else nothing happens, and left is how long it may live
	// yet. Where that is not known there is an error. It is called only where this replica is the
	// store's only writer.
	End(ctx context.Context, l LeaseID, t *Txn) (left time.Duration, at Revision, err error)
	// Age says how long ago the lease was granted or last renewed; an error if the store may
	// have extended it by itself since then.
	Age(ctx context.Context, l LeaseID) (time.Duration, error)
	// List returns every record with its projection, and every projection of ours
	// without a record, as of one revision. Projection.Differs is filled.
	List(ctx context.Context) ([]Listed, Revision, error)
	// Changes returns, as of one revision, what List would return of every instance of which
	// something was written from the revision since up to that one, of those named in also, and of
	// some more, in turn. It reads no more than MostCompared revisions at once: what was written
	// behind them is for the next call. An instance that is gone is returned without record and
	// projection. It goes by what the store keeps of its history, not by what the watch has shown,
	// and is ErrForgotten where that does not say everything.
	Changes(ctx context.Context, since Revision, also []ID) ([]Listed, Revision, error)
	// Head is the newest revision of the store, as of a linearizable read; an error if
	// the store went back behind what the watch has shown.
	Head(ctx context.Context) (Revision, error)
	// Publish writes this replica's key, by which the others know that it lives and what it
	// has settled. It is called neither twice at once nor where there are no others. What
	// another history of the store had settled must not appear in this one.
	Publish(ctx context.Context, s PeerStatus) error
	// Pulse is a linearizable read of nothing; it says whether the store is full.
	Pulse(ctx context.Context) (full bool, err error)
}

// Listed is one line of Store.List.
type Listed struct {
	ID ID
	Snapshot
}

// The errors of a Store.
var (
	ErrConflict  = errors.New("a compare of the transaction failed")
	ErrLeaseGone = errors.New("the lease does not exist")
	// ErrTaken: the place that was chosen for the instance belongs to somebody else;
	// nothing was written, and another place must be chosen.
	ErrTaken = errors.New("the place of the instance is taken")
	// ErrForgotten: the store cannot tell what was written; only a list can.
	ErrForgotten = errors.New("the store does not know what was written")
	// ErrUnusable: the store answers, but this record cannot be read or written.
	ErrUnusable = errors.New("the record cannot be used")
)
