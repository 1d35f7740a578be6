package datadir

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

var (
	self     = Identity{Name: "mep", URL: "http://127.0.0.1:1", Token: "etcd-cluster"}
	restored = Restored{Key: "/restored", Value: func(int64) []byte { return []byte("now") }, Log: zap.NewNop()}
)

func nobody(*mvccpb.KeyValue) {}
func silent(int64)            {}
func anything() error         { return nil }

// backupOf is a backup of a running store, and what was written after it.
func backupOf(t *testing.T) (file string, revision int64, lease clientv3.LeaseID) {
	t.Helper()
	e, c := open(t, copyOf(t, store(t)), "mep")
	defer e.Close()
	defer func() { _ = c.Close() }()
	l, err := c.Grant(t.Context(), 60)
	require.NoError(t, err)
	put, err := c.Put(t.Context(), "/leased", "x", clientv3.WithLease(l.ID))
	require.NoError(t, err)
	s := e.Server.Backend().Snapshot()
	var b bytes.Buffer
	require.NoError(t, WriteBackup(&b, s.WriteTo))
	require.EqualValues(t, b.Len(), BackupSize(s.Size()))
	require.NoError(t, s.Close())
	_, err = c.Put(t.Context(), "/late", "x")
	require.NoError(t, err)
	file = filepath.Join(t.TempDir(), "backup")
	require.NoError(t, SaveBackup(t.Context(), file, false, &b, silent))
	return file, put.Header.Revision, l.ID
}

func TestARestoredStoreHasWhatTheBackupHadAtLaterRevisions(t *testing.T) {
	file, revision, lease := backupOf(t)
	dir := filepath.Join(t.TempDir(), "etcd")
	keys := 0
	h, err := Restore(t.Context(), file, dir, self, restored, silent, func(*mvccpb.KeyValue) { keys++ }, anything)
	require.NoError(t, err)
	require.Equal(t, revision, h.Revision)
	require.Equal(t, 301, keys)
	_, err = Restore(t.Context(), file, dir, self, restored, silent, nobody, anything)
	require.ErrorContains(t, err, "exists", "a store is never replaced")
	e, c := open(t, dir, "mep")
	defer e.Close()
	defer func() { _ = c.Close() }()
	got, err := c.Get(t.Context(), "/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	require.NoError(t, err)
	require.EqualValues(t, 302, got.Count, "and the note of the restore; nothing of later")
	require.EqualValues(t, revision+Bump, got.Header.Revision)
	ttl, err := c.TimeToLive(t.Context(), lease)
	require.NoError(t, err)
	require.GreaterOrEqual(t, ttl.TTL, int64(58), "all that live get their full window")
	w := <-c.Watch(t.Context(), "/", clientv3.WithPrefix(), clientv3.WithRev(revision))
	require.Error(t, w.Err(), "who watched the old history must list anew")
	put, err := c.Put(t.Context(), "/new", "x")
	require.NoError(t, err)
	require.EqualValues(t, revision+Bump+1, put.Header.Revision)
	members, err := c.MemberList(t.Context())
	require.NoError(t, err)
	require.Len(t, members.Members, 1)
}

// What was written behind the first restore of a backup is gone with the second one, and somebody may
// have seen its revisions.
func TestTwoRestoresOfOneBackupGiveNoRevisionTwice(t *testing.T) {
	file, revision, _ := backupOf(t)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var newest []int64
	for i := range 2 {
		r, dir := restored, filepath.Join(t.TempDir(), "etcd")
		r.At = at.Add(time.Duration(i) * time.Minute)
		_, err := Restore(t.Context(), file, dir, self, r, silent, nobody, anything)
		require.NoError(t, err)
		e, c := open(t, dir, "mep")
		got, err := c.Get(t.Context(), "x")
		require.NoError(t, err)
		require.Equal(t, r.Revision(revision), got.Header.Revision)
		newest = append(newest, got.Header.Revision)
		_ = c.Close()
		e.Close()
	}
	require.Greater(t, newest[1], newest[0]+1_000_000, "a minute is many writes")
	require.Less(t, newest[1], int64(1)<<53, "a number of JavaScript")
}

func TestABackupThatIsNotWholeIsRefused(t *testing.T) {
	file, _, _ := backupOf(t)
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	for name, b := range map[string][]byte{
		"cut off":         whole[:len(whole)-1000],
		"cut off at 512":  whole[:len(whole)/2/dbUnit*dbUnit+sumSize],
		"without its sum": whole[:len(whole)-sumSize],
		"one bit":         append(append(bytes.Clone(whole[:70_000]), whole[70_000]^1), whole[70_001:]...),
		"its sum":         append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1),
		"empty":           {},
		"something else":  bytes.Repeat([]byte("no"), 5000),
	} {
		bad := filepath.Join(t.TempDir(), "bad")
		require.NoError(t, os.WriteFile(bad, b, 0o600))
		dir := filepath.Join(t.TempDir(), "etcd")
		_, err := Restore(t.Context(), bad, dir, self, restored, silent, nobody, anything)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "\n")
		left, err := os.ReadDir(filepath.Dir(dir))
		require.NoError(t, err)
		require.Empty(t, left, "%s: nothing is left behind", name)
		saved := filepath.Join(t.TempDir(), "saved")
		require.Error(t, SaveBackup(t.Context(), saved, false, bytes.NewReader(b), silent), name)
		require.NoFileExists(t, saved)
	}
	dir := filepath.Join(t.TempDir(), "etcd")
	refused := errors.New("not this one")
	_, err = Restore(t.Context(), file, dir, self, restored, silent, nobody, func() error { return refused })
	require.ErrorIs(t, err, refused)
	require.NoDirExists(t, dir)
	_, err = Restore(t.Context(), file+"x", dir, self, restored, silent, nobody, anything)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// hears is told what etcd says with its last breath.
