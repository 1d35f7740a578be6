package center

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/client"
	"github.com/apache/servicecomb-service-center/datasource/etcd/kv"
	"github.com/apache/servicecomb-service-center/datasource/etcd/sd"
	sdetcd "github.com/apache/servicecomb-service-center/datasource/etcd/sd/etcd"
	"github.com/apache/servicecomb-service-center/datasource/etcd/value"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Copies of all microservices, instances and leases were a third of the memory, and were listed at
// each start and every two minutes.
func TestWhatMp1RegistersIsNotKeptTwiceInAnEmbeddedStore(t *testing.T) {
	for name, a := range map[string]sd.Adaptor{"microservices": kv.Store().Service(), "index": kv.Store().ServiceIndex(), "instances": kv.Store().Instance(), "leases": kv.Store().Lease()} {
		require.IsType(t, &direct{}, a, name)
		require.IsType(t, directCache{}, a.Cache(), name)
	}
	require.IsType(t, &sdetcd.Adaptor{}, kv.Store().Rule(), "what Mp1 does not write is as it was")
}

// directly is a range of keys of a test's own, whose events are told to it.
func directly(t *testing.T, root string, tell func(sd.KvEvent)) *direct {
	t.Helper()
	cfg := sd.Configure().WithPrefix(root).WithParser(value.StringParser).WithEventFunc(tell)
	d := &direct{name: root, cfg: cfg, read: db.GetHere, watch: newRegistry(db.Client, nil, db.Readers).Watch, store: sdetcd.NewEtcdIndexer(root, cfg.Parser), watched: true, initial: true, answers: answers{changes: &atomic.Uint64{}}, ready: make(chan struct{})}
	t.Cleanup(func() {
		d.Stop()
		_, _ = db.Delete(context.Background(), root, clientv3.WithPrefix())
	})
	return d
}

func put(t *testing.T, key, value string) {
	t.Helper()
	_, err := db.Put(t.Context(), key, value)
	require.NoError(t, err)
}

func TestTheStoreAnswersAsACacheDoes(t *testing.T) {
	const root = "/direct/answers/"
	d := directly(t, root, nil)
	for i := range pageOfAll + 10 {
		put(t, fmt.Sprintf("%sa/b/%05d", root, i), "v")
	}
	put(t, root+"a/c/1", "w")
	c := d.Cache()
	require.Equal(t, pageOfAll+11, c.GetAll(nil))
	require.Equal(t, 1, c.GetPrefix(root+"a/c/", nil))
	var some []*sd.KeyValue
	require.Equal(t, 1, c.GetPrefix(root+"a/c/", &some))
	require.Equal(t, "w", some[0].Value)
	require.Equal(t, "v", c.Get(root+"a/b/00007").Value)
	require.Nil(t, c.Get(root+"a/b/none"))
	seen := map[string]bool{}
	c.ForEach(func(key string, one *sd.KeyValue) bool { seen[key] = one.Value != nil; return true })
	require.Len(t, seen, pageOfAll+11, "more than one page")
	n := 0
	c.ForEach(func(string, *sd.KeyValue) bool { n++; return n < 3 })
	require.Equal(t, 3, n)
	for name, opts := range map[string][]client.PluginOpOption{
		"as a cache": {client.WithCacheOnly()}, "by default": nil, "up to date": {client.WithNoCache()}} {
		res, err := d.Search(t.Context(), append(opts, client.WithStrKey(root+"a/c/"), client.WithPrefix())...)
		require.NoError(t, err, name)
		require.EqualValues(t, 1, res.Count, name)
		require.Equal(t, "w", res.Kvs[0].Value, name)
	}
	_, err := d.Search(t.Context(), client.WithStrKey("/elsewhere"))
	require.Error(t, err)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = d.Search(gone, client.WithStrKey(root+"a/c/1"))
	require.Error(t, err, "a store that does not answer is none that has nothing")
}

// service-center learns by the first microservice of each tenant that there is one; of the others
// nobody need be told at a start. What is written from then on is told in order.
func TestAStartTellsOfTenantsAndThenOfEveryWrite(t *testing.T) {
	const root = "/direct/events/"
	var mu sync.Mutex
	var told []string
	d := directly(t, root, func(e sd.KvEvent) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprint(e.Type, " ", string(e.KV.Key)[len(root):], " ", e.KV.Value))
	})
	for _, key := range []string{"a/p/1", "a/p/2", "a/q/1", "b/p/1", "b/p/2", "stray"} {
		put(t, root+key, "v")
	}
	d.Run()
	select {
	case <-d.Ready():
	case <-time.After(30 * time.Second):
		require.Fail(t, "it is not ready")
	}
	put(t, root+"a/p/3", "new")
	put(t, root+"a/p/3", "newer")
	require.Eventually(t, func() bool { known := d.recent.get(root + "a/p/3"); return known != nil && known.Value == "newer" }, 30*time.Second, time.Millisecond)
	_, err := db.Delete(t.Context(), root+"a/p/3")
	require.NoError(t, err)
	want := []string{"INIT a/p/1 v", "INIT a/q/1 v", "INIT b/p/1 v", "INIT stray v", "CREATE a/p/3 new", "UPDATE a/p/3 newer", "DELETE a/p/3 newer"}
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(told) >= len(want) }, 30*time.Second, time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, want, told)
	require.Nil(t, d.recent.get(root+"a/p/3"))
}

