package etcd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/mec-liveness/mepserver/logs"
)

// What etcd says with its last breath is one line that says what to do, and what it said
// on the way there is not shown besides.
func TestAStoreThatCannotBeOpenedIsOneLine(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.ENOMEM: "ulimit -v", syscall.ENOSPC: "make space", syscall.EDQUOT: "make space", syscall.EROFS: "read-only",
		syscall.EACCES: "give this user", syscall.EMFILE: "ulimit -n", syscall.ENFILE: "ulimit -n", syscall.EFBIG: "ulimit -f",
		syscall.ENOTDIR: "a file is where a directory must be", syscall.EISDIR: "a directory is where a file must be", syscall.EIO: "the disk fails",
	} {
		var out strings.Builder
		var told []string
		l := &startLog{zapSink: zapSink{logs.NewRepeats(logs.New(&out, "INFO"))}, dir: "/d", fail: func(why string) { told = append(told, why) }}
		end := make(chan struct{})
		go func() {
			defer close(end)
			zap := l.logger()
			zap.Error("failed on the way", zapError(errno))
			zap.Panic("failed to create WAL", zapError(fmt.Errorf("a\nb: %w", &fs.PathError{Op: "open", Path: "/d/x", Err: errno})))
			t.Error("etcd went on")
		}()
		<-end
		require.Len(t, told, 1)
		require.Contains(t, told[0], "cannot open the store in /d: failed to create WAL: ab: open /d/x: ")
		require.Contains(t, told[0], want)
		require.NotContains(t, told[0], "\n")
		require.Empty(t, out.String())
	}
}

func TestWhatEtcdSaysWhileItOpensIsSaidOnceItIsOpen(t *testing.T) {
	var out strings.Builder
	var told string
	l := &startLog{zapSink: zapSink{logs.NewRepeats(logs.New(&out, "INFO"))}, dir: "/d", fail: func(why string) { told = why }}
	zap := l.logger().With()
	zap.Error("odd")
	require.Empty(t, out.String())
	l.open()
	require.Contains(t, out.String(), `"msg":"odd"`)
	zap.Error("odd too")
	require.Contains(t, out.String(), `"msg":"odd too"`)
	end := make(chan struct{})
	go func() { defer close(end); zap.Fatal("failed to commit tx", zapError(syscall.ENOSPC)) }()
	<-end
	require.Equal(t, "the store cannot go on in /d: failed to commit tx: no space left on device; make space on that disk; nothing that was acknowledged is lost", told)
}

func zapError(err error) zap.Field { return zap.Error(err) }

// A file where a directory must be, and a directory where a file must be, are said.
func TestADirectoryThatCannotBeUsedIsSaid(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := LockDir(file)
	require.ErrorContains(t, err, "cannot make the directory for the store in "+file)
	require.ErrorContains(t, err, "a file is where a directory must be")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "LOCK"), 0o700))
	_, err = LockDir(dir)
	require.ErrorContains(t, err, "a directory is where a file must be")
	require.ErrorIs(t, err, syscall.EISDIR)
	require.Equal(t, "cannot open the store in /d: as it is", storeFault("cannot open the store", "/d", errors.New("as it is")).Error())
}
