// Package etcd runs stock etcd servers for the tests, as child processes: it builds
// them from their own modules, starts clusters of one or three members, and stops,
// pauses and restarts members by their process id. It must not know mepserver.
package etcd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// Line is a release line of etcd; its module is the folder of that name in build/.
type Line string

// The release lines.
const (
	Current  Line = "etcd"   // 3.6
	Previous Line = "etcd35" // 3.5
)

const buildTime = 6 * time.Minute

// Binary builds the server of a line once per content of its module, for all tests
// of the user, and returns its path. Where the module proxy cannot be reached and
// nothing is cached, the test is skipped with that reason.
func Binary(t testing.TB, line Line) string {
	t.Helper()
	_, self, _, _ := runtime.Caller(0)
	module := filepath.Join(filepath.Dir(self), "..", "..", "build", string(line))
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "mepserver-test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(dir, string(line)+"-"+fingerprint(t, module))
	lock, err := os.OpenFile(target+".lock", os.O_CREATE|os.O_RDWR, 0o600) // test binaries run side by side
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(target); err == nil {
		return target
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTime)
	defer cancel()
	out, err := command(ctx, module, "build", "-o", target+".new", ".")
	if err != nil {
		if why, missing := command(ctx, module, "mod", "download"); missing != nil {
			t.Skipf("etcd cannot be built here, its modules cannot be fetched: %v\n%s", missing, why)
		}
		t.Fatalf("go build in %s: %v\n%s", module, err, out)
	}
	if err := os.Rename(target+".new", target); err != nil {
		t.Fatal(err)
	}
	return target
}

func command(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	return cmd.CombinedOutput()
}

// fingerprint changes whenever the module does.
func fingerprint(t testing.TB, module string) string {
	t.Helper()
	sum := sha256.New()
	for _, name := range []string{"main.go", "go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = sum.Write(b)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}
