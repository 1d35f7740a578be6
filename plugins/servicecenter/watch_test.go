package servicecenter

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
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
		Clock:  func() (heartbeat.Instant, int64) { return time.Since(began), time.Now().UnixNano() },
		Hooks:  heartbeat.Hooks{Rewound: s.Rewound}})}
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
	require.Eventually(t, f.Ready, time.Minute, 10*time.Millisecond)
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
	id, err := s.NewID(t.Context(), owner, infoOf(t))
	require.NoError(t, err)
	l, err := s.Grant(t.Context(), 600)
	require.NoError(t, err)
	r := heartbeat.Record{Schema: heartbeat.Schema, ID: id, Owner: owner, Attributes: attributes, State: heartbeat.Active,
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
	res, err := c.Txn(t.Context()).Then(clientv3.OpDelete(recordKey(id)), clientv3.OpDelete(seatOf(id, "").key())).Commit()
	require.NoError(t, err)
	return res.Header.Revision
}

func TestAWatchThatMissedACompactionListsAnewAndMissesNothing(t *testing.T) {
	_, endpoint := listening(t, plain)
	p := proxy.Start(t, endpoint[len("http://"):])
	s, direct := storeAt(t, "http://"+p.Addr), storeAt(t, endpoint)
	kept, lost := registeredIn(t, s, "kept"), registeredIn(t, s, "lost")
	f := follow(t, s)
	require.True(t, f.knows(kept.ID) && f.knows(lost.ID))

	p.Set(proxy.Refuse)
	at := erased(t, direct.client, lost.ID)
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
	_, endpoint := listening(t, plain)
	s := storeAt(t, endpoint)
	s.pace = pace{ask: time.Hour, stall: 2 * time.Hour}
	r := registeredIn(t, s, "one")
	f := follow(t, s)
	foreign, err := s.client.Put(t.Context(), "/somebody/else", "")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		require.NoError(t, f.Beat(t.Context(), r.ID).Err)
		return s.shown.Load() >= foreign.Header.Revision
	}, time.Minute, 10*time.Millisecond)
}

func storeAt(t *testing.T, endpoint string) *Store {
	t.Helper()
	c := &Center{}
	require.NoError(t, c.openStore(t.Context(), Options{Cluster: &remote{endpoints: []string{endpoint}}, Log: discard}))
	t.Cleanup(c.closeStore)
	s := newStore(t.Context(), c, discard)
	t.Cleanup(s.Close)
	return s
}

