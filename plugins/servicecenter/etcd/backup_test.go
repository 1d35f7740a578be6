package etcd

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
)

// What etcd cannot write while it makes a store is one line, also on a goroutine of its
// own, and leaves nothing.
func TestTheLastWordsOfARestoreAreHeard(t *testing.T) {
	dir := t.TempDir()
	left := etcdtest.KilledRestore(t, dir)
	var told string
	end := make(chan struct{})
	go func() {
		defer close(end)
		restoreLog(Dir(dir), func(why string) { told = why }).Fatal("failed to commit tx", zapError(syscall.ENOSPC))
		t.Error("etcd went on")
	}()
	<-end
	require.Contains(t, told, "in "+dir+": failed to commit tx: no space left on device; make space")
	require.NoDirExists(t, left)
}
