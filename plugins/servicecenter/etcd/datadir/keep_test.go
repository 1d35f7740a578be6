package datadir

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// What is kept is what a walk from one end to the other finds, although walkers share the pages.
func TestWhatIsKeptIsWhatIsThereNow(t *testing.T) {
	dir := copyOf(t, store(t))
	e, c := open(t, dir, "mep")
	for i := range 2000 {
		_, err := c.Put(t.Context(), fmt.Sprintf("/k/%d", i%700), fmt.Sprint(i))
		require.NoError(t, err)
		if i%3 == 0 {
			_, err := c.Delete(t.Context(), fmt.Sprintf("/k/%d", i*7%700))
			require.NoError(t, err)
		}
	}
	_ = c.Close()
	e.Close()
	want := map[string]mvccpb.KeyValue{}
	h, err := Keys(dir, func(kv *mvccpb.KeyValue) {
		if strings.HasPrefix(string(kv.Key), "/k/1") || strings.HasPrefix(string(kv.Key), "/k/2") {
			want[string(kv.Key)] = *kv
		}
	})
	require.NoError(t, err)
	k := Keep("/k/1", "/k/2")
	_, err = CheckKeeping(dir, k)
	require.NoError(t, err)
	require.Greater(t, len(k.parts), 2, "it was walked by several")
	now, at, ok := k.Newest()
	require.True(t, ok)
	require.Equal(t, h.Revision, at)
	got := map[string]mvccpb.KeyValue{}
	for _, kv := range now {
		got[string(kv.Key)] = *kv
	}
	require.Len(t, got, len(now), "each once")
	require.True(t, slices.IsSortedFunc(now, func(a, b *mvccpb.KeyValue) int { return cmp.Compare(a.ModRevision, b.ModRevision) }))
	require.Equal(t, want, got)
	require.Greater(t, len(got), 100)
}

// What cannot be understood is etcd's to judge, and nothing is said of what is there.
func TestOfAStrangeVersionNothingIsKept(t *testing.T) {
	at := []byte("\x00\x00\x00\x00\x00\x00\x00\x05_\x00\x00\x00\x00\x00\x00\x00\x00")
	good, err := (&mvccpb.KeyValue{Key: []byte("/k/x"), Version: 1}).Marshal()
	require.NoError(t, err)
	for name, c := range map[string]struct{ at, value []byte }{
		"no revision":    {at[:9], good},
		"no separator":   {append(append([]byte{}, at[:8]...), "x12345678"...), good},
		"cut off":        {at, good[:len(good)-1]},
		"a long key":     {at, []byte{0x0a, 200, 1, 'x'}},
		"a length alone": {at, []byte{0x0a, 0xff}},
	} {
		k := Keep("/k/")
		see := k.part()
		require.NoError(t, see(at, good))
		require.NoError(t, see(c.at, c.value))
		_, _, ok := k.Newest()
		require.False(t, ok, name)
	}
	k := Keep("/k/")
	see := k.part()
	require.NoError(t, see(at, good))
	require.NoError(t, see(at, nil), "a revision that a restore left out")
	now, rev, ok := k.Newest()
	require.True(t, ok)
	require.EqualValues(t, 5, rev)
	require.Len(t, now, 1)
}

// To keep keys is no reason to miss damage.
func TestWhoKeepsKeysFindsTheSameDamage(t *testing.T) {
	dir := copyOf(t, store(t))
	file := one(t, dir, "snap/db")
	whole, d := pagesOf(t, file)
	tried := 0
	for id := uint64(2); id < d.pages; id += 5 {
		at := id * d.pageSize
		if d.seen[id/64]&(1<<(id%64)) == 0 || order.Uint64(whole[at:]) != id {
			continue
		}
		overwrite(t, file, int64(at), make([]byte, 64))
		_, err := CheckKeeping(dir, Keep("/"))
		require.ErrorAs(t, err, new(*Damage), "page %d", id)
		overwrite(t, file, int64(at), whole[at:at+64])
		tried++
	}
	require.Greater(t, tried, 20)
}
