package store

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// commits registers a record of owner's whose id was chosen without a look, on a lease of a minute.
func commits(t *testing.T, s *Store, owner string) error {
	t.Helper()
	r := storetest.NewRecord(t, s, owner)
	id, err := s.NewID(t.Context(), owner, storetest.Info(t), false)
	require.NoError(t, err)
	r.ID, r.Seq = id, 1
	r.Lease, err = s.Grant(t.Context(), storetest.LongLease)
	require.NoError(t, err)
	_, err = s.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Register, RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Record: r, Change: heartbeat.Added})
	return err
}

// A registration read its microservice three times: to choose an id, to see that nothing hangs below it,
// and for its transaction. Each read copied what was written since the store's last flush.
func TestARegistrationOfANewNameReadsNothing(t *testing.T) {
	s, _, c := countedStore(t, 1)
	info := storetest.Info(t)
	before := c.calls.Load()
	id, err := s.NewID(t.Context(), "new", info, false)
	require.NoError(t, err)
	require.Equal(t, before, c.calls.Load(), "nothing is read for an id")
	err = commits(t, s, "other")
	require.NoError(t, err)
	before = c.calls.Load()
	r := heartbeat.Record{Schema: heartbeat.Schema, ID: id, Owner: "new", Attributes: storetest.Attributes, State: heartbeat.Active, Seq: 1}
	_, err = s.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Register, RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Record: r, Change: heartbeat.Added})
	require.NoError(t, err)
	require.Equal(t, before+1, c.calls.Load(), "one transaction")
	s.Changed(id, &heartbeat.Snapshot{Record: r, At: 1})
	err = commits(t, s, "new") // another one of that name
	require.NoError(t, err)
}

// What somebody left below an id before it was ours goes with the registration, and a name that another
// client has leads to another id.
func TestWhatStandsWhereARegistrationExpectsNothingIsFound(t *testing.T) {
	s, _, _ := countedStore(t, 1)
	service, _, _ := keys.Split(storetest.NewRecord(t, s, "left").ID)
	for _, key := range []string{keys.TagPrefix + service, keys.BelowService[2] + service + "/schema"} {
		_, err := s.client.Put(t.Context(), key, "left behind")
		require.NoError(t, err)
		err = commits(t, s, "left")
		require.NoError(t, err)
		got, err := s.client.Get(t.Context(), key)
		require.NoError(t, err)
		require.Empty(t, got.Kvs)
		for _, k := range []string{keys.ServicePrefix, keys.MarkPrefix} { // as if nobody had registered
			_, err = s.client.Delete(t.Context(), k+service)
			require.NoError(t, err)
		}
	}
	service, _, _ = keys.Split(storetest.NewRecord(t, s, "taken").ID)
	_, err := s.client.Put(t.Context(), keys.ServicePrefix+service, `{"serviceId":"another client's"}`)
	require.NoError(t, err)
	err = commits(t, s, "taken")
	require.ErrorIs(t, err, heartbeat.ErrTaken)
	id, err := s.NewID(t.Context(), "taken", storetest.Info(t), true)
	require.NoError(t, err)
	other, _, _ := keys.Split(id)
	require.NotEqual(t, service, other)
	s.Changed(id, &heartbeat.Snapshot{Record: heartbeat.Record{ID: id, Schema: heartbeat.Schema, Owner: "taken"}, At: 1})
	again, err := s.NewID(t.Context(), "taken", storetest.Info(t), false)
	require.NoError(t, err)
	ours, _, _ := keys.Split(again)
	require.Equal(t, other, ours, "who is known to stand elsewhere does not try the name that is taken again")
}
