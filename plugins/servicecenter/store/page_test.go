package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// manyKeys is a store of one range, which counts what etcd does for each page of it. Pages
// of more than most keys get no answer.
type manyKeys struct {
	clientv3.KV
	keys        []string
	value       int // bytes
	most        int64
	pages       []int64
	steps, held int
}

func (m *manyKeys) Get(_ context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	op := clientv3.OpGet(key, opts...)
	m.pages = append(m.pages, op.Limit())
	if m.most > 0 && op.Limit() > m.most {
		return nil, context.DeadlineExceeded
	}
	from, _ := slices.BinarySearch(m.keys, key)
	left := m.keys[from:]
	m.steps += len(left)
	res := &clientv3.GetResponse{Header: &pb.ResponseHeader{Revision: 7}, More: int64(len(left)) > op.Limit()}
	for _, k := range left[:min(int(op.Limit()), len(left))] {
		res.Kvs = append(res.Kvs, &mvccpb.KeyValue{Key: []byte(k), Value: make([]byte, m.value)})
	}
	m.held = max(m.held, len(res.Kvs)*m.value)
	return res, nil
}

func listed(t *testing.T, m *manyKeys, n int) []string {
	t.Helper()
	for i := range n {
		m.keys = append(m.keys, fmt.Sprintf("%s%06d", keys.RecordPrefix, i))
	}
	s := &Store{client: etcd.Over(&clientv3.Client{KV: m}, keys.Cluster, etcdtest.Discard)}
	var got []string
	_, err := s.each(t.Context(), keys.RecordPrefix, 0, func(kv *mvccpb.KeyValue) { got = append(got, string(kv.Key)) })
	require.NoError(t, err)
	return got
}

// A page costs etcd a step for every key behind it: in pages of a thousand, a list of 100,000
// took fifty steps for each.
func TestAListOfManyKeysHasFewPages(t *testing.T) {
	m := &manyKeys{value: 600}
	got := listed(t, m, 100_000)
	require.Equal(t, m.keys, got, "every key, once, in order")
	require.Less(t, m.steps, 20*len(m.keys))
	require.Less(t, len(m.pages), 40)
}

func TestAPageOfLargeValuesStaysSmall(t *testing.T) {
	m := &manyKeys{value: 64 << 10}
	require.Equal(t, listed(t, m, 5_000), m.keys)
	require.LessOrEqual(t, m.held, usualPage*m.value)
}

// A store that is too slow for large pages is asked for the usual ones, and not again for more.
func TestAPageThatDoesNotComeIsAskedForInParts(t *testing.T) {
	m := &manyKeys{value: 10, most: 3000}
	require.Equal(t, listed(t, m, 20_000), m.keys)
	refused := slices.DeleteFunc(slices.Clone(m.pages), func(n int64) bool { return n <= m.most })
	require.Len(t, refused, pageAttempts, strings.Trim(fmt.Sprint(m.pages), "[]"))
	require.EqualValues(t, usualPage, m.pages[len(m.pages)-1])
}
