package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

// command runs one of mepserver's commands to its end.
func command(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	code, p := proc.Command{Program: mep.Binary(), Args: args}.Run(t, time.Minute)
	return code, p.Stdout.String(), p.Stderr.String()
}

// A damaged store ends the start with one line that names the file, and nothing else.
func TestADamagedStoreIsNamedInOneLine(t *testing.T) {
	tier.Long(t, "test/e2e", "copies a store for each damage")
	t.Parallel()
	s := mep.Start(t)
	population(s, "kept", 50, -1)
	s.Kill() // as it is after kill -9: sound
	code, out, errs := command(t, "check", "--data-dir", s.DataDir)
	require.Zero(t, code, errs)
	require.Contains(t, out, "it is sound")
	s.Restart()
	population(s, "more", 50, -1)
	require.Zero(t, s.Terminate())
	wal := func(dir string) string {
		all, err := filepath.Glob(filepath.Join(dir, "etcd", "member", "wal", "*.wal"))
		require.NoError(t, err)
		return all[len(all)-1]
	}
	db := func(dir string) string { return filepath.Join(dir, "etcd", "member", "snap", "db") }
	overwrite := func(file string, at int64, b []byte) {
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteAt(b, at)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	garbage := bytes.Repeat([]byte{0xde, 0xad}, 100)
	for name, c := range map[string]struct {
		harm func(dir string)
		file string
	}{
		"the log is emptied":               {func(dir string) { require.NoError(t, os.Truncate(wal(dir), 0)) }, ".wal"},
		"the log is removed":               {func(dir string) { require.NoError(t, os.RemoveAll(filepath.Dir(wal(dir)))) }, "wal"},
		"the log is cut off":               {func(dir string) { require.NoError(t, os.Truncate(wal(dir), 3000)) }, ".wal"},
		"garbage in the log":               {func(dir string) { overwrite(wal(dir), 9000, garbage) }, ".wal"},
		"the database is cut off":          {func(dir string) { require.NoError(t, os.Truncate(db(dir), 20_000)) }, "db"},
		"the database is emptied":          {func(dir string) { require.NoError(t, os.Truncate(db(dir), 0)) }, "db"},
		"the database is removed":          {func(dir string) { require.NoError(t, os.Remove(db(dir))) }, "db"},
		"the database's head is garbage":   {func(dir string) { overwrite(db(dir), 0, bytes.Repeat(garbage, 60)) }, "db"},
		"the database's middle is garbage": {func(dir string) { overwrite(db(dir), 8192, bytes.Repeat(garbage, 400)) }, "db"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			require.NoError(t, os.CopyFS(dir, os.DirFS(s.DataDir)))
			c.harm(dir)
			for _, args := range [][]string{{"--listen", "127.0.0.1:0", "--data-dir", dir}, {"check", "--data-dir", dir}} {
				began := time.Now()
				code, out, errs := command(t, args...)
				require.Equal(t, 1, code)
				require.Empty(t, out)
				require.Equal(t, 1, strings.Count(errs, "\n"), errs)
				require.Contains(t, errs, c.file+" is damaged: ")
				require.Contains(t, errs, "restore a backup (mepserver restore --help")
				t.Logf("%s: %s", time.Since(began).Round(time.Millisecond), strings.TrimSpace(errs))
			}
		})
	}
}

