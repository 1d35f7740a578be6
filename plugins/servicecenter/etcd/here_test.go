package etcd

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestWhatIsReadHereIsWhatGetReads(t *testing.T) {
	c, _ := opened(t, t.TempDir())
	t.Cleanup(c.Close)
	for i := range 20 {
		_, err := c.Put(t.Context(), fmt.Sprintf("/mep/x/%d", i%7), fmt.Sprint("v", i))
		require.NoError(t, err)
	}
	_, err := c.Delete(t.Context(), "/mep/x/3")
	require.NoError(t, err)
	at, err := c.Get(t.Context(), "/mep/x/4")
	require.NoError(t, err)
	old := at.Kvs[0].CreateRevision
	none := []*mvccpb.KeyValue{nil}
	for _, key := range []string{"/mep/x/1", "/mep/x/3", "/mep/x/", "/mep/x/none", "/mep/x/6"} {
		for name, opts := range map[string][]clientv3.OpOption{"one": nil, "count": {clientv3.WithCountOnly()}, "name": {clientv3.WithKeysOnly()},
			"prefix": {clientv3.WithPrefix()}, "count of a prefix": {clientv3.WithPrefix(), clientv3.WithCountOnly()}, "revision": {clientv3.WithRev(old)},
			"limit": {clientv3.WithPrefix(), clientv3.WithLimit(2), clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend)}} {
			want, err := c.Get(t.Context(), key, opts...)
			require.NoError(t, err)
			got, err := c.GetHere(t.Context(), key, opts...)
			require.NoError(t, err)
			require.Equal(t, slices.Concat(none, want.Kvs), slices.Concat(none, got.Kvs), "%s %s", key, name)
			require.Equal(t, want.Count, got.Count, "%s %s", key, name)
			require.Equal(t, want.Header.Revision, got.Header.Revision, "%s %s", key, name)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.GetHere(gone, "/mep/x/none")
	require.ErrorIs(t, err, context.Canceled, "a store that does not answer is none that has nothing")
}

// What was written is read at once, whoever writes and flushes meanwhile.
func TestWhatWasWrittenIsReadHereWhileOthersWrite(t *testing.T) {
	c, _ := opened(t, t.TempDir())
	t.Cleanup(c.Close)
	var all sync.WaitGroup
	for who := range 4 {
		all.Go(func() {
			key := fmt.Sprint("/mep/x/", who)
			for i := range 200 {
				want := fmt.Sprint(i)
				if _, err := c.Put(t.Context(), key, want); err != nil {
					t.Error(err)
					return
				}
				got, err := c.GetHere(t.Context(), key)
				if err != nil || len(got.Kvs) != 1 || string(got.Kvs[0].Value) != want {
					t.Errorf("%s: %v, %v in place of %s", key, got, err, want)
					return
				}
				if i%50 == 0 {
					c.etcd.Server.Backend().ForceCommit()
				}
			}
		})
	}
	all.Wait()
}

// Of a thousand writes since the last flush, each Get first copied 48 kB.
func TestAReadOfOneKeyCopiesNothingThatWasWritten(t *testing.T) {
	c, _ := opened(t, t.TempDir())
	t.Cleanup(c.Close)
	var before, between, after runtime.MemStats
	var plain, here uint64
	for range 20 {
		var ops []clientv3.Op
		for i := range 100 {
			ops = append(ops, clientv3.OpPut(fmt.Sprint("/mep/x/", i), "v"))
		}
		for range 10 {
			_, err := c.Txn(t.Context()).Then(ops...).Commit()
			require.NoError(t, err)
		}
		runtime.ReadMemStats(&before)
		_, err := c.GetHere(t.Context(), "/mep/x/7") // before Get, whose copy serves for reads until the next write
		require.NoError(t, err)
		runtime.ReadMemStats(&between)
		_, err = c.Get(t.Context(), "/mep/x/7")
		require.NoError(t, err)
		runtime.ReadMemStats(&after)
		here += between.TotalAlloc - before.TotalAlloc
		plain += after.TotalAlloc - between.TotalAlloc
	}
	t.Logf("%d bytes beside %d", here, plain)
	require.Less(t, 3*here, plain)
}
