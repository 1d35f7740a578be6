// Package built compiles programs for the tests that run them as processes: the commands
// of this module, and packages of other modules. It knows where their sources are; it must
// not know what they do.
package built

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const buildTime = 10 * time.Minute

// sources are the folders that the commands are compiled from, and what else decides.
var sources = []string{"agent", "build/coreos-etcd", "cmd", "conf", "heartbeat", "logs", "mp1", "plugins", "go.mod", "go.sum"}

// root is the module's folder; a test stands somewhere below it, also in a module of its own.
func root() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "cmd")); missing == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("no folder cmd above the working folder")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

// Command compiles cmd/NAME, with build flags, to a file of that name in dir, which it
// makes, and returns its path. To link takes seconds, so what nobody has changed since is
// linked once for all packages that test it.
func Command(dir, name string, flags ...string) (string, error) {
	target := filepath.Join(dir, name)
	root, err := root()
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", err
	}
	// Whoever sets GOFLAGS may have changed sources by an overlay, which nobody else may get.
	if os.Getenv("GOFLAGS") != "" {
		return target, compile(root, target, name, flags)
	}
	shared, release, err := lock(root, name, flags)
	if err != nil {
		return target, compile(root, target, name, flags)
	}
	defer release()
	if err := compile(root, shared, name, flags); err != nil { // go build itself sees whether anything has changed
		return "", err
	}
	return target, takeOver(shared, target)
}

// lock makes sure that nobody else builds the same meanwhile.
func lock(root, name string, flags []string) (shared string, release func(), err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", nil, err
	}
	dir := filepath.Join(cache, "mepserver-test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, err
	}
	sum := sha256.Sum256([]byte(strings.Join(append([]string{root}, flags...), "\x00")))
	shared = filepath.Join(dir, name+"-"+hex.EncodeToString(sum[:6]))
	f, err := os.OpenFile(shared+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return "", nil, err
	}
	return shared, func() { _ = f.Close() }, nil
}

func compile(root, target, name string, flags []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), buildTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", target}, flags...), "./cmd/"+name)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", name, err, out)
	}
	return nil
}

// takeOver gives the caller a file of its own, which stays when the shared one is built
// anew during its tests.
func takeOver(shared, target string) error {
	if os.Link(shared, target) == nil {
		return nil
	}
	from, err := os.Open(shared)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	to, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, from); err != nil {
		_ = to.Close()
		return err
	}
	return to.Close()
}

// Depend has go test run the calling test again when a source of the commands has
// changed. Without it a test that only starts them as processes counts as unchanged, and
// go test shows an old "ok (cached)" for a program that it never ran: it sees what a test
// opens while it runs, and not what TestMain builds before.
func Depend() {
	root, err := root()
	if err != nil {
		return
	}
	for _, name := range sources {
		// To walk is enough: go test notes each folder that is read, with what it holds.
		_ = filepath.WalkDir(filepath.Join(root, name), func(string, fs.DirEntry, error) error { return nil })
	}
}
