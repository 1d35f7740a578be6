package store

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// renamed commits what a PUT with another serName does.
func renamed(t *testing.T, r heartbeat.Record, at heartbeat.Revision, name string) (heartbeat.Record, heartbeat.Revision) {
	t.Helper()
	from := r.Place
	info := storetest.Info(t)
	info.SerName = name
	place, err := store.Place(t.Context(), r.ID, r.Owner, info)
	require.NoError(t, err)
	r.Place, r.Attributes = place, strings.Replace(storetest.Attributes, "face recognition", name, 1)
	r.Seq++
	at, err = store.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Rewrite, RecordRevision: at, Presence: heartbeat.ProjectionAt, ProjectionRevision: at,
		Record: r, From: from, RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Change: heartbeat.AttributesChanged})
	require.NoError(t, err)
	return r, at
}

func observationsOf(t *testing.T, s *Store, from heartbeat.Revision, id heartbeat.ID) (out []heartbeat.Observation) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	res := <-s.client.Watch(ctx, keys.InstancePrefix, clientv3.WithRange(keys.WatchedEnd), clientv3.WithRev(int64(from)))
	require.NoError(t, res.Err())
	for _, one := range s.observations(res.Events) {
		if strings.HasSuffix(string(one.ID), string(id[keys.IDLength:])) {
			out = append(out, one)
		}
	}
	return out
}

// An instance that gets another name moves to the microservice of that name, in one
// transaction, and everybody finds it there: who moved it, who watched, who lists,
// and a replica that has not heard of it yet.
func TestARenamedInstanceIsFoundWhereItIsNow(t *testing.T) {
	r, at := storetest.Register(t, store, "app-moved")
	watching := &Store{client: store.client}
	require.Len(t, observationsOf(t, watching, at, r.ID), 2)
	for _, name := range []string{"second", "third", "face recognition"} {
		r, at = renamed(t, r, at, name)
		require.Equal(t, name == "face recognition", r.Place == "", "the first name is where its id says")
		want := heartbeat.Snapshot{Record: r, At: at, Projection: heartbeat.Projection{Revision: at, Lease: r.Lease}}
		require.Equal(t, []heartbeat.Observation{
			{ID: r.ID, Revision: at, Present: true, Record: r},
			{ID: r.ID, Revision: at, Present: true, Projected: true, Lease: r.Lease},
		}, observationsOf(t, watching, at, r.ID), "the end of the old key is not the end of the instance")
		stranger := &Store{client: store.client}
		for _, s := range []*Store{store, watching, stranger} {
			got, err := s.Read(t.Context(), r.ID)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		all, _, err := (&Store{client: etcd.Over(store.client.Client, keys.Cluster, etcdtest.Discard)}).List(t.Context())
		require.NoError(t, err)
		var found []heartbeat.Listed
		for _, l := range all {
			if strings.HasSuffix(string(l.ID), string(r.ID[keys.IDLength:])) {
				found = append(found, l)
			}
		}
		require.Equal(t, []heartbeat.Listed{{ID: r.ID, Snapshot: want}}, found, "and its old key is no orphan")
	}
}

func TestANewerPlaceIsNotForgottenForAnOlder(t *testing.T) {
	id := heartbeat.ID(strings.Repeat("a", keys.IDLength) + strings.Repeat("b", keys.IDLength))
	var m renames
	there := heartbeat.Record{ID: id, Place: strings.Repeat("c", keys.IDLength)}
	m.follow(&heartbeat.Record{ID: id}, 1)
	require.Empty(t, m.of, "who never moved costs no memory")
	m.follow(&there, 5)
	m.follow(&heartbeat.Record{ID: id}, 4)
	require.Equal(t, there.Place, m.serviceID(id))
	got, ok := m.idAt(keys.InstanceOf(id, there.Place))
	require.True(t, ok)
	require.Equal(t, id, got)
	_, ok = m.idAt(keys.InstanceOf(id, ""))
	require.False(t, ok)
	m.listed(nil, 4)
	require.Equal(t, there.Place, m.serviceID(id), "the list is older than the move")
	m.listed(nil, 5)
	require.Empty(t, m.of)
}

// A store that goes back in time may take a move back with it, or make it again at a
// lower revision.
func TestAMoveOfAnotherHistoryGivesWayToTheList(t *testing.T) {
	home := heartbeat.ID(strings.Repeat("a", keys.IDLength) + strings.Repeat("b", keys.IDLength))
	gone := heartbeat.ID(strings.Repeat("a", keys.IDLength) + strings.Repeat("d", keys.IDLength))
	there, elsewhere := strings.Repeat("c", keys.IDLength), strings.Repeat("e", keys.IDLength)
	var m renames
	m.follow(&heartbeat.Record{ID: home, Place: there}, 50)
	m.follow(&heartbeat.Record{ID: gone, Place: there}, 60)
	m.restored()
	require.Equal(t, there, m.serviceID(home), "until it is listed")
	m.follow(&heartbeat.Record{ID: home, Place: elsewhere}, 5)
	m.listed(map[heartbeat.ID]int{home: 0}, 7)
	require.Equal(t, elsewhere, m.serviceID(home))
	require.Len(t, m.of, 1)
	m.restored()
	m.follow(&heartbeat.Record{ID: home}, 4)
	require.Empty(t, m.serviceID(home))
}

func TestWhatIsOursFollowsAMove(t *testing.T) {
	o := &owned{}
	id := heartbeat.ID(strings.Repeat("a", keys.IDLength) + strings.Repeat("b", keys.IDLength))
	at := func(place string) *heartbeat.Snapshot {
		return &heartbeat.Snapshot{At: 1, Record: heartbeat.Record{ID: id, Place: place}}
	}
	home, other := keys.InstanceOf(id, ""), keys.InstanceOf(id, strings.Repeat("c", keys.IDLength))
	for _, place := range []string{"", other.ServiceID, ""} {
		o.changed(id, at(place))
		o.changed(id, at(place))
		now, then := keys.InstanceOf(id, place), home
		if now == home {
			then = other
		}
		require.True(t, o.has(now.ServiceID, now.InstanceID))
		require.True(t, o.has(now.ServiceID, ""))
		require.False(t, o.has(then.ServiceID, then.InstanceID))
		require.False(t, o.has(then.ServiceID, ""))
		require.True(t, o.has("", now.InstanceID), "wherever it stands")
	}
	o.changed(id, &heartbeat.Snapshot{})
	require.False(t, o.has(home.ServiceID, ""))
	require.Empty(t, o.held)
}