// A link that stays open and says nothing is noticed, whichever way it swallows.
func TestASilentWatchIsGivenUp(t *testing.T) {
	for _, mode := range []proxy.Mode{proxy.HalfDown, proxy.Blackhole} {
		s, p := clustered(t)
		s.pace = pace{ask: 100 * time.Millisecond, stall: 2 * time.Second}
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

// sameEtcd makes an etcd that always comes back as the same one, with what is in dir.
func sameEtcd(t *testing.T, dir string) func(*embed.Config) {
	client, peer := freeURL(t, "http"), freeURL(t, "http")
	return func(c *embed.Config) {
		c.Dir, c.ListenClientUrls = dir, []url.URL{client}
		c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
		c.InitialCluster = c.Name + "=" + peer.String()
	}
}

// What was restored while nobody looked may have passed every revision that was seen.
func TestARestoredStoreThatOutgrewWhatWasSeenIsLoadedAnew(t *testing.T) {
	dir, backup := t.TempDir(), t.TempDir()
	same := sameEtcd(t, dir)
	e, endpoint := listening(t, same)
	p := proxy.Start(t, endpoint[len("http://"):])
	s := storeAt(t, "http://"+p.Addr)
	early := registeredIn(t, s, "early")
	e.Close()
	require.NoError(t, os.CopyFS(backup, os.DirFS(dir)))

	e, _ = listening(t, same)
	require.NoError(t, retried(func() error { return s.CheckSchema(t.Context()) }))
	f := follow(t, s)
	others := followOthers(t, s)
	early.Seq++
	renamed := renamedIn(t, s, early, "for a while")
	seq := func() uint64 {
		got, err := f.Get(t.Context(), early.ID)
		require.NoError(t, err)
		return got.Record.Seq
	}
	require.Eventually(t, func() bool { return seq() == renamed.Seq }, time.Minute, 10*time.Millisecond)

	p.Set(proxy.Refuse)
	e.Close()
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.CopyFS(dir, os.DirFS(backup)))
	_, _ = listening(t, same)
	direct := storeAt(t, endpoint)
	for range 50 {
		_, err := direct.client.Put(t.Context(), recordPrefix+"x", "")
		require.NoError(t, err)
	}
	p.Set(proxy.Pass)
	require.Eventually(t, func() bool { f.Sweep(); return seq() == 1 }, time.Minute, 10*time.Millisecond, f.why())
	require.Eventually(t, func() bool { return others.restored("outbox") && others.restored("applications") }, time.Minute, 10*time.Millisecond,
		"every reader is told")
	require.Empty(t, s.moved.place(early.ID), "its other name never was")
	again := registeredIn(t, s, "again")
	require.Eventually(t, func() bool { return f.knows(again.ID) }, time.Minute, 10*time.Millisecond)
	require.Eventually(t, func() bool { return f.Beat(t.Context(), early.ID).Err == nil }, time.Minute, 10*time.Millisecond, "heartbeats are taken again")
}

// A store that was restored from an older snapshot is believed: what it does not
// hold is gone, although all that it says bears lower revisions than before.
func TestARestoredStoreIsLoadedAnew(t *testing.T) {
	dir, backup := t.TempDir(), t.TempDir()
	same := sameEtcd(t, dir)
	e, endpoint := listening(t, same)
	s := storeAt(t, endpoint)
	early := registeredIn(t, s, "early")
	e.Close()
	require.NoError(t, os.CopyFS(backup, os.DirFS(dir)))

	e, _ = listening(t, same)
	require.NoError(t, retried(func() error { return s.CheckSchema(t.Context()) }))
	s.pace = pace{ask: 100 * time.Millisecond, stall: time.Minute} // not by silence
	f := follow(t, s)
	others := followOthers(t, s)
	late := registeredIn(t, s, "late")
	early = renamedIn(t, s, early, "for a while")
	for range 20 {
		_, err := s.client.Put(t.Context(), recordPrefix+"x", "")
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return f.knows(late.ID) && f.knows(early.ID) }, time.Minute, 10*time.Millisecond)
	e.Close()
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.CopyFS(dir, os.DirFS(backup)))
	_, _ = listening(t, same)
	require.Eventually(t, func() bool { return !f.knows(late.ID) && f.knows(early.ID) }, time.Minute, 10*time.Millisecond, f.why())
	require.Contains(t, f.why(), errRestored.Error())
	require.Eventually(t, func() bool { return others.restored("outbox") && others.restored("applications") }, time.Minute, 10*time.Millisecond,
		"every reader is told")
	require.Empty(t, s.moved.place(early.ID), "its other name never was")
	again := registeredIn(t, s, "again")
	require.Eventually(t, func() bool { return f.Stats().Records == 2 && f.knows(again.ID) }, time.Minute, 10*time.Millisecond)
	require.Eventually(t, func() bool { return f.Beat(t.Context(), early.ID).Err == nil }, time.Minute, 10*time.Millisecond, "heartbeats are taken again")
}

// renamedIn commits what a PUT with another serName does.
func renamedIn(t *testing.T, s *Store, r heartbeat.Record, name string) heartbeat.Record {
	t.Helper()
	snap, err := s.Read(t.Context(), r.ID)
	require.NoError(t, err)
	info := infoOf(t)
	info.SerName = name
	r.Place, err = s.Place(t.Context(), r.ID, r.Owner, info)
	require.NoError(t, err)
	require.NotEmpty(t, r.Place)
	r.Attributes = strings.Replace(attributes, "face recognition", name, 1)
	r.Seq++
	_, err = s.Commit(t.Context(), &heartbeat.Txn{Kind: heartbeat.Rewrite, RecordRevision: snap.At, Presence: heartbeat.ProjectionAt, ProjectionRevision: snap.Projection.Revision,
		Record: r, RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Change: heartbeat.AttributesChanged})
	require.NoError(t, err)
	return r
}