// An answer is remembered until the watch shows a write; one that was asked for before that is not.
func TestAnAnswerIsRememberedUntilSomethingIsWritten(t *testing.T) {
	a := answers{watched: true, changes: &atomic.Uint64{}}
	other := answers{changes: a.changes}
	asked := 0
	ask := func() (*sd.Response, error) {
		asked++
		return &sd.Response{Count: 1, Kvs: []*sd.KeyValue{{Key: fmt.Append(nil, asked)}}}, nil
	}
	get := func(q question) string {
		res, err := a.get(q, false, ask)
		require.NoError(t, err)
		key := string(res.Kvs[0].Key)
		res.Kvs[0] = nil // the slice is the caller's
		return key
	}
	require.Equal(t, []string{"1", "1", "2"}, []string{get(question{key: "k"}), get(question{key: "k"}), get(question{key: "k", prefix: true})})
	other.changed() // of another type: one transaction writes both
	require.Equal(t, "3", get(question{key: "k"}))
	res, err := a.get(question{key: "late"}, true, func() (*sd.Response, error) { a.changed(); return &sd.Response{}, nil })
	require.NoError(t, err)
	require.Empty(t, res.Kvs)
	require.Equal(t, "4", get(question{key: "late"}), "something was written while it was asked for")
	for i := range 2 * maxAnswers {
		get(question{key: fmt.Sprint(i)})
		require.LessOrEqual(t, len(a.of), maxAnswers)
	}
	_, err = a.get(question{key: "large"}, true, func() (*sd.Response, error) { return &sd.Response{Kvs: make([]*sd.KeyValue, maxAnswerKvs+1)}, nil })
	require.NoError(t, err)
	require.NotContains(t, a.of, question{key: "large"})
}

func TestWhatWasWrittenLastIsRememberedWithinABound(t *testing.T) {
	var r recentKeys
	for i := range 3 * maxRecent {
		r.put(&sd.KeyValue{Key: fmt.Append(nil, i)})
		if i%3 == 0 {
			r.remove(fmt.Sprint(i))
			r.put(&sd.KeyValue{Key: fmt.Append(nil, i)})
		}
		require.LessOrEqual(t, len(r.known), maxRecent)
		require.NotNil(t, r.get(fmt.Sprint(i)))
	}
	r.clear()
	require.Nil(t, r.get(fmt.Sprint(3*maxRecent-1)))
}

// nothing is what a store answers in which there is nothing.
func nothing() (*sd.Response, error) { return &sd.Response{}, nil }

// Who asked whether something is there, and then wrote it, was told that it is not, until the watch
// had shown it. service-center asked the store where its cache had nothing.
func TestThatThereIsNothingIsAskedAgain(t *testing.T) {
	a := answers{watched: true, changes: &atomic.Uint64{}}
	q := question{key: "k"}
	for _, memory := range []bool{false, true} {
		_, err := a.get(q, memory, nothing)
		require.NoError(t, err)
	}
	one := func() (*sd.Response, error) { return &sd.Response{Count: 1}, nil }
	res, err := a.get(q, true, one)
	require.NoError(t, err)
	require.Zero(t, res.Count, "who asks memory alone may be told what it has")
	res, err = a.get(q, false, one)
	require.NoError(t, err)
	require.EqualValues(t, 1, res.Count)
	res, err = a.get(q, true, nothing)
	require.NoError(t, err)
	require.EqualValues(t, 1, res.Count, "the newer answer is remembered")
}

// While no watch runs nobody says that an answer is not true any more: it was kept for good.
func TestNothingIsRememberedWhileNoWatchRuns(t *testing.T) {
	const root = "/direct/broken/"
	var mu sync.Mutex
	var told []string
	d := directly(t, root, func(e sd.KvEvent) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprint(e.Type, " ", string(e.KV.Key)[len(root):], " ", e.KV.Value))
	})
	d.initial, d.again = false, true
	lines := func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(told) }
	broken := make(chan error)
	begin := make(chan bool)
	watch := d.watch
	d.watch = func(ctx context.Context, opts ...client.PluginOpOption) error {
		inner, end := context.WithCancel(ctx)
		defer end()
		ended := make(chan error, 1)
		select {
		case <-begin:
		case <-ctx.Done():
			return nil
		}
		go func() { ended <- watch(inner, opts...) }()
		select {
		case err := <-broken:
			end()
			return errors.Join(err, <-ended)
		case err := <-ended:
			return err
		}
	}
	get := func() any {
		res, err := d.Search(t.Context(), client.WithStrKey(root+"a/p/1"), client.WithCacheOnly())
		require.NoError(t, err)
		if len(res.Kvs) == 0 {
			return nil
		}
		return res.Kvs[0].Value
	}
	put(t, root+"a/p/1", "first")
	d.Run()
	begin <- true
	put(t, root+"a/p/1", "second")
	require.Eventually(t, func() bool { return len(lines()) == 1 }, 30*time.Second, time.Millisecond)
	for _, why := range []error{errors.New("broken"), rpctypes.ErrCompacted} {
		broken <- why
		require.Eventually(t, func() bool { d.answers.mu.Lock(); defer d.answers.mu.Unlock(); return !d.answers.watched }, 30*time.Second, time.Millisecond)
		put(t, root+"a/p/1", "meanwhile")
		require.Equal(t, "meanwhile", get())
		put(t, root+"a/p/1", "later")
		require.Equal(t, "later", get(), "nothing was remembered")
		begin <- true
		require.Eventually(t, func() bool { return get() == "later" && slices.Contains(lines(), "UPDATE a/p/1 later") }, 30*time.Second, time.Millisecond)
		if errors.Is(why, rpctypes.ErrCompacted) {
			require.Equal(t, []string{"UPDATE a/p/1 later"}, lines(), "what there is now is told, and no more is known")
			continue
		}
		require.Equal(t, []string{"UPDATE a/p/1 second", "UPDATE a/p/1 meanwhile", "UPDATE a/p/1 later"}, lines(), "nothing was lost")
		mu.Lock()
		told = nil
		mu.Unlock()
	}
}
