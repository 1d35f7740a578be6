package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// What was changed by nobody must not be repaired: a record whose interval is shortened, without its
// projection, and once more before the first one is kept.
func TestAnIntervalThatIsShortenedTwiceNeedsNoRepair(t *testing.T) {
	r := storetest.NewRecord(t, store, "app-lowered")
	r.Proposed, r.Interval, r.Window, r.Seq = 0, 120, 240, 1
	var err error
	r.Lease, err = store.Grant(t.Context(), 240)
	require.NoError(t, err)
	_, err = store.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Register, Presence: heartbeat.NoProjection, RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Record: r, Change: heartbeat.Added})
	require.NoError(t, err)
	for _, interval := range []int{60, 30} {
		snap, err := store.Read(t.Context(), r.ID)
		require.NoError(t, err)
		p := heartbeat.Policy{MinInterval: 1, DefaultInterval: interval, MaxInterval: 300, AllowedMisses: 1}
		in := heartbeat.Input{Now: heartbeat.Mono(time.Hour), Policy: &p, Health: new(heartbeat.Health), Known: &snap, Local: new(heartbeat.Local), Alone: true, MinLease: 1}
		f := new(heartbeat.BeatFlow)
		require.Equal(t, heartbeat.DoRenew, f.Next(in, heartbeat.Result{}).Do)
		a := f.Next(in, heartbeat.Result{TTL: 240})
		require.Equal(t, heartbeat.Lower, a.Txn.Kind)
		at, err := store.Commit(t.Context(), &a.Txn)
		require.NoError(t, err)
		require.True(t, f.Next(in, heartbeat.Result{Revision: at}).Response.TellInterval)
		require.False(t, differing(t, r.ID), "shortened to %d s", interval)
	}
}