// readers are the followers beside the engine: what each was told, and how often it
// got a list.
type readers struct {
	mu  sync.Mutex
	log map[string][]string
}

func (r *readers) restored(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := slices.Index(r.log[name], "watch: "+errRestored.Error())
	return at >= 0 && slices.Contains(r.log[name][at:], "load")
}

func (r *readers) note(name, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log[name] = append(r.log[name], what)
}

type outboxNotes struct{ *readers }

func (o outboxNotes) Load([]plugins.OutboxWrite, heartbeat.Revision) { o.note("outbox", "load") }
func (o outboxNotes) See([]plugins.OutboxWrite, heartbeat.Revision)  {}

func followOthers(t *testing.T, s *Store) *readers {
	t.Helper()
	r := &readers{log: map[string][]string{}}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	failed := func(name string) func(string, error) {
		return func(reason string, err error) { r.note(name, reason+": "+err.Error()) }
	}
	work.Go(func() { s.FollowOutbox(ctx, outboxNotes{r}, failed("outbox")) })
	work.Go(func() {
		s.FollowApplications(ctx, func([]plugins.Application, heartbeat.Revision) { r.note("applications", "load") },
			func(plugins.Application, bool) {}, failed("applications"))
	})
	t.Cleanup(func() { cancel(); work.Wait() })
	return r
}

func retried(f func() error) (err error) {
	for range 50 {
		if err = f(); err == nil {
			return nil
		}
	}
	return err
}

func TestALineageBreaksWhenTheStoreGoesBackOrIsAnotherOne(t *testing.T) {
	for name, tt := range map[string]struct {
		headers []pb.ResponseHeader
		broken  bool
	}{
		"forward":         {[]pb.ResponseHeader{{ClusterId: 1, Revision: 5}, {ClusterId: 1, Revision: 5}, {ClusterId: 1, Revision: 9}}, false},
		"back":            {[]pb.ResponseHeader{{ClusterId: 1, Revision: 5}, {ClusterId: 1, Revision: 4}}, true},
		"another cluster": {[]pb.ResponseHeader{{ClusterId: 1, Revision: 5}, {ClusterId: 2, Revision: 9}}, true},
	} {
		l := newLineage()
		one, two := l.ends(), l.ends()
		known := true
		for i := range tt.headers {
			known = l.answered(l.now(), &tt.headers[i])
		}
		require.Equal(t, tt.broken, !known, name)
		last := tt.headers[len(tt.headers)-1]
		require.Equal(t, known, l.answered(l.now(), &last), "until the engine was told, nothing is of the history that it knows: %s", name)
		l.told()
		require.True(t, l.answered(l.now(), &last), name)
		require.Equal(t, tt.broken, ended(one), name)
		require.Equal(t, tt.broken, ended(two), "everybody is told: %s", name)
		require.False(t, ended(l.ends()), "another history has begun: %s", name)
	}
	l := newLineage()
	l.answered(mark{}, &pb.ResponseHeader{ClusterId: 1, Revision: 5})
	before := l.now()
	l.reach(7) // the watch is faster than a read that was on its way
	l.answered(before, &pb.ResponseHeader{ClusterId: 1, Revision: 6})
	ends := l.ends()
	require.False(t, ended(ends))
	l.answered(l.now(), &pb.ResponseHeader{ClusterId: 1, Revision: 6})
	require.True(t, ended(ends), "the watch had been further")

	l = newLineage()
	l.answered(l.now(), &pb.ResponseHeader{ClusterId: 1, Revision: 200})
	both, ends := l.now(), l.ends() // of two reads that are in flight together
	require.False(t, l.answered(both, &pb.ResponseHeader{ClusterId: 1, Revision: 150}))
	require.True(t, ended(ends))
	l.told()
	ends = l.ends()
	require.False(t, l.answered(both, &pb.ResponseHeader{ClusterId: 1, Revision: 151}), "it was asked before the end")
	require.False(t, ended(ends), "and ends nothing again")
	require.True(t, l.answered(l.now(), &pb.ResponseHeader{ClusterId: 1, Revision: 152}))
}

