package store

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// A release without watermarks says nothing of them, a later one more than is known here.
func TestWhatAReplicaSaysIsReadLeniently(t *testing.T) {
	for value, want := range map[string]heartbeat.PeerStatus{
		`{"listen":":8080","version":"1"}`: {},
		`{"settled":0}`:                    {Publishes: true},
		`{"listen":":8080","settled":7,"wanted":9,"later":{"x":[1,2]}}`: {Publishes: true, Settled: 7, Wanted: 9},
		`{"settled":-1}`:     {},
		`{"settled":"much"}`: {},
		`"here"`:             {},
		``:                   {},
		`{`:                  {},
	} {
		w := decodeReplica([]byte(value))
		require.Equal(t, want, w.status(), value)
		require.False(t, w.Leaving)
	}
	w := decodeReplica([]byte(`{"settled":7,"leaving":true}`))
	require.True(t, w.Leaving)
}

// keyOf reads the key of a replica.
func keyOf(t *testing.T, s *Store) (kv *mvccpb.KeyValue, value replicaValue) {
	t.Helper()
	got, err := s.client.Get(t.Context(), keys.ReplicaPrefix+s.replicas.self)
	require.NoError(t, err)
	if len(got.Kvs) == 0 {
		return nil, value
	}
	return got.Kvs[0], decodeReplica(got.Kvs[0].Value)
}

// What a replica publishes keeps what it says to operators, is put back where somebody
// altered it, and ends with a word that nobody need wait.
func TestAReplicaPublishesInItsKey(t *testing.T) {
	t.Parallel()
	s, _ := linkedStore(t)
	require.NoError(t, s.Publish(t.Context(), heartbeat.PeerStatus{Publishes: true, Settled: 1}))
	kv, _ := keyOf(t, s)
	require.Nil(t, kv, "who has not joined has no key")
	s.presence.join(map[string]string{"listen": "here"})
	publish := func(settled heartbeat.Revision) {
		require.NoError(t, s.Publish(t.Context(), heartbeat.PeerStatus{Publishes: true, Settled: settled, Wanted: 5}))
		kv, w := keyOf(t, s)
		require.Equal(t, heartbeat.PeerStatus{Publishes: true, Settled: settled, Wanted: 5}, w.status())
		require.NotZero(t, kv.Lease)
		var say struct{ Listen string }
		require.NoError(t, json.Unmarshal(kv.Value, &say))
		require.Equal(t, "here", say.Listen)
	}
	publish(1)
	first, _ := keyOf(t, s)
	publish(2)
	second, _ := keyOf(t, s)
	require.Equal(t, first.Lease, second.Lease)
	_, err := s.client.Put(t.Context(), keys.ReplicaPrefix+s.replicas.self, "altered")
	require.NoError(t, err)
	publish(3)
	third, _ := keyOf(t, s)
	require.NotEqual(t, second.Lease, third.Lease)
	require.NoError(t, s.Revoke(t.Context(), heartbeat.LeaseID(third.Lease)))
	publish(4)

	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { s.KeepPresence(ctx, map[string]string{"listen": "here"}) })
	now, _ := keyOf(t, s)
	events := s.client.Watch(t.Context(), keys.ReplicaPrefix+s.replicas.self, clientv3.WithRev(now.ModRevision+1))
	stop()
	work.Wait()
	var seen []*clientv3.Event
	for len(seen) < 2 {
		select {
		case res := <-events:
			seen = append(seen, res.Events...)
		case <-time.After(time.Minute):
			t.Fatal("the key is still there")
		}
	}
	w := decodeReplica(seen[0].Kv.Value)
	require.True(t, w.Leaving)
	require.Equal(t, mvccpb.DELETE, seen[1].Type)
}

// A lease that is revoked falsely is re-armed by who heard the instance, and both replicas
// say that the end is settled: none of them serves before it said what it has.
func TestReplicasTellEachOtherWhatIsSettled(t *testing.T) {
	t.Parallel()
	_, endpoint := etcdtest.Start(t, etcdtest.Plain)
	one, two := storeAt(t, endpoint), storeAt(t, endpoint)
	var work sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer work.Wait()
	defer stop()
	for _, s := range []*Store{one, two} {
		s.presence.join("here")
		work.Go(func() { s.KeepPresence(ctx, "here") })
	}
	heard, _ := follow(t, one), follow(t, two)
	for _, s := range []*Store{one, two} {
		kv, w := keyOf(t, s)
		require.NotNil(t, kv)
		require.True(t, w.status().Publishes)
	}
	id, err := one.NewID(t.Context(), "app", storetest.Info(t), true)
	require.NoError(t, err)
	r, err := heard.Register(t.Context(), heartbeat.Record{ID: id, Owner: "app", Attributes: storetest.Attributes, State: heartbeat.Active, Proposed: 300})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return two.replicas.Replicas() == 2 && one.replicas.Replicas() == 2 }, time.Minute, 10*time.Millisecond)
	revoked, err := two.client.Revoke(t.Context(), clientv3.LeaseID(r.Lease))
	require.NoError(t, err)
	end := heartbeat.Revision(revoked.Header.Revision) // of the end; the store's head may be later by now
	require.Eventually(t, func() bool {
		s, err := one.Read(t.Context(), id)
		return err == nil && s.Projection.Present() && s.Record.Lease != r.Lease && s.Record.State == heartbeat.Active
	}, time.Minute, 10*time.Millisecond, "re-armed")
	for _, s := range []*Store{one, two} {
		require.Eventually(t, func() bool { _, w := keyOf(t, s); return w.status().Settled >= end }, time.Minute, 10*time.Millisecond)
	}
}
