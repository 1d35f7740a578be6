package servicecenter

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins"
)

// leftBehind is what a restore to the data directory leaves that was killed.
func leftBehind(t *testing.T, dataDir string) string {
	t.Helper()
	left := filepath.Join(dataDir, ".etcd.restore-123")
	require.NoError(t, os.MkdirAll(filepath.Join(left, "member", "snap"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(left, "member", "snap", "db"), []byte("half"), 0o600))
	return left
}

// A restore that was killed left a directory that kept the next one from beginning.
func TestARestoreThatWasKilledIsMadeAgain(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	c, _ := opened(t, dir)
	_, err := c.client.Put(t.Context(), clusterKey, clusterValue())
	require.NoError(t, err)
	c.closeStore()
	from, size, err := OfflineBackup(t.Context(), dir, 64<<20, plugins.NewLog(io.Discard, "WARN"), func(why string) { t.Error(why) })
	require.NoError(t, err)
	require.NoError(t, SaveBackup(t.Context(), file, false, from, size, io.Discard))
	require.NoError(t, from.Close())

	to := filepath.Join(t.TempDir(), "data")
	left := leftBehind(t, to)
	lock, err := lockDir(to)
	require.NoError(t, err)
	require.ErrorContains(t, Restore(t.Context(), file, to, io.Discard, io.Discard, nil), "another mepserver uses")
	require.DirExists(t, left, "it may be of the one that holds the lock")
	require.NoError(t, lock.Close())
	var out strings.Builder
	require.NoError(t, Restore(t.Context(), file, to, io.Discard, &out, func(why string) { t.Error(why) }))
	require.Contains(t, out.String(), "restored "+to)
	require.NoDirExists(t, left)
	require.DirExists(t, etcdDir(to))
}

// What etcd cannot write while it makes a store is one line, also on a goroutine of its
// own, and leaves nothing.
func TestTheLastWordsOfARestoreAreHeard(t *testing.T) {
	dir := t.TempDir()
	left := leftBehind(t, dir)
	var told string
	end := make(chan struct{})
	go func() {
		defer close(end)
		restoreLog(etcdDir(dir), func(why string) { told = why }).Fatal("failed to commit tx", zapError(syscall.ENOSPC))
		t.Error("etcd went on")
	}()
	<-end
	require.Contains(t, told, "in "+dir+": failed to commit tx: no space left on device; make space")
	require.NoDirExists(t, left)
}
