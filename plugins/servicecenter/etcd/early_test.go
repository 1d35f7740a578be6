package etcd

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
)

// writer writes and erases at random.
type writer struct {
	*rand.Rand
	c *Client
}

func (w writer) key() string {
	return []string{"/a/", "/b/", "/other/"}[w.IntN(3)] + fmt.Sprint(w.IntN(200))
}

func (w writer) write(t *testing.T, n int) {
	t.Helper()
	for range n {
		var ops []clientv3.Op
		used := map[string]bool{}
		for range 1 + w.IntN(4) {
			key := w.key()
			switch {
			case used[key]:
			case w.IntN(4) == 0:
				ops = append(ops, clientv3.OpDelete(key))
			default:
				ops = append(ops, clientv3.OpPut(key, strings.Repeat("v", w.IntN(3000))+fmt.Sprint(w.Int())))
			}
			used[key] = true
		}
		_, err := w.c.Txn(t.Context()).Then(ops...).Commit()
		require.NoError(t, err)
	}
}

// killed copies a store as kill -9 leaves it: late is written to the log, and not to the database.
func killed(t *testing.T, c *Client, from, to string, late func()) {
	t.Helper()
	files := func(pattern string) {
		all, err := filepath.Glob(filepath.Join(Dir(from), "member", pattern))
		require.NoError(t, err)
		for _, name := range all {
			b, err := os.ReadFile(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // purged
			}
			require.NoError(t, err)
			if end := len(strings.TrimRight(string(b), "\x00")) + 64; end < len(b) {
				b = b[:end]
			}
			at := filepath.Join(Dir(to), "member", filepath.Base(filepath.Dir(name)))
			require.NoError(t, os.MkdirAll(at, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(at, filepath.Base(name)), b, 0o600))
		}
	}
	require.NoError(t, os.MkdirAll(filepath.Join(Dir(to), "member", "snap"), 0o700))
	files("snap/*.snap")
	s := c.etcd.Server.Backend().Snapshot()
	f, err := os.Create(filepath.Join(Dir(to), "member", "snap", "db"))
	require.NoError(t, err)
	_, err = s.WriteTo(f)
	require.NoError(t, errors.Join(err, s.Close(), f.Close()))
	late()
	files("wal/*.wal")
}

func openedEarly(t *testing.T, dir string, e *Early) (_ *Client, closeIt func()) {
	t.Helper()
	c, err := Open(t.Context(), Options{DataDir: dir, Quota: 1 << 30, Probe: probe, Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard), Early: e})
	require.NoError(t, err)
	closeIt = sync.OnceFunc(c.Close)
	t.Cleanup(closeIt)
	return c, closeIt
}

// texts are keys as they stand in the store.
func texts(t *testing.T, all []*mvccpb.KeyValue) (out []string) {
	t.Helper()
	for _, kv := range all {
		b, err := kv.Marshal()
		require.NoError(t, err)
		out = append(out, string(b))
	}
	return out
}

// Nothing may be missed that was written shortly before a kill, nor shown that was erased then.
func TestWhatACheckMeetsIsWhatTheStoreLists(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	c, _ := openedEarly(t, dir, nil)
	for round := range 3 {
		w := writer{random, c}
		w.write(t, 200)
		if round == 1 { // and what was erased before is gone without a mark
			head, err := c.Head(t.Context())
			require.NoError(t, err)
			_, err = c.Compact(t.Context(), int64(head), clientv3.WithCompactPhysical())
			require.NoError(t, err)
			w.write(t, 20)
		}
		copied := t.TempDir()
		killed(t, c, dir, copied, func() { w.write(t, round*60) })
		decoded := map[string]int{}
		e := NewEarly("/a/", "/b/", "/none/")
		e.Decode = func(prefix string, all []*mvccpb.KeyValue) { decoded[prefix] = len(all) }
		again, closeIt := openedEarly(t, copied, e)
		at, err := again.Head(t.Context())
		require.NoError(t, err)
		for _, prefix := range []string{"/a/", "/b/", "/none/"} {
			all, ok := e.List(t.Context(), again, prefix, int64(at))
			require.True(t, ok, prefix)
			want, err := again.Get(t.Context(), prefix, clientv3.WithPrefix())
			require.NoError(t, err)
			require.ElementsMatch(t, texts(t, want.Kvs), texts(t, all), prefix)
		}
		require.NotZero(t, decoded["/a/"])
		require.Len(t, decoded, 2)
		closeIt()
	}
}

// A list that is not as the store would make it is not taken.
func TestWhatTheStoreKnowsBetterIsNotTakenFromTheFiles(t *testing.T) {
	dir := t.TempDir()
	c, closeIt := openedEarly(t, dir, nil)
	for i := range 20 {
		_, err := c.Put(t.Context(), fmt.Sprintf("/a/%02d", i), "x")
		require.NoError(t, err)
	}
	closeIt()
	for name, differs := range map[string]func(t *testing.T, e *Early, c *Client, at int64) int64{
		"a later revision": func(t *testing.T, e *Early, c *Client, at int64) int64 {
			_, ok := e.List(t.Context(), c, "/a/", at)
			require.True(t, ok)
			put, err := c.Put(t.Context(), "/a/late", "x")
			require.NoError(t, err)
			return put.Header.Revision
		},
		"an earlier revision": func(_ *testing.T, _ *Early, _ *Client, at int64) int64 { return at - 1 },
		"it was compacted": func(t *testing.T, _ *Early, c *Client, _ int64) int64 {
			gone, err := c.Delete(t.Context(), "/a/05")
			require.NoError(t, err)
			_, err = c.Compact(t.Context(), gone.Header.Revision, clientv3.WithCompactPhysical())
			require.NoError(t, err)
			return gone.Header.Revision
		},
		"one too many": func(_ *testing.T, e *Early, _ *Client, at int64) int64 {
			<-e.done
			e.lists["/a/"] = append(e.lists["/a/"], &mvccpb.KeyValue{Key: []byte("/a/99"), Version: 1})
			return at
		},
		"one too few": func(_ *testing.T, e *Early, _ *Client, at int64) int64 {
			<-e.done
			e.lists["/a/"] = e.lists["/a/"][1:]
			return at
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEarly("/a/")
			c, closeIt := openedEarly(t, dir, e)
			defer closeIt()
			at, err := c.Head(t.Context())
			require.NoError(t, err)
			_, ok := e.List(t.Context(), c, "/a/", differs(t, e, c, int64(at)))
			require.False(t, ok)
		})
	}
	first := NewEarly("/a/")
	empty, _ := openedEarly(t, t.TempDir(), first)
	_, ok := first.List(t.Context(), empty, "/a/", 1)
	require.False(t, ok, "there were no files")
	var none *Early
	_, ok = none.List(t.Context(), empty, "/a/", 1)
	require.False(t, ok)
}
