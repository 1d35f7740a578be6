package store

import (
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// Every compare of a transaction holds it back by itself, and what is refused has
// written nothing.
func TestEachCompareHoldsATransactionBack(t *testing.T) {
	r, at := storetest.Register(t, store, "app-compare")
	for name, tt := range map[string]struct {
		txn   heartbeat.Txn
		erase bool // the projection, first
	}{
		"an older record":       {txn: heartbeat.Txn{RecordRevision: at - 1}},
		"no record":             {txn: heartbeat.Txn{RecordRevision: 0}},
		"a projection is there": {txn: heartbeat.Txn{RecordRevision: at, Presence: heartbeat.NoProjection}},
		"another projection":    {txn: heartbeat.Txn{RecordRevision: at, Presence: heartbeat.ProjectionAt, ProjectionRevision: at - 1}},
	} {
		txn := tt.txn
		txn.Kind, txn.Record, txn.RecordOp, txn.ProjectionOp, txn.Change = heartbeat.Claim, r, heartbeat.Put, heartbeat.Put, heartbeat.StateChanged
		txn.Record.State, txn.Record.Seq, txn.Record.Lease = heartbeat.Suspended, 99, 0
		_, err := store.Commit(t.Context(), &txn)
		require.ErrorIs(t, err, heartbeat.ErrConflict, name)
		s, err := store.Read(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, r, s.Record, name)
		require.EqualValues(t, 1, eventsOf(t, r.ID), name)
	}
	txn := heartbeat.Txn{Kind: heartbeat.Claim, RecordRevision: at, Presence: heartbeat.ProjectionAt, ProjectionRevision: at, Record: r,
		RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Change: heartbeat.StateChanged}
	txn.Record.State, txn.Record.Seq, txn.Record.Lease = heartbeat.Suspended, 2, 0
	_, err := store.Commit(t.Context(), &txn)
	require.NoError(t, err)
	require.EqualValues(t, 2, eventsOf(t, r.ID), "the event is written with the change")
	s, err := store.Read(t.Context(), r.ID)
	require.NoError(t, err)
	require.Zero(t, s.Projection.Lease, "no end awaits the projection of one that is SUSPENDED")
}

func eventsOf(t *testing.T, id heartbeat.ID) int64 {
	t.Helper()
	got, err := store.client.Get(t.Context(), keys.OutboxPrefix, clientv3.WithPrefix())
	require.NoError(t, err)
	n := int64(0)
	for _, kv := range got.Kvs {
		if containsID(kv.Key, id) || containsID(kv.Value, id) {
			n++
		}
	}
	return n
}
