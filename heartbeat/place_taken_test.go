package heartbeat

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A place that somebody else has is no failure of the store: nobody's hold begins anew,
// the lease is given back, and the caller is told to choose another.
func TestAPlaceThatIsTakenIsToldToWhoChoseIt(t *testing.T) {
	e := New(Config{Store: failing{err: ErrTaken}, Clock: func() (time.Duration, int64) { return 0, 0 }})
	e.updateHealth(func(g *Health) { g.Credited = 7 })
	r := e.perform(t.Context(), e.ensureEntry("a"), &Action{Do: DoCommit, Txn: Txn{Record: Record{ID: "a"}}})
	require.Equal(t, Taken, r.Outcome)
	require.Zero(t, e.health.Load().WritableSince)

	in := Input{Policy: &Policy{}, Health: &Health{}, Local: &Local{}}
	reg := &RegisterFlow{Record: Record{ID: "a", State: Inactive}}
	require.Equal(t, DoCommit, reg.Next(in, Result{}).Do)
	reg.lease = 5
	a := reg.Next(in, Result{Outcome: Taken})
	require.Equal(t, DoRespond, a.Do)
	require.ErrorIs(t, a.Response.Err, ErrTaken)
	require.EqualValues(t, 5, a.Revoke)

	put := &UpdateFlow{Update: Update{State: Inactive, Attributes: "b", Proposed: KeepInterval}}
	require.Equal(t, DoRead, put.Next(in, Result{}).Do)
	require.Equal(t, DoCommit, put.Next(in, Result{Snapshot: Snapshot{At: 1, Record: Record{ID: "a", State: Inactive}}}).Do)
	a = put.Next(in, Result{Outcome: Taken})
	require.Equal(t, DoRespond, a.Do)
	require.ErrorIs(t, a.Response.Err, ErrTaken)
}
