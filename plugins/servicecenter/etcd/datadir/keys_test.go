package datadir

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

func TestTheKeysOfADirectoryAreListedAsTheyAre(t *testing.T) {
	got := map[string]int{}
	h, err := Keys(store(t), func(kv *mvccpb.KeyValue) { got[string(kv.Key)] = len(kv.Value) })
	require.NoError(t, err)
	require.Len(t, got, 300)
	require.Equal(t, 3*(100+440%7*3000), got["/k/140"], "the newest version")
	require.Equal(t, History{Revision: 451, Compacted: 200, Keys: 300}, h)
}
