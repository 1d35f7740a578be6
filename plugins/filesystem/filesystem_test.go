package filesystem

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// The kernel's own memory file system is there on every Linux, and an NFS only here and there.
func TestAFileSystemIsKnownByItsKind(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("on Linux only")
	}
	i, err := Of(t.TempDir())
	require.NoError(t, err)
	require.Positive(t, i.Free)
	_, err = Of(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	if _, err := os.Stat("/dev/shm"); err != nil {
		t.Skip("no /dev/shm")
	}
	i, err = Of("/dev/shm")
	require.NoError(t, err)
	require.Equal(t, "tmpfs", i.Kind)
	require.False(t, i.Remote)
	require.True(t, known[0x6969].Remote)
}
