package heartbeat

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// obedient is a store that gives up as soon as its caller does, as etcd's client does.
type obedient struct{ Store }

func (obedient) Grant(ctx context.Context, _ int) (LeaseID, error)      { return 1, ctx.Err() }
func (obedient) Renew(ctx context.Context, _ LeaseID) (int, error)      { return 3, ctx.Err() }
func (obedient) Commit(ctx context.Context, _ *Txn) (Revision, error)   { return 1, ctx.Err() }
func (obedient) Read(ctx context.Context, _ ID) (s Snapshot, err error) { return s, ctx.Err() }
func (obedient) Revoke(context.Context, LeaseID) error                  { return nil }

// Holds count only time in which writing worked. Were a request that its client gave
// up a failed write, clients that hang up would keep the dead alive.
func TestAClientThatHangsUpIsNotAStoreThatFails(t *testing.T) {
	now := time.Duration(0)
	e := New(Config{Store: obedient{}, Policy: Policy{DefaultInterval: 1, MinInterval: 1, MaxInterval: 1, AllowedMisses: 2},
		Clock: func() (time.Duration, int64) { return now, 0 }, Alone: true})
	e.ready.Store(true)
	e.updateHealth(func(g *Health) { g.Credited = 1 })
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	r, err := e.Register(gone, Record{ID: "a", Owner: "app", State: Active, Proposed: 0})
	require.NoError(t, err)
	require.Equal(t, LeaseID(1), r.Lease)
	require.NoError(t, e.Beat(gone, "a", "").Err)
	require.Zero(t, e.health.Load().WritableSince, "no write failed")
}
