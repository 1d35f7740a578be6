package store

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// registeredAs commits a record with an id that EdgeGallery's server made, as an import does.
func registeredAs(t *testing.T, id heartbeat.ID, owner string) (heartbeat.Record, heartbeat.Revision) {
	t.Helper()
	r := storetest.NewRecord(t, store, owner)
	r.Place, r.ID, r.Seq = string(r.ID[:keys.IDLength]), id, 1
	l, err := store.Grant(t.Context(), storetest.LongLease)
	require.NoError(t, err)
	r.Lease = l
	at, err := store.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Register, Presence: heartbeat.NoProjection, From: r.Place,
		RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Record: r})
	require.NoError(t, err)
	return r, at
}

// An id that EdgeGallery's server made lives beside ours: its instance stands below the
// microservice of its name, is read and listed by everybody, moves with its name and goes.
func TestAnIDOfEdgeGallerysLivesBesideOurs(t *testing.T) {
	const id = heartbeat.ID("7f544fe84ec5a7e79354d9f712345678")
	r, at := registeredAs(t, id, "app-imported")
	beside, _ := storetest.Register(t, store, "app-imported")
	require.Equal(t, r.Place, string(beside.ID[:keys.IDLength]), "one name, one microservice")
	require.Equal(t, "9354d9f712345678", keys.InstanceOf(id, r.Place).InstanceID)
	for _, name := range []string{"", "second", "face recognition"} {
		if name != "" {
			r, at = renamed(t, r, at, name)
		}
		want := heartbeat.Snapshot{Record: r, At: at, Projection: heartbeat.Projection{Revision: at, Lease: r.Lease}}
		seen := 0
		for _, o := range observationsOf(t, &Store{client: store.client}, at, id) {
			if o.ID == id {
				seen++
			}
		}
		require.Equal(t, 2, seen, "the record, and the instance by the record's id")
		for _, s := range []*Store{store, {client: store.client}} {
			got, err := s.Read(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		all, _, err := (&Store{client: etcd.Over(store.client.Client, keys.Cluster, etcdtest.Discard)}).List(t.Context())
		require.NoError(t, err)
		n := 0
		for _, l := range all {
			if l.ID == id || keys.InstanceOf(l.ID, l.Record.Place).InstanceID == "9354d9f712345678" {
				require.Equal(t, heartbeat.Listed{ID: id, Snapshot: want}, l)
				n++
			}
		}
		require.Equal(t, 1, n)
	}
	before := storetest.Everything(t, store.client)
	storetest.Repaired(t, store)
	require.Equal(t, before, storetest.Everything(t, store.client), "nothing is to be put right")
	_, err := store.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Remove, RecordRevision: at, Presence: heartbeat.ProjectionAt, ProjectionRevision: at,
		Record: r, From: r.Place, RecordOp: heartbeat.Erase, ProjectionOp: heartbeat.Erase, Change: heartbeat.NoChange})
	require.NoError(t, err)
	got, err := store.Read(t.Context(), id)
	require.NoError(t, err)
	require.False(t, got.Exists() || got.Projection.Present())
}

// The projection of an imported record that is gone is found and erased as an orphan.
func TestTheProjectionOfAnImportedRecordThatIsGoneIsErased(t *testing.T) {
	const id = heartbeat.ID("7f544fe84ec5a7e70000d9f712345678")
	r, at := registeredAs(t, id, "app-orphan")
	_, err := store.client.Delete(t.Context(), keys.Record(id))
	require.NoError(t, err)
	fresh := &Store{client: etcd.Over(store.client.Client, keys.Cluster, etcdtest.Discard)}
	all, _, err := fresh.List(t.Context())
	require.NoError(t, err)
	for _, l := range all {
		if !l.Exists() {
			require.Equal(t, keys.InstanceOf(id, r.Place).ID(), l.ID)
			require.Equal(t, at, l.Projection.Revision)
			_, err = store.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Orphan, Record: heartbeat.Record{ID: l.ID}, Presence: heartbeat.ProjectionAt,
				ProjectionRevision: l.Projection.Revision, ProjectionOp: heartbeat.Erase})
			require.NoError(t, err)
			gone, err := store.client.Get(t.Context(), keys.InstanceOf(id, r.Place).Key())
			require.NoError(t, err)
			require.Empty(t, gone.Kvs)
			return
		}
	}
	t.Fatal("it was not found")
}
