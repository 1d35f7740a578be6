package built

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Module compiles a package of a module of its own, such as etcd's, whose folder is given
// from the root of the repository. It does so once per content of that folder, for all
// tests of the user, and returns the path of the program. replaced are the folders of this
// repository, from its root too, that the module takes in place of a release: their content
// counts as well. Where the module proxy cannot be reached and nothing is cached, the test
// is skipped with that reason.
func Module(t testing.TB, folder, pkg string, replaced ...string) string {
	t.Helper()
	target, err := TryModule(folder, pkg, replaced...)
	switch {
	case errors.Is(err, ErrMissing):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return target
}

// ErrMissing says that modules cannot be fetched.
var ErrMissing = errors.New("cannot be built here, its modules cannot be fetched")

// TryModule is Module where it may fail, with ErrMissing where Module skips the test.
func TryModule(folder, pkg string, replaced ...string) (string, error) {
	root, err := root()
	if err != nil {
		return "", err
	}
	module := filepath.Join(root, folder)
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "mepserver-test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	sum, err := fingerprint(root, pkg, append([]string{folder}, replaced...))
	if err != nil {
		return "", err
	}
	target := filepath.Join(dir, filepath.Base(folder)+"-"+sum)
	lock, err := os.OpenFile(target+".lock", os.O_CREATE|os.O_RDWR, 0o600) // test binaries run side by side
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(target); err == nil {
		return target, nil
	}
	if out, err := run(module, "build", "-o", target+".new", pkg); err != nil {
		if why, missing := run(module, "mod", "download"); missing != nil {
			return "", fmt.Errorf("%s %w: %w\n%s", path.Join(folder, pkg), ErrMissing, missing, why)
		}
		return "", fmt.Errorf("go build %s in %s: %w\n%s", pkg, module, err, out)
	}
	return target, os.Rename(target+".new", target)
}

func run(dir string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	return cmd.CombinedOutput()
}

// fingerprint changes whenever one of the folders does.
func fingerprint(root, pkg string, folders []string) (string, error) {
	sum := sha256.New()
	_, _ = sum.Write([]byte(pkg))
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			_, _ = sum.Write(b)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:6]), nil
}
