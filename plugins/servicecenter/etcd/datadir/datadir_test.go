package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
)

// open starts etcd on dir as the adapter does.
func open(t testing.TB, dir, name string, members ...string) (*embed.Etcd, *clientv3.Client) {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = name, dir
	cfg.ListenClientUrls, cfg.ListenPeerUrls = nil, nil
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:1"}}
	cfg.AdvertisePeerUrls = cfg.AdvertiseClientUrls
	cfg.InitialCluster = strings.Join(append([]string{name + "=http://127.0.0.1:1"}, members...), ",")
	cfg.TickMs, cfg.ElectionMs, cfg.SnapshotCount, cfg.SnapshotCatchUpEntries = 20, 200, 100, 5
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	e, err := embed.StartEtcd(cfg)
	require.NoError(t, err)
	<-e.Server.ReadyNotify()
	return e, v3client.New(e.Server)
}

// written is a store with snapshots, a deep database and values larger than a page.
var written = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "datadir-")
	if err != nil {
		panic(err)
	}
	return dir
})

var once sync.Once

func store(t testing.TB) string {
	t.Helper()
	dir := written()
	once.Do(func() {
		e, c := open(t, dir, "mep")
		for i := range 450 {
			_, err := c.Put(t.Context(), fmt.Sprintf("/k/%d", i%300), strings.Repeat(fmt.Sprint(i), 100+i%7*3000))
			require.NoError(t, err)
		}
		_, err := c.Compact(t.Context(), 200, clientv3.WithCompactPhysical())
		require.NoError(t, err)
		_ = c.Close()
		e.Close()
		shrink(t, dir)
	})
	return dir
}

// shrink cuts off what etcd allocated in advance, of which copies take long.
func shrink(t testing.TB, dir string) {
	t.Helper()
	w := one(t, dir, "wal/*.wal")
	b, err := os.ReadFile(w)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(w, int64(len(strings.TrimRight(string(b), "\x00"))+64)))
	d, err := openDB(one(t, dir, "snap/db"))
	require.NoError(t, err)
	d.close()
	require.NoError(t, os.Truncate(d.path, int64(d.pages*d.pageSize)))
}

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(written())
	os.Exit(code)
}

func copyOf(t testing.TB, dir string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "etcd")
	require.NoError(t, os.CopyFS(out, os.DirFS(dir)))
	return out
}

// one is the only file, or the last one, that matches.
func one(t testing.TB, dir, pattern string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "member", pattern))
	require.NoError(t, err)
	require.NotEmpty(t, all, pattern)
	return all[len(all)-1]
}

func overwrite(t testing.TB, file string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(b, at)
	require.NoError(t, errors.Join(err, f.Close()))
}

func TestASoundStoreIsSound(t *testing.T) {
	r, err := Check(store(t))
	require.NoError(t, err)
	require.False(t, r.Empty)
	require.Equal(t, r.LastEntry, r.Applied, "it was stopped in order")
	require.Positive(t, r.InUse)
	require.LessOrEqual(t, r.InUse, r.Size)
	require.Equal(t, self.Member(), r.Member)
	young := t.TempDir() // killed before the log was made
	require.NoError(t, os.MkdirAll(filepath.Join(young, "member", "snap"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(young, "member", "snap", "db"), nil, 0o600))
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none"), young} {
		r, err = Check(dir)
		require.NoError(t, err)
		require.True(t, r.Empty)
	}
}

