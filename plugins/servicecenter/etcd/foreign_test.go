package etcd

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.uber.org/zap"

	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
)

// An etcd 3.3 that was killed within a tenth of a second of its first write left a database
// that made the start on it panic, and the server with it.
func TestADirectoryIsReadWhoseDatabaseIsBehindItsMembers(t *testing.T) {
	dir := t.TempDir()
	m, endpoint := etcdtest.Start(t, func(c *embed.Config) { c.Dir = dir })
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}})
	require.NoError(t, err)
	for _, key := range []string{"/a/1", "/a/2", "/b"} {
		_, err = c.Put(t.Context(), key, "v")
		require.NoError(t, err)
	}
	require.NoError(t, c.Close())
	m.Close()
	be := backend.NewDefaultBackend(zap.NewNop(), filepath.Join(dir, "member", "snap", "db"))
	tx := be.BatchTx()
	tx.LockOutsideApply()
	tx.UnsafeDelete(schema.Meta, schema.MetaConsistentIndexKeyName)
	tx.UnsafeDelete(schema.Meta, schema.MetaTermKeyName)
	tx.Unlock()
	be.ForceCommit()
	require.NoError(t, be.Close())

	seen := map[string]bool{}
	o := Options{Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard), Fail: func(why string) { t.Error(why) }}
	require.NoError(t, ReadDirectory(t.Context(), dir, "/a/", o, func(kv *mvccpb.KeyValue) error {
		seen[string(kv.Key)] = true
		return nil
	}))
	require.Equal(t, map[string]bool{"/a/1": true, "/a/2": true}, seen)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, ReadEndpoint(ctx, endpoint, "/a/", func(*mvccpb.KeyValue) error { return nil }))
}
