package store

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
	"github.com/mec-liveness/mepserver/test/proxy"
)

// followed runs an engine on a store until the test ends and keeps why it listed anew.
type followed struct {
	*heartbeat.Engine
	mu      sync.Mutex
	reasons []string
}

func follow(t *testing.T, s *Store) *followed {
	t.Helper()
	began := time.Now()
	f := &followed{Engine: heartbeat.New(heartbeat.Config{Store: s, MinLease: 2,
		Policy: heartbeat.Policy{DefaultInterval: 30, MinInterval: 1, MaxInterval: 300, AllowedMisses: 1, Hold: time.Second},
		Clock:  func() (plugins.Instant, int64) { return time.Since(began), time.Now().UnixNano() },
		Hooks:  heartbeat.Hooks{StoreRestored: s.Reload}})}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { f.Run(ctx) })
	work.Go(func() {
		s.Follow(ctx, f.Engine, func(reason string, err error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.reasons = append(f.reasons, reason+": "+err.Error())
		})
	})
	t.Cleanup(func() { cancel(); work.Wait() })
	require.Eventually(t, func() bool { return f.Ready() && s.shown.Load() > 0 }, time.Minute, 10*time.Millisecond, "it watches")
	return f
}

func (f *followed) why() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.reasons, "\n")
}

// registeredIn commits a record on a lease of ten minutes.
func registeredIn(t *testing.T, s *Store, owner string) heartbeat.Record {
	t.Helper()
	id, err := s.NewID(t.Context(), owner, storetest.Info(t), true)
	require.NoError(t, err)
	l, err := s.Grant(t.Context(), 600)
	require.NoError(t, err)
	r := heartbeat.Record{Schema: heartbeat.Schema, ID: id, Owner: owner, Attributes: storetest.Attributes, State: heartbeat.Active,
		Interval: 300, Window: 600, Proposed: 300, RegisteredAt: 1e18, Seq: 1, Lease: l}
	_, err = s.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Register, Presence: heartbeat.NoProjection,
		RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Record: r, Change: heartbeat.Added})
	require.NoError(t, err)
	return r
}

func (f *followed) knows(id heartbeat.ID) bool {
	_, err := f.Get(context.Background(), id)
	return err == nil
}

// erased takes a record away behind the replica's back.
func erased(t *testing.T, c *clientv3.Client, id heartbeat.ID) int64 {
	t.Helper()
	res, err := c.Txn(t.Context()).Then(clientv3.OpDelete(keys.Record(id)), clientv3.OpDelete(keys.InstanceOf(id, "").Key())).Commit()
	require.NoError(t, err)
	return res.Header.Revision
}

func TestAWatchThatMissedACompactionListsAnewAndMissesNothing(t *testing.T) {
	t.Parallel()
	_, endpoint := etcdtest.Start(t, etcdtest.Plain)
	p := proxy.Start(t, endpoint[len("http://"):])
	s, direct := storeAt(t, "http://"+p.Addr), storeAt(t, endpoint)
	kept, lost := registeredIn(t, s, "kept"), registeredIn(t, s, "lost")
	f := follow(t, s)
	require.True(t, f.knows(kept.ID) && f.knows(lost.ID))

	p.Set(proxy.Refuse)
	at := erased(t, direct.client.Client, lost.ID)
	_, err := direct.client.Put(t.Context(), "/elsewhere", "")
	require.NoError(t, err)
	_, err = direct.client.Compact(t.Context(), at+1)
	require.NoError(t, err)
	p.Set(proxy.Pass)
	require.Eventually(t, func() bool { return !f.knows(lost.ID) }, time.Minute, 10*time.Millisecond)
	require.True(t, f.knows(kept.ID))
	// the sweep may have found it before the watch was told
	require.Eventually(t, func() bool { return strings.Contains(f.why(), "compacted") }, time.Minute, 10*time.Millisecond)

	late := registeredIn(t, direct, "late")
	require.Eventually(t, func() bool { return f.Stats().Records == 2 && f.knows(late.ID) }, time.Minute, 10*time.Millisecond, "the new watch goes on")
}

