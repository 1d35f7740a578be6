package store

import (
	"context"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
	"github.com/mec-liveness/mepserver/test/proxy"
)

// sameEtcd makes an etcd that always comes back as the same one, with what is in dir.
func sameEtcd(t *testing.T, dir string) func(*embed.Config) {
	client, peer := etcdtest.FreeURL(t, "http"), etcdtest.FreeURL(t, "http")
	return func(c *embed.Config) {
		c.Dir, c.ListenClientUrls = dir, []url.URL{client}
		c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
		c.InitialCluster = c.Name + "=" + peer.String()
	}
}

// What was restored while nobody looked may have passed every revision that was seen.
func TestARestoredStoreThatOutgrewWhatWasSeenIsLoadedAnew(t *testing.T) {
	t.Parallel()
	dir, backup := t.TempDir(), t.TempDir()
	same := sameEtcd(t, dir)
	e, endpoint := etcdtest.Start(t, same)
	p := proxy.Start(t, endpoint[len("http://"):])
	s := storeAt(t, "http://"+p.Addr)
	early := registeredIn(t, s, "early")
	e.Close()
	require.NoError(t, os.CopyFS(backup, os.DirFS(dir)))

	e, _ = etcdtest.Start(t, same)
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
	_, _ = etcdtest.Start(t, same)
	direct := storeAt(t, endpoint)
	for range 50 {
		_, err := direct.client.Put(t.Context(), keys.RecordPrefix+"x", "")
		require.NoError(t, err)
	}
	p.Set(proxy.Pass)
	require.Eventually(t, func() bool { f.Sweep(); return seq() == 1 }, time.Minute, 10*time.Millisecond, f.why())
	require.Eventually(t, func() bool { return others.restored("outbox") && others.restored("applications") }, time.Minute, 10*time.Millisecond,
		"every reader is told")
	require.Empty(t, s.renames.serviceID(early.ID), "its other name never was")
	again := registeredIn(t, s, "again")
	require.Eventually(t, func() bool { return f.knows(again.ID) }, time.Minute, 10*time.Millisecond)
	require.Eventually(t, func() bool { return f.Beat(t.Context(), early.ID, "").Err == nil }, time.Minute, 10*time.Millisecond, "heartbeats are taken again")
}

// The link may fall silent while the watch is begun, too.
func TestAWatchThatIsNotAnsweredIsGivenUp(t *testing.T) {
	t.Parallel()
	s, p := linkedStore(t)
	require.NoError(t, s.CheckSchema(t.Context()))
	e := heartbeat.New(heartbeat.Config{Store: s, Clock: func() (plugins.Instant, int64) { return 0, 0 }})
	at, err := e.Load(t.Context())
	require.NoError(t, err)
	p.Set(proxy.Blackhole)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.ErrorIs(t, s.watch(ctx, s.engineRange(e), nil, &at, watchIntervals{ask: time.Hour, stall: time.Second}), errStalled)
}

// A store that was restored from an older snapshot is believed: what it does not
// hold is gone, although all that it says bears lower revisions than before.
func TestARestoredStoreIsLoadedAnew(t *testing.T) {
	t.Parallel()
	dir, backup := t.TempDir(), t.TempDir()
	same := sameEtcd(t, dir)
	e, endpoint := etcdtest.Start(t, same)
	s := storeAt(t, endpoint)
	early := registeredIn(t, s, "early")
	e.Close()
	require.NoError(t, os.CopyFS(backup, os.DirFS(dir)))

	e, _ = etcdtest.Start(t, same)
	require.NoError(t, retried(func() error { return s.CheckSchema(t.Context()) }))
	s.intervals = watchIntervals{ask: 100 * time.Millisecond, stall: time.Minute} // not by silence
	f := follow(t, s)
	others := followOthers(t, s)
	late := registeredIn(t, s, "late")
	early = renamedIn(t, s, early, "for a while")
	for range 20 {
		_, err := s.client.Put(t.Context(), keys.RecordPrefix+"x", "")
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return f.knows(late.ID) && f.knows(early.ID) }, time.Minute, 10*time.Millisecond)
	e.Close()
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.CopyFS(dir, os.DirFS(backup)))
	_, _ = etcdtest.Start(t, same)
	require.Eventually(t, func() bool { return !f.knows(late.ID) && f.knows(early.ID) }, time.Minute, 10*time.Millisecond, f.why())
	require.Contains(t, f.why(), etcd.ErrRestored.Error())
	require.Eventually(t, func() bool { return others.restored("outbox") && others.restored("applications") }, time.Minute, 10*time.Millisecond,
		"every reader is told")
	require.Empty(t, s.renames.serviceID(early.ID), "its other name never was")
	again := registeredIn(t, s, "again")
	require.Eventually(t, func() bool { return f.Stats().Records == 2 && f.knows(again.ID) }, time.Minute, 10*time.Millisecond)
	require.Eventually(t, func() bool { return f.Beat(t.Context(), early.ID, "").Err == nil }, time.Minute, 10*time.Millisecond, "heartbeats are taken again")
}

// renamedIn commits what a PUT with another serName does.
func renamedIn(t *testing.T, s *Store, r heartbeat.Record, name string) heartbeat.Record {
	t.Helper()
	snap, err := s.Read(t.Context(), r.ID)
	require.NoError(t, err)
	info := storetest.Info(t)
	info.SerName = name
	r.Place, err = s.Place(t.Context(), r.ID, r.Owner, info)
	require.NoError(t, err)
	require.NotEmpty(t, r.Place)
	r.Attributes = strings.Replace(storetest.Attributes, "face recognition", name, 1)
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
	at := slices.Index(r.log[name], "watch: "+etcd.ErrRestored.Error())
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

// The end of a history may come when nobody watches: while a list fails, or in the pause
// after a watch.
func TestAnEndThatComesBetweenTwoWatchesIsHandled(t *testing.T) {
	t.Parallel()
	s, _ := linkedStore(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var told atomic.Int64
	lists := 0
	s.follow(ctx, watchRange{name: "test", from: keys.RecordPrefix, end: keys.WatchedEnd,
		load: func(context.Context) (heartbeat.Revision, error) {
			if lists++; lists == 1 {
				s.client.Lineage.Break()
				return 0, errClosed
			}
			return 1, nil
		},
		loaded: func() {}, see: func([]*clientv3.Event, heartbeat.Revision) {},
		restored: func() { told.Add(1); cancel() },
	}, func(string, error) {})
	require.EqualValues(t, 1, told.Load())
}