type hears struct{ told chan string }

func (h hears) OnWrite(e *zapcore.CheckedEntry, _ []zapcore.Field) {
	h.told <- e.Message
	runtime.Goexit()
}

func TestARestoreThatEtcdPanicsAtIsHeard(t *testing.T) {
	file, _, _ := backupOf(t)
	dir := filepath.Join(t.TempDir(), "etcd")
	h := hears{make(chan string, 1)}
	loud := restored
	loud.Log = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.AddSync(io.Discard), zap.ErrorLevel), zap.WithPanicHook(h), zap.WithFatalHook(h))
	end := make(chan struct{})
	go func() {
		defer close(end)
		_, err := Restore(t.Context(), file, dir, self, loud, silent, nobody, func() error {
			all, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".etcd.restore-*", "member", "snap", "db"))
			if len(all) == 1 { // bbolt is to open something else
				err = errors.Join(os.Remove(all[0]), os.Mkdir(all[0], 0o700))
			}
			return err
		})
		t.Errorf("it went on: %v", err)
	}()
	<-end
	require.Equal(t, "failed to open database", <-h.told)
	left, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestABackupReplacesNoFileUnlessItIsTold(t *testing.T) {
	file, _, _ := backupOf(t)
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	other := filepath.Join(t.TempDir(), "precious")
	require.NoError(t, os.WriteFile(other, []byte("precious"), 0o600))
	require.ErrorIs(t, SaveBackup(t.Context(), other, false, bytes.NewReader(whole), silent), fs.ErrExist)
	b, err := os.ReadFile(other)
	require.NoError(t, err)
	require.Equal(t, "precious", string(b))
	require.NoError(t, SaveBackup(t.Context(), other, true, bytes.NewReader(whole), silent))
	b, err = os.ReadFile(other)
	require.NoError(t, err)
	require.Equal(t, whole, b)
	all, err := os.ReadDir(filepath.Dir(other))
	require.NoError(t, err)
	require.Len(t, all, 1, "and leaves nothing else")
	broken := io.MultiReader(bytes.NewReader(whole[:5000]), brokenPipe{})
	require.ErrorIs(t, SaveBackup(t.Context(), other, true, broken, silent), io.ErrClosedPipe)
	b, err = os.ReadFile(other)
	require.NoError(t, err)
	require.Equal(t, whole, b, "what was there stays until there is something better")
}