// What others write beside our keys moves the store's revision and is shown by no watch
// of ours; whoever meets it, a heartbeat or the pulse, has the watch ask how far it is.
func TestAReplicaBehindTheStoreLetsTheWatchCatchUp(t *testing.T) {
	_, endpoint := etcdtest.Start(t, etcdtest.Plain)
	s := storeAt(t, endpoint)
	s.intervals = watchIntervals{ask: time.Hour, stall: 2 * time.Hour}
	r := registeredIn(t, s, "one")
	f := follow(t, s)
	foreign, err := s.client.Put(t.Context(), "/somebody/else", "")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		require.NoError(t, f.Beat(t.Context(), r.ID, "").Err)
		return s.shown.Load() >= foreign.Header.Revision
	}, time.Minute, 10*time.Millisecond)
}

// storeAt is a store on the cluster with these endpoints.
func storeAt(t *testing.T, endpoints ...string) *Store {
	t.Helper()
	r, err := etcd.NewRemote(conf.Store{Endpoints: endpoints})
	require.NoError(t, err)
	c, err := etcd.Open(t.Context(), etcd.Options{Cluster: r, Probe: keys.Cluster, Log: etcdtest.Discard})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	s := New(Options{Client: c, Log: etcdtest.Discard})
	t.Cleanup(s.Close)
	return s
}

// linkedStore is a store over an etcd with sockets, behind a link that can be broken.
func linkedStore(t *testing.T) (*Store, *proxy.Proxy) {
	t.Helper()
	_, endpoint := etcdtest.Start(t, etcdtest.Plain)
	p := proxy.Start(t, endpoint[len("http://"):])
	return storeAt(t, "http://"+p.Addr), p
}

// A link that stays open and says nothing is noticed, whichever way it swallows.
func TestASilentWatchIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, mode := range []proxy.Mode{proxy.HalfDown, proxy.Blackhole} {
		s, p := linkedStore(t)
		s.intervals = watchIntervals{ask: 100 * time.Millisecond, stall: 2 * time.Second}
		r := registeredIn(t, s, fmt.Sprint("silent-", mode))
		f := follow(t, s)
		p.Set(mode)
		require.Eventually(t, func() bool { return strings.Contains(f.why(), errStalled.Error()) }, time.Minute, 10*time.Millisecond)
		p.Set(proxy.Pass)
		late := registeredIn(t, s, "after")
		require.Eventually(t, func() bool { return f.knows(late.ID) }, time.Minute, 10*time.Millisecond)
		require.True(t, f.knows(r.ID))
	}
}

// What else lies under the prefix of replicas gives nobody another rank.
func TestRanksComeFromLivingReplicasOnly(t *testing.T) {
	t.Parallel()
	_, endpoint := etcdtest.Start(t, etcdtest.Plain)
	one, two := storeAt(t, endpoint), storeAt(t, endpoint)
	one.replicas.self, two.replicas.self = strings.Repeat("1", 16), strings.Repeat("2", 16)
	for _, garbage := range []string{"", "0", strings.Repeat("0", 16), "../../x", strings.Repeat("z", 16)} {
		_, err := one.client.Put(t.Context(), keys.ReplicaPrefix+garbage, "{")
		require.NoError(t, err)
	}
	follow(t, one)
	follow(t, two)
	require.Equal(t, 0, one.replicas.Rank())
	require.Equal(t, 1, one.replicas.Replicas())
	var work sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for _, s := range []*Store{one, two} {
		work.Go(func() { s.KeepPresence(ctx, "here") })
	}
	require.Eventually(t, func() bool {
		return one.replicas.Replicas() == 2 && two.replicas.Replicas() == 2 && one.replicas.Rank() == 1 && two.replicas.Rank() == 2
	}, time.Minute, 10*time.Millisecond)
	lost, err := one.client.Get(t.Context(), keys.ReplicaPrefix+one.replicas.self)
	require.NoError(t, err)
	require.NoError(t, two.Revoke(t.Context(), heartbeat.LeaseID(lost.Kvs[0].Lease)))
	require.Eventually(t, func() bool {
		now, err := one.client.Get(t.Context(), keys.ReplicaPrefix+one.replicas.self)
		return err == nil && len(now.Kvs) == 1 && now.Kvs[0].Lease != lost.Kvs[0].Lease && now.Kvs[0].ModRevision > lost.Kvs[0].ModRevision
	}, time.Minute, 10*time.Millisecond, "a key that was lost comes back")
	stop()
	work.Wait()
	got, err := one.client.Get(t.Context(), keys.ReplicaPrefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	require.EqualValues(t, 5, got.Count, "the garbage; who stops takes its key away")
}
