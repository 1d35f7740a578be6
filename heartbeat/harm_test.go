package heartbeat

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// failing is a store whose reads and commits fail as told.
type failing struct {
	Store
	err error
}

func (f failing) Read(context.Context, ID) (s Snapshot, err error) { return s, f.err }
func (f failing) Commit(context.Context, *Txn) (Revision, error)   { return 0, f.err }
func (f failing) Grant(context.Context, int) (LeaseID, error)      { return 0, f.err }
func (f failing) Renew(context.Context, LeaseID) (int, error)      { return 0, f.err }

// Every hold of a replica counts from its last failed write. A record that cannot be
// used is tried again and again; were that a failed write, one such record would keep
// all the dead in discovery.
func TestOnlyAStoreThatFailsToWriteRestartsTheHolds(t *testing.T) {
	silent := errors.New("no answer")
	for _, c := range []struct {
		do    Verb
		err   error
		holds bool
	}{
		{DoCommit, ErrUnusable, false}, {DoCommit, ErrConflict, false}, {DoCommit, ErrLeaseGone, false}, {DoCommit, nil, false},
		{DoCommit, silent, true}, {DoCommit, ErrFull, true}, {DoGrant, silent, true},
		{DoRead, ErrUnusable, false}, {DoRead, silent, false}, {DoRenew, silent, false},
	} {
		e := New(Config{Store: failing{err: c.err}, Clock: func() (Instant, int64) { return 0, 0 }})
		e.changeGate(func(g *Gate) { g.Credited = 7 })
		e.perform(t.Context(), e.enter("a"), &Action{Do: c.do, Txn: Txn{Record: Record{ID: "a"}}})
		require.Equal(t, c.holds, e.gate.Load().WritesAt == 7, "%v %v", c.do, c.err)
	}
}