// What was in a backup is there after a restore elsewhere: heartbeats go on, and what is
// told then was never told before.
func TestABackupIsRestoredElsewhere(t *testing.T) {
	tier.Long(t, "test/e2e", "starts a server three times")
	t.Parallel()
	s, c := mep.Start(t, mep.Fast...), consumer.Start(t)
	s.Subscribe("watcher", c.URL, "")
	kept, dying := s.Register("app-a", "kept", 2), s.Register("app-a", "dying", 2)
	stop := keepAlive(s, 500*time.Millisecond, []*mep.Service{kept, dying}) // commands may take as long as their window
	wait.Until(t, "both are told", func() bool { return len(c.Changes()) == 2 })
	file := filepath.Join(t.TempDir(), "backup")
	code, out, errs := command(t, "backup", file, "--data-dir", s.DataDir)
	require.Zero(t, code, errs)
	require.Contains(t, out, "wrote "+file)
	code, _, errs = command(t, "backup", file, "--data-dir", s.DataDir)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "--force replaces it")
	late := s.Register("app-a", "late", -1)
	wait.Until(t, "it is told", func() bool { return len(c.Changes()) == 3 })
	code, _, errs = command(t, "restore", file, "--data-dir", s.DataDir)
	require.Equal(t, 1, code, "of a running server")
	require.Contains(t, errs, "is not empty")
	stop()
	require.Zero(t, s.Terminate())
	require.NoFileExists(t, filepath.Join(s.DataDir, "admin.sock"))

	code, _, errs = command(t, "backup", file+".later", "--data-dir", s.DataDir)
	require.Zero(t, code, "of a stopped server: %s", errs)
	code, out, errs = command(t, "restore", file+".later", "--data-dir", filepath.Join(t.TempDir(), "later"))
	require.Zero(t, code, errs)
	require.Contains(t, out, "3 services, 1 subscriptions")

	before := len(c.Receipts())
	elsewhere := filepath.Join(t.TempDir(), "new")
	code, out, errs = command(t, "restore", file, "--data-dir", elsewhere)
	require.Zero(t, code, errs)
	require.Contains(t, out, "2 services, 1 subscriptions")
	s.DataDir = elsewhere
	s.Restart()
	require.Equal(t, "ACTIVE", kept.State())
	kept.Beat()
	s.Want(404, "GET", late.Location, "")
	stop = keepAlive(s, 500*time.Millisecond, []*mep.Service{kept})
	wait.Until(t, "the dead is found", func() bool { return dying.State() == "SUSPENDED" })
	wait.Until(t, "and told", func() bool { return strings.Contains(strings.Join(c.Changes(), "\n"), "dying STATE_CHANGED SUSPENDED") })
	s.Register("app-a", "later", -1)
	wait.Until(t, "what is new is told", func() bool { return strings.Contains(strings.Join(c.Changes(), "\n"), "later ADDED ACTIVE") })
	stop()
	require.Equal(t, "ACTIVE", kept.State())
	counted(s, 1, claimed)
	ids := map[string]string{}
	for i, r := range c.Receipts() {
		if i < before {
			ids[r.ID] = r.Body
		} else if old, twice := ids[r.ID]; twice {
			require.Equal(t, old, r.Body, "an id that was used is used for the same alone")
		}
	}
	require.Zero(t, s.Terminate())
	code, out, errs = command(t, "check", "--data-dir", elsewhere)
	require.Zero(t, code, errs)
	require.Contains(t, out, "services       3: 2 ACTIVE, 1 SUSPENDED")
}

// Where memory or files are limited, a backup of a stopped server and a restore end with
// one line that says what to do, and leave nothing half made.
func TestACommandThatTheSystemLimitsIsOneLine(t *testing.T) {
	t.Parallel()
	s := mep.Start(t)
	require.Zero(t, s.Terminate())
	dir := t.TempDir()
	file, to := filepath.Join(dir, "backup"), filepath.Join(dir, "data")
	limited := func(limit string, args ...string) (code int, said string) {
		code, p := proc.Command{Program: mep.Limited(t, limit), Args: args}.Run(t, time.Minute)
		return code, p.Both.String()
	}
	code, said := limited("ulimit -v 3500000", "backup", file, "--data-dir", s.DataDir)
	require.NotZero(t, code)
	require.Contains(t, said, "mepserver: cannot open the store in "+s.DataDir)
	require.Contains(t, said, "ulimit -v")
	require.Equal(t, 1, strings.Count(said, "\n"), said)
	code, _, errs := command(t, "backup", file, "--data-dir", s.DataDir)
	require.Zero(t, code, errs)
	code, said = limited("ulimit -f 30000", "restore", file, "--data-dir", to)
	require.NotZero(t, code)
	require.Contains(t, said, "file too large")
	require.Equal(t, 1, strings.Count(said, "\n"), said)
	left, err := os.ReadDir(to)
	require.NoError(t, err)
	require.Len(t, left, 1, "LOCK")
	code, _, errs = command(t, "restore", file, "--data-dir", to)
	require.Zero(t, code, errs)
}
