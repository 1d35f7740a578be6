package hosts

import (
	"errors"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

func some(name, address string) map[driver.Name][]driver.Record {
	return map[driver.Name][]driver.Record{{Name: name, Type: mp1.IPv4}: {{Address: netip.MustParseAddr(address), TTL: 60}}}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

func TestTheFileHoldsWhatIsToBeServed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	d := New(path)
	require.NoError(t, d.SetAll(t.Context(), nil))
	require.Equal(t, header, read(t, path))
	all := some("b.example", "192.0.2.1")
	all[driver.Name{Name: "b.example", Type: mp1.IPv6}] = []driver.Record{{Address: netip.MustParseAddr("2001:db8::1")}}
	all[driver.Name{Name: "a.example", Type: mp1.IPv4}] = []driver.Record{{Address: netip.MustParseAddr("192.0.2.2")}, {Address: netip.MustParseAddr("192.0.2.2")}}
	require.NoError(t, d.SetAll(t.Context(), all))
	require.Equal(t, header+"192.0.2.2\ta.example\n192.0.2.1\tb.example\n2001:db8::1\tb.example\n", read(t, path))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode().Perm(), "whoever serves it must be able to read it, whatever the umask is")

	require.NoError(t, d.SetAll(t.Context(), all))
	again, err := os.Stat(path)
	require.NoError(t, err)
	require.True(t, os.SameFile(info, again), "what is as it is to be is not written: readers would load it again each minute")
	require.NoError(t, os.WriteFile(path, []byte(header+"192.0.2.9\ta.example\n"), 0o600))
	require.NoError(t, d.SetAll(t.Context(), all))
	require.Contains(t, read(t, path), "192.0.2.2\ta.example\n", "what somebody changed is put back")
	require.NoError(t, os.Remove(path))
	require.NoError(t, d.SetAll(t.Context(), all))
	require.Contains(t, read(t, path), "192.0.2.2\ta.example\n", "and what he removed")
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

// /etc/hosts is what an operator names by mistake.
func TestAFileOfSomebodyElseIsNeverTouched(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "hosts")
	d := New(path)
	for _, content := range []string{"127.0.0.1 localhost\n", "# Written by mepserver", "\n" + header} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		require.ErrorContains(t, d.SetAll(t.Context(), some("a.example", "192.0.2.1")), "was not written by mepserver")
		require.Equal(t, content, read(t, path))
	}
	require.NoError(t, os.Truncate(path, 0))
	require.NoError(t, d.SetAll(t.Context(), some("a.example", "192.0.2.1")), "an empty one was made for us")

	target := filepath.Join(dir, "target")
	require.NoError(t, os.WriteFile(target, []byte(header), 0o600))
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Symlink(target, path))
	require.ErrorContains(t, d.SetAll(t.Context(), some("a.example", "192.0.2.1")), "no regular file")
	require.Equal(t, header, read(t, target))
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Mkdir(path, 0o700))
	require.ErrorContains(t, d.SetAll(t.Context(), nil), "no regular file")
}

func TestAFullDiskLeavesTheFileAsItWas(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "hosts")
	d := New(path)
	require.NoError(t, d.SetAll(t.Context(), some("a.example", "192.0.2.1")))
	before := read(t, path)
	d.write = func(f *os.File, content []byte) error {
		_, _ = f.Write(content[:len(content)/2])
		return &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
	}
	err := d.SetAll(t.Context(), some("b.example", "192.0.2.2"))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NotContains(t, err.Error(), ".mepserver:", "the reason names the file that is configured")
	require.Equal(t, before, read(t, path))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no half of a file stays behind on a full disk")
}

func TestWhatACrashLeftBehindIsReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "hosts")
	beside := filepath.Join(dir, ".hosts.mepserver")
	require.NoError(t, os.WriteFile(beside, []byte("half"), 0o600))
	require.NoError(t, New(path).SetAll(t.Context(), some("a.example", "192.0.2.1")))
	require.NoFileExists(t, beside)
	victim := filepath.Join(dir, "victim")
	require.NoError(t, os.WriteFile(victim, []byte("x"), 0o600))
	require.NoError(t, os.Symlink(victim, beside))
	require.NoError(t, New(path).SetAll(t.Context(), some("b.example", "192.0.2.1")))
	require.Equal(t, "x", read(t, victim), "a link in its place is not followed")
}

func TestAMissingFolderIsSaidAndNotMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	d := New(filepath.Join(dir, "hosts"))
	require.ErrorContains(t, d.SetAll(t.Context(), nil), "no such file or directory")
	require.NoDirExists(t, dir)
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, d.SetAll(t.Context(), nil))
}

// A name with a line break would be a line of its own: a name that nobody has a rule for.
func TestABadNameIsLeftOutOfTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	d := New(path)
	all := some("a.example", "192.0.2.1")
	bad := map[driver.Name][]driver.Record{}
	for _, name := range []string{"b\n192.0.2.66 bank.example", "b #", "", "b c"} {
		bad[driver.Name{Name: name, Type: mp1.IPv4}] = []driver.Record{{Address: netip.MustParseAddr("192.0.2.66")}}
	}
	bad[driver.Name{Name: "v6.example", Type: mp1.IPv4}] = []driver.Record{{Address: netip.MustParseAddr("fe80::1%x\n")}}
	maps.Copy(all, bad)
	for range 2 { // also when the file is as it is to be
		refused, is := errors.AsType[driver.Refusals](d.SetAll(t.Context(), all))
		require.True(t, is)
		require.Len(t, refused, len(bad))
		require.NotContains(t, refused, driver.Name{Name: "a.example", Type: mp1.IPv4})
		require.Equal(t, header+"192.0.2.1\ta.example\n", read(t, path))
	}
}