// A volume that knows no links takes backups all the same, and none replaces a file.
func TestABackupIsSavedWhereThereAreNoLinks(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.EOPNOTSUPP, syscall.ENOSYS} {
		dir := t.TempDir()
		temp, file := filepath.Join(dir, "temp"), filepath.Join(dir, "file")
		none := func(from, to string) error { return &os.LinkError{Op: "link", Old: from, New: to, Err: errno} }
		require.NoError(t, os.WriteFile(temp, []byte("one"), 0o600))
		require.NoError(t, give(temp, file, false, none))
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, "one", string(b))
		require.NoFileExists(t, temp)
		require.NoError(t, os.WriteFile(temp, []byte("two"), 0o600))
		require.ErrorIs(t, give(temp, file, false, none), fs.ErrExist)
		b, err = os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, "one", string(b))
		require.ErrorIs(t, give(temp+"x", filepath.Join(dir, "other"), false, none), fs.ErrNotExist)
		require.NoFileExists(t, filepath.Join(dir, "other"), "nothing empty is left")
		full := func(string, string) error { return syscall.ENOSPC }
		require.ErrorIs(t, give(temp, filepath.Join(dir, "other"), false, full), syscall.ENOSPC)
	}
}

type brokenPipe struct{}

func (brokenPipe) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// With --force a backup replaced whatever had its name: the lock of a running server and
// its database, a device, a FIFO.
func TestABackupReplacesFilesOnlyAndNoneOfTheStore(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	require.NoError(t, os.MkdirAll(filepath.Join(data, "etcd"), 0o700))
	lock, db := filepath.Join(data, "LOCK"), filepath.Join(data, "etcd", "db")
	file, pipe, to := filepath.Join(dir, "old"), filepath.Join(dir, "fifo"), filepath.Join(dir, "to")
	for _, name := range []string{lock, db, file} {
		require.NoError(t, os.WriteFile(name, nil, 0o600))
	}
	require.NoError(t, os.Symlink(data, to))
	require.NoError(t, os.Symlink(file, filepath.Join(dir, "link")))
	fifo(t, pipe)
	for name, says := range map[string]string{
		lock: "lies in the data directory", db: "lies in the data directory", filepath.Join(to, "LOCK"): "lies in the data directory",
		filepath.Join(data, "etcd") + "/../LOCK": "lies in the data directory",
		pipe:                                     "is no file", "/dev/null": "is no file", filepath.Join(dir, "link"): "is no file",
		dir: "is a directory", dir + "/": "is a directory", filepath.Join(dir, "new") + "/": "is a directory", "": "is empty",
		filepath.Join(dir, "none", "new"): "no such file or directory",
	} {
		err := Target(name, true, data)
		require.ErrorContains(t, err, says, "%q", name)
		require.NotContains(t, err.Error(), "\n")
	}
	require.ErrorIs(t, Target(file, false, data), fs.ErrExist)
	require.NoError(t, Target(file, true, data))
	require.NoError(t, Target(filepath.Join(data, "new"), true, data))
	require.NoError(t, Target(filepath.Join(dir, "new"), false, filepath.Join(dir, "no-store")))
}

func TestABackupThatIsCutOffSaysWhy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "backup")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, SaveBackup(gone, file, false, bytes.NewReader(nil), silent), "stopped before it was complete")
	cut := io.MultiReader(strings.NewReader("x"), iotest.ErrReader(io.ErrUnexpectedEOF))
	require.ErrorContains(t, SaveBackup(t.Context(), file, false, cut, silent), "the server ended before the backup was complete")
	require.NoFileExists(t, file)
	_, err := Restore(t.Context(), "/dev/zero", filepath.Join(t.TempDir(), "etcd"), self, restored, silent, nobody, anything)
	require.ErrorContains(t, err, "/dev/zero is no file that could hold a backup")
}