// The end of a history may come when nobody watches: while a list fails, or in the pause
// after a watch.
func TestAnEndThatComesBetweenTwoWatchesIsHandled(t *testing.T) {
	s, _ := clustered(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var told atomic.Int64
	lists := 0
	s.follow(ctx, watched{name: "test", from: recordPrefix, end: watchedEnd,
		load: func(context.Context) (heartbeat.Revision, error) {
			if lists++; lists == 1 {
				s.lineage.end()
				return 0, errClosed
			}
			return 1, nil
		},
		loaded: func() {}, see: func([]*clientv3.Event, heartbeat.Revision) {},
		restored: func() { told.Add(1); cancel() },
	}, func(string, error) {})
	require.EqualValues(t, 1, told.Load())
}

func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A watch that fell behind is sent its events in portions, each under the newest
// revision: only the events say how far it is.
func TestAWatchIsCompleteOnlyUpToItsLastEvent(t *testing.T) {
	ev := func(at int64) *clientv3.Event { e := &clientv3.Event{}; e.Kv = kvAt(at); return e }
	behind := clientv3.WatchResponse{Header: pb.ResponseHeader{Revision: 5000}, Events: []*clientv3.Event{ev(11), ev(12)}}
	require.EqualValues(t, 12, complete(&behind))
	require.EqualValues(t, 5000, complete(&clientv3.WatchResponse{Header: pb.ResponseHeader{Revision: 5000}}))
	require.Zero(t, complete(&clientv3.WatchResponse{Header: pb.ResponseHeader{Revision: 5000}, Created: true}))
}

// What else lies under the prefix of replicas gives nobody another rank.
func TestRanksComeFromLivingReplicasOnly(t *testing.T) {
	_, endpoint := listening(t, plain)
	one, two := storeAt(t, endpoint), storeAt(t, endpoint)
	one.replicas.self, two.replicas.self = strings.Repeat("1", 16), strings.Repeat("2", 16)
	for _, garbage := range []string{"", "0", strings.Repeat("0", 16), "../../x", strings.Repeat("z", 16)} {
		_, err := one.client.Put(t.Context(), replicaPrefix+garbage, "{")
		require.NoError(t, err)
	}
	follow(t, one)
	follow(t, two)
	require.Equal(t, 0, one.replicas.Rank())
	require.Equal(t, 1, one.replicas.Replicas())
	var work sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for _, s := range []*Store{one, two} {
		work.Go(func() { s.attend(ctx, "here") })
	}
	require.Eventually(t, func() bool {
		return one.replicas.Replicas() == 2 && two.replicas.Replicas() == 2 && one.replicas.Rank() == 1 && two.replicas.Rank() == 2
	}, time.Minute, 10*time.Millisecond)
	lost, err := one.client.Get(t.Context(), replicaPrefix+one.replicas.self)
	require.NoError(t, err)
	require.NoError(t, two.Revoke(t.Context(), heartbeat.LeaseID(lost.Kvs[0].Lease)))
	require.Eventually(t, func() bool {
		now, err := one.client.Get(t.Context(), replicaPrefix+one.replicas.self)
		return err == nil && len(now.Kvs) == 1 && now.Kvs[0].CreateRevision > lost.Kvs[0].CreateRevision
	}, time.Minute, 10*time.Millisecond, "a key that was lost comes back")
	stop()
	work.Wait()
	got, err := one.client.Get(t.Context(), replicaPrefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	require.EqualValues(t, 5, got.Count, "the garbage; who stops takes its key away")
}