// Whatever a crash leaves is sound, and etcd goes on from it.
func TestWhatACrashLeavesIsSound(t *testing.T) {
	dir := copyOf(t, store(t))
	e, c := open(t, dir, "mep")
	for round := range 5 {
		for i := range 60 {
			_, err := c.Put(t.Context(), fmt.Sprintf("/w/%d/%d", round%3, i), strings.Repeat("x", i%5*1000))
			require.NoError(t, err)
		}
		crashed := filepath.Join(t.TempDir(), "etcd")
		for _, part := range []string{"snap", "wal"} {
			require.NoError(t, os.MkdirAll(filepath.Join(crashed, "member", part), 0o700))
		}
		copyAsCrashed(t, e, dir, crashed, func() {
			for i := range 20 {
				_, err := c.Put(t.Context(), fmt.Sprintf("/late/%d", i), "x")
				require.NoError(t, err)
			}
		})
		_, err := Check(crashed)
		require.NoError(t, err)
	}
	_ = c.Close()
	e.Close()
	// a last record that was cut off in the middle
	last := one(t, dir, "wal/*.wal")
	r, err := Check(dir)
	require.NoError(t, err)
	f, err := os.ReadFile(last)
	require.NoError(t, err)
	end := len(strings.TrimRight(string(f), "\x00"))
	require.NoError(t, os.Truncate(last, int64(end)+3))
	overwrite(t, last, int64(end)+1, []byte{9, 9})
	again, err := Check(dir)
	require.NoError(t, err)
	require.Equal(t, r.LastEntry, again.LastEntry)
}

// copyAsCrashed copies a store as kill -9 leaves it: the snapshots are older than the
// database, which lacks what the log got late.
func copyAsCrashed(t *testing.T, e *embed.Etcd, from, to string, late func()) {
	t.Helper()
	files := func(pattern string) {
		all, err := filepath.Glob(filepath.Join(from, "member", pattern))
		require.NoError(t, err)
		for _, name := range all {
			b, err := os.ReadFile(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // purged
			}
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(to, "member", filepath.Base(filepath.Dir(name)), filepath.Base(name)), b, 0o600))
		}
	}
	files("snap/*.snap")
	s := e.Server.Backend().Snapshot()
	f, err := os.Create(filepath.Join(to, "member", "snap", "db"))
	require.NoError(t, err)
	_, err = s.WriteTo(f)
	require.NoError(t, errors.Join(err, s.Close(), f.Close()))
	late()
	files("wal/*.wal")
}

// fifo puts a FIFO in the place of what is there: to open it waits for a writer.
func fifo(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(path))
	require.NoError(t, syscall.Mkfifo(path, 0o600))
}

