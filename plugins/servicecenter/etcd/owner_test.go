package etcd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins/filesystem"
)

// A volume that another image wrote belongs to the numbers of its user.
func TestADirectoryOfAnotherUserIsSaidWithBothUsers(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o750)) //nolint:gosec // as a volume has it
	fault := storeFault("cannot make the directory for the store", filepath.Join(dir, "a", "b"), &os.PathError{Op: "mkdir", Path: "x", Err: syscall.EACCES}).Error()
	require.Contains(t, fault, fmt.Sprintf("; this user is %d:%d, and %s belongs to %d:%d with mode 0750", os.Geteuid(), os.Getegid(), dir, os.Geteuid(), os.Getegid()))
	require.NotContains(t, fault, "\n")
	require.NotContains(t, storeFault("x", dir, syscall.EROFS).Error(), "this user is")
}

// EdgeGallery's chart has its volume on NFS if nobody says otherwise.
func TestANetworkFileSystemIsWarnedAbout(t *testing.T) {
	var out strings.Builder
	log := logs.New(&out, "INFO")
	warnOfNetwork(log, filesystem.Info{Kind: "tmpfs"}, "/d")
	require.Empty(t, out.String())
	warnOfNetwork(log, filesystem.Info{Kind: "NFS", Remote: true}, "/usr/mep/data/mepserver")
	require.Contains(t, out.String(), "the store is on a network file system")
	require.Contains(t, out.String(), "NFS")
}
