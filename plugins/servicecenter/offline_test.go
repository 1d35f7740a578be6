package servicecenter

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store"
)

func TestCheckSaysInOneLineWhyItCannotLook(t *testing.T) {
	var out strings.Builder
	dir := t.TempDir()
	require.ErrorContains(t, Check(filepath.Join(dir, "none"), &out), "cannot use the data directory: ")
	require.ErrorContains(t, Check(dir, &out), "there is no store in "+dir)
	lock, err := etcd.LockDir(dir)
	require.NoError(t, err)
	require.ErrorContains(t, Check(dir, &out), "another mepserver uses the data directory "+dir+"; stop it first")
	require.NoError(t, lock.Close())
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "etcd", "member", "snap"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "etcd", "member", "wal"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "etcd", "member", "snap", "db"), nil, 0o600))
	err = Check(dir, &out)
	require.ErrorContains(t, err, "db is damaged: it is empty; restore a backup (mepserver restore --help")
	require.NotContains(t, err.Error(), "\n")
	_, err = etcd.Open(t.Context(), etcd.Options{DataDir: dir, Quota: 1 << 30, Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard)})
	require.ErrorContains(t, err, "db is damaged: it is empty; restore a backup", "and neither does a server start")
	require.Empty(t, out.String())
}

// A restore that was killed left a directory that kept the next one from beginning.
func TestARestoreThatWasKilledIsMadeAgain(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	c, err := etcd.Open(t.Context(), etcd.Options{DataDir: dir, Quota: 64 << 20, Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard)})
	require.NoError(t, err)
	_, err = c.Put(t.Context(), keys.Cluster, store.ClusterValue())
	require.NoError(t, err)
	c.Close()
	from, size, err := etcd.OfflineBackup(t.Context(), dir, 64<<20, plugins.NewLog(io.Discard, "WARN"), func(why string) { t.Error(why) })
	require.NoError(t, err)
	require.NoError(t, SaveBackup(t.Context(), file, false, from, size, io.Discard))
	require.NoError(t, from.Close())

	to := filepath.Join(t.TempDir(), "data")
	left := etcdtest.KilledRestore(t, to)
	lock, err := etcd.LockDir(to)
	require.NoError(t, err)
	require.ErrorContains(t, Restore(t.Context(), file, to, io.Discard, io.Discard, nil), "another mepserver uses")
	require.DirExists(t, left, "it may be of the one that holds the lock")
	require.NoError(t, lock.Close())
	var out strings.Builder
	require.NoError(t, Restore(t.Context(), file, to, io.Discard, &out, func(why string) { t.Error(why) }))
	require.Contains(t, out.String(), "restored "+to)
	require.NoDirExists(t, left)
	require.DirExists(t, etcd.Dir(to))
}