func TestEveryDamageIsNamedInOneLine(t *testing.T) {
	garbage := []byte(strings.Repeat("\xde\xad\xbe\xef", 16))
	for name, c := range map[string]struct {
		harm       func(t *testing.T, dir string)
		file, what string
	}{
		"the log is removed": {func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(filepath.Join(dir, "member", "wal"))) },
			"wal", "it holds no log, although the database has been written to"},
		"the log's directory is emptied": {func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "member", "wal")))
			require.NoError(t, os.Mkdir(filepath.Join(dir, "member", "wal"), 0o700))
		}, "wal", "it holds no log"},
		"the log's file is emptied": {func(t *testing.T, dir string) { require.NoError(t, os.Truncate(one(t, dir, "wal/*.wal"), 0)) },
			".wal", "it is empty"},
		"the log is zeroes": {func(t *testing.T, dir string) {
			overwrite(t, one(t, dir, "wal/*.wal"), 0, make([]byte, 1<<20))
		}, ".wal", "it is empty"},
		"the log is cut off": {func(t *testing.T, dir string) { require.NoError(t, os.Truncate(one(t, dir, "wal/*.wal"), 5000)) },
			".wal", "it ends at entry"},
		"garbage in the middle of the log": {func(t *testing.T, dir string) { overwrite(t, one(t, dir, "wal/*.wal"), 20_000, garbage) },
			".wal", ""},
		"one byte in the middle of the log": {func(t *testing.T, dir string) {
			overwrite(t, one(t, dir, "wal/*.wal"), 30_000, []byte{0xff})
		}, ".wal", "does not match its checksum"},
		"a sector of the log is zeroes": {func(t *testing.T, dir string) {
			overwrite(t, one(t, dir, "wal/*.wal"), 20_480, make([]byte, 1024))
		}, ".wal", ""},
		"the log is a directory": {func(t *testing.T, dir string) {
			w := one(t, dir, "wal/*.wal")
			require.NoError(t, os.Remove(w))
			require.NoError(t, os.Mkdir(w, 0o700))
		}, ".wal", "it is a directory"},
		"the log is a FIFO": {func(t *testing.T, dir string) { fifo(t, one(t, dir, "wal/*.wal")) }, ".wal", "it is neither a file nor a directory"},
		"the log's directory is a FIFO": {func(t *testing.T, dir string) {
			fifo(t, filepath.Join(dir, "member", "wal"))
		}, "wal", "it is neither a file nor a directory"},
		"the database is a FIFO": {func(t *testing.T, dir string) { fifo(t, one(t, dir, "snap/db")) }, "db", "it is neither a file nor a directory"},
		"the database leads to a device": {func(t *testing.T, dir string) {
			db := one(t, dir, "snap/db")
			require.NoError(t, os.Remove(db))
			require.NoError(t, os.Symlink("/dev/zero", db))
		}, "db", "it is neither a file nor a directory"},
		"the database is missing": {func(t *testing.T, dir string) { require.NoError(t, os.Remove(one(t, dir, "snap/db"))) },
			"db", "it is missing"},
		"all of it but the snapshots": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(one(t, dir, "snap/db")))
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "member", "wal")))
		}, "db", "it is missing, and so is the log"},
		"the database is empty": {func(t *testing.T, dir string) { require.NoError(t, os.Truncate(one(t, dir, "snap/db"), 0)) },
			"db", "it is empty"},
		"the database is cut off": {func(t *testing.T, dir string) { require.NoError(t, os.Truncate(one(t, dir, "snap/db"), 100_000)) },
			"db", "it is cut off"},
		"its head alone is left": {func(t *testing.T, dir string) { require.NoError(t, os.Truncate(one(t, dir, "snap/db"), 4096)) },
			"db", ""},
		"its head is overwritten": {func(t *testing.T, dir string) { overwrite(t, one(t, dir, "snap/db"), 0, make([]byte, 8192)) },
			"db", "neither of its first two pages"},
		"the database is something else": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(one(t, dir, "snap/db"), []byte(strings.Repeat("not a database\n", 10_000)), 0o600))
		}, "db", "neither of its first two pages"},
		"the database is a directory": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(one(t, dir, "snap/db")))
			require.NoError(t, os.Mkdir(filepath.Join(dir, "member", "snap", "db"), 0o700))
		}, "db", "it is a directory"},
		"the snapshots are missing": {func(t *testing.T, dir string) {
			all, err := filepath.Glob(filepath.Join(dir, "member", "snap", "*.snap"))
			require.NoError(t, err)
			for _, s := range all {
				require.NoError(t, os.Remove(s))
			}
			old := one(t, dir, "wal/*.wal") // as after a long life: what went before was purged
			require.NoError(t, os.Rename(old, filepath.Join(filepath.Dir(old), "0000000000000001-0000000000000010.wal")))
		}, "snap", "is missing"},
		"a segment of the log is missing": {func(t *testing.T, dir string) {
			old := one(t, dir, "wal/*.wal")
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(old), "0000000000000002-0000000000000900.wal"), []byte("x"), 0o600))
		}, ".wal", "the segment of the log before it is missing"},
		"a database of before": {func(t *testing.T, dir string) { older(t, dir) }, "db", "it is older than the log"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyOf(t, store(t))
			c.harm(t, dir)
			_, err := Check(dir)
			var d *Damage
			require.ErrorAs(t, err, &d)
			require.True(t, strings.HasSuffix(d.File, c.file), "%s", err)
			require.Contains(t, d.What, c.what)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

// older puts the database of a younger store of the same kind under the log.
func older(t *testing.T, dir string) {
	t.Helper()
	young := t.TempDir()
	e, c := open(t, young, "mep")
	_, err := c.Put(t.Context(), "a", "b")
	require.NoError(t, err)
	_ = c.Close()
	e.Close()
	b, err := os.ReadFile(one(t, young, "snap/db"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(one(t, dir, "snap/db"), b, 0o600))
}

// pagesOf reads a database, and which of its pages are in use.
func pagesOf(t *testing.T, file string) (whole []byte, d *db) {
	t.Helper()
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	d, err = openDB(file)
	require.NoError(t, err)
	_, err = d.state()
	require.NoError(t, err)
	d.close()
	return whole, d
}

// Each page of the tree, broken in several ways, is found before bbolt would panic.
func TestNoBrokenPageOfTheDatabaseIsMissed(t *testing.T) {
	dir := copyOf(t, store(t))
	file := one(t, dir, "snap/db")
	whole, d := pagesOf(t, file)
	tried := 0
	for id := uint64(2); id < d.pages; id++ {
		at := id * d.pageSize
		if id%3 != 0 && len(whole) > 1<<20 || d.seen[id/64]&(1<<(id%64)) == 0 || order.Uint64(whole[at:]) != id {
			continue // free, or the middle of a value
		}
		for what, harm := range map[string]func(b []byte){
			"zeroes":     func(b []byte) { clear(b) },
			"its kind":   func(b []byte) { order.PutUint16(b[8:], 0x40) },
			"its number": func(b []byte) { order.PutUint64(b, id+1) },
			"its length": func(b []byte) { order.PutUint32(b[12:], 1<<30) },
			"its count":  func(b []byte) { order.PutUint16(b[10:], 0xffff) },
			"a position": func(b []byte) { order.PutUint32(b[pageHeader+4:], 1<<31); order.PutUint32(b[pageHeader:], 1<<31) },
		} {
			b := make([]byte, d.pageSize)
			copy(b, whole[at:])
			if order.Uint16(b[10:]) == 0 && (what == "a position") {
				continue // an empty bucket
			}
			harm(b)
			overwrite(t, file, int64(at), b)
			_, err := Check(dir)
			require.ErrorAs(t, err, new(*Damage), "page %d: %s", id, what)
			tried++
		}
		overwrite(t, file, int64(at), whole[at:at+d.pageSize])
	}
	require.Greater(t, tried, 100)
	_, err := Check(dir)
	require.NoError(t, err, "and nothing else was broken")
}

// A value that reaches into the page behind it would be overwritten with that, or free
// it; bbolt does not start on such a file.
func TestAPageThatIsUsedTwiceIsFound(t *testing.T) {
	dir := copyOf(t, store(t))
	file := one(t, dir, "snap/db")
	whole, d := pagesOf(t, file)
	used := func(id uint64) bool { return id < d.pages && d.seen[id/64]&(1<<(id%64)) != 0 }
	tried := 0
	for id := uint64(2); id < d.pages && tried < 20; id++ {
		at := id * d.pageSize
		over := uint64(order.Uint32(whole[at+12:]))
		if !used(id) || order.Uint64(whole[at:]) != id || !used(id+over+1) {
			continue
		}
		longer := order.AppendUint32(nil, uint32(over)+1)
		overwrite(t, file, int64(at)+12, longer)
		_, err := Check(dir)
		require.ErrorContains(t, err, "is used twice", "page %d", id)
		overwrite(t, file, int64(at)+12, whole[at+12:at+16])
		tried++
	}
	require.Positive(t, tried)
}

func TestAMemberOfAClusterIsRefused(t *testing.T) {
	dir := copyOf(t, store(t))
	e, c := open(t, dir, "mep")
	_, err := c.MemberAddAsLearner(t.Context(), []string{"http://127.0.0.1:2"})
	require.NoError(t, err)
	_ = c.Close()
	e.Close()
	_, err = Check(dir)
	require.ErrorIs(t, err, ErrForeign)
	require.ErrorContains(t, err, "it belongs to an etcd cluster of 2 members")
}

func TestTheLogOfAnotherStoreIsNoticed(t *testing.T) {
	dir, other := copyOf(t, store(t)), t.TempDir()
	for range 3 { // every start is an election, and raises the term
		e, c := open(t, other, "mep")
		_ = c.Close()
		e.Close()
	}
	e, c := open(t, other, "mep")
	for i := range 600 {
		_, err := c.Put(t.Context(), fmt.Sprint(i), "x")
		require.NoError(t, err)
	}
	_ = c.Close()
	e.Close()
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "member", "wal")))
	require.NoError(t, os.CopyFS(filepath.Join(dir, "member", "wal"), os.DirFS(filepath.Join(other, "member", "wal"))))
	_, err := Check(dir)
	var d *Damage
	require.ErrorAs(t, err, &d)
	require.Contains(t, d.What, "it is not the log of this database")
}
