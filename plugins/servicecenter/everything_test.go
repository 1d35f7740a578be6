package servicecenter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// everything is what the store holds: key to lease and value.
func everything(t *testing.T) map[string]string {
	t.Helper()
	got, err := store.client.Get(t.Context(), "/", clientv3.WithRange("0"))
	require.NoError(t, err)
	out := map[string]string{}
	for _, kv := range got.Kvs {
		if strings.HasPrefix(string(kv.Key), scLocks) {
			continue // service-center takes them when it likes
		}
		out[string(kv.Key)] = fmt.Sprintf("%d %s", kv.Lease, kv.Value)
	}
	return out
}

// mended lists the store, and waits until what that shows was put right.
func mended(t *testing.T) {
	t.Helper()
	store.AwaitRepairs() // after the list of another test
	_, _, err := store.List(t.Context())
	require.NoError(t, err)
	store.AwaitRepairs()
}

func stored(t *testing.T, key string) string {
	t.Helper()
	got, err := store.client.Get(t.Context(), key)
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1, key)
	return string(got.Kvs[0].Value)
}
