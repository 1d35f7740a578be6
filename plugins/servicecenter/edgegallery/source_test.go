package edgegallery

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
)

// written is a data directory in which an etcd has kept one service, and the URL at which it
// still runs.
func written(t *testing.T) (dir, endpoint string, etcdMember *etcdtest.Member) {
	t.Helper()
	dir = t.TempDir()
	m, endpoint := etcdtest.Start(t, func(c *embed.Config) { c.Dir = dir })
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	one := instanceKV(t, nil)
	_, err = c.Put(t.Context(), string(one.Key), string(one.Value))
	require.NoError(t, err)
	return dir, endpoint, m
}

func source(t *testing.T, from string) *Source {
	t.Helper()
	return &Source{From: from, Temp: t.TempDir(), Now: now, Window: window,
		Options: etcd.Options{Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard), Fail: func(why string) { t.Error(why) }}}
}

// files are all of a directory: what is in them, their times and modes.
func files(t *testing.T, dir string) map[string]any {
	t.Helper()
	out := map[string]any{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		var b []byte
		if info.Mode().IsRegular() {
			b, err = os.ReadFile(path)
			require.NoError(t, err)
		}
		out[path] = []any{sha256.Sum256(b), info.Mode(), info.ModTime()}
		return nil
	}))
	return out
}

func TestADataDirectoryIsReadAndLeftAsItIs(t *testing.T) {
	dir, endpoint, m := written(t)
	live := source(t, dir)
	c, err := live.Read(t.Context())
	require.NoError(t, err)
	require.Len(t, c.Services, 1)
	require.Contains(t, c.Report.Notes[0], "was running", "what was written since is not there")

	c, err = source(t, endpoint).Read(t.Context())
	require.NoError(t, err)
	require.Len(t, c.Services, 1)
	require.Equal(t, "the etcd of EdgeGallery's mepserver", c.Report.Source, "a URL may hold a password")

	m.Close()
	before := files(t, dir)
	for _, from := range []string{dir, filepath.Join(dir, "member"), dir + "/member/"} {
		s := source(t, from)
		c, err = s.Read(t.Context())
		require.NoError(t, err)
		require.Len(t, c.Services, 1)
		require.Empty(t, c.Report.Notes)
		left, err := os.ReadDir(s.Temp)
		require.NoError(t, err)
		require.Empty(t, left, "the copy is gone")
	}
	require.Equal(t, before, files(t, dir))
	require.True(t, WrittenSince(dir, time.Now().Add(-time.Hour)))
	require.False(t, WrittenSince(dir, time.Now().Add(time.Hour)))
}

func TestASourceThatCannotBeReadIsOneLine(t *testing.T) {
	none := t.TempDir()
	require.ErrorContains(t, source(t, none).Check(), "there is no store of EdgeGallery's in "+none)
	require.ErrorIs(t, source(t, none).Check(), ErrNothing)
	file := filepath.Join(none, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	err := source(t, file).Check() // as if this user might not look into it
	require.ErrorContains(t, err, "cannot see EdgeGallery's store: ")
	require.NotErrorIs(t, err, ErrNothing, "what cannot be seen may be there")
	damaged := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(damaged, "member", "snap"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(damaged, "member", "wal"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(damaged, "member", "snap", "db"), []byte("no database"), 0o600))
	_, err = source(t, damaged).Read(t.Context())
	require.ErrorContains(t, err, "cannot read the copy of EdgeGallery's store in "+damaged)
	require.NotContains(t, err.Error(), "\n")
}

func TestASourceThatThisUserMayNotReadSaysWhoseItIs(t *testing.T) {
	if os.Geteuid() == 0 {
		denied := &os.PathError{Op: "open", Path: "/data/member/snap/db", Err: syscall.EACCES}
		require.ErrorContains(t, etcd.Whose(t.TempDir(), denied), "(chown -R 0:0); this user is 0:0, and ", "root may read everything")
		return
	}
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "member", "snap"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "member", "snap", "db"), nil, 0))
	_, err := source(t, dir).Read(t.Context())
	require.ErrorContains(t, err, fmt.Sprintf("give this user all that is in %s (chown -R %d:%d); this user is ", filepath.Join(dir, "member"), os.Geteuid(), os.Getegid()))
	require.ErrorContains(t, err, "belongs to ")
}

func TestACopyThatWasWrittenMeanwhileIsNoCopy(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	content := make([]byte, 3*block+17)
	content[2*block] = 1
	require.NoError(t, os.WriteFile(a, content, 0o600))
	require.NoError(t, copyFile(a, b))
	require.NoError(t, same(a, b))
	got, err := os.ReadFile(b)
	require.NoError(t, err)
	require.Equal(t, content, got)
	for _, changed := range [][]byte{append([]byte{1}, content[1:]...), content[:len(content)-1], append(content, 1), nil} {
		require.NoError(t, os.WriteFile(a, changed, 0o600))
		require.ErrorIs(t, same(a, b), errWritten)
	}
}

func TestWhatAKilledImportLeftIsRemoved(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, tempPrefix+"1", "etcd"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "etcd"), 0o700))
	require.NoError(t, RemoveLeft(dir))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, "etcd", left[0].Name())
}
