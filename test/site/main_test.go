// Package site runs the built program as EdgeGallery's chart runs its own mepserver: in a network
// of its own with the addresses of a pod, in a root file system that holds what an image and the
// chart's mounts hold, as user 166:166, with exactly the chart's environment, and with the
// certificates that EdgeGallery's installer makes. Around it stand the other parts of that
// platform. It knows the chart and the wire; it must not know how the program does any of it.
//
// It needs root, and Linux with ip, unshare, chroot and openssl. Elsewhere it skips, and says why.
package site

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/mec-liveness/mepserver/test/built"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/tier"
)

// The addresses of the pod.
const (
	primary = "10.244.0.7"
	multus  = "100.1.1.7"
)

// inPod names the built program to the tests, which run in the network of the pod.
const inPod = "SITE_PROGRAM"

func TestMain(m *testing.M) {
	os.Exit(tier.Main(m, "test/site", "runs a pod of EdgeGallery's, which takes root and half a minute", func() int { return enter(m) }))
}

// enter builds the program, which an image holds without any library, and has all tests run in
// a network of their own.
func enter(m *testing.M) int {
	if os.Getenv(inPod) != "" || os.Getuid() != 0 {
		return m.Run() // without root each test says why it skips
	}
	dir, err := os.MkdirTemp("", "mepserver-site-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		err = os.Setenv("CGO_ENABLED", "0")
	}
	program := ""
	if err == nil {
		program, err = built.Command(dir, "mepserver", "-tags", "netgo,osusergo")
	}
	if err == nil {
		err = os.Setenv(inPod, program)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	tests, err := proc.Command{Program: "unshare", Args: append([]string{"--net", self}, os.Args[1:]...), StdoutTo: os.Stdout, StderrTo: os.Stderr}.Launch()
	if err != nil {
		_ = os.Setenv(inPod, "")
		return m.Run()
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		tests.Signal(<-asked)
	}()
	return tests.Wait()
}

// network gives the namespace the addresses of a pod, once.
func network(t *testing.T) {
	t.Helper()
	if os.Getenv(inPod) == "" {
		t.Skip("only root may make a network and a root file system")
	}
	for _, program := range []string{"ip", "chroot", "openssl"} {
		proc.Find(t, program)
	}
	run := func(args ...string) (int, *proc.Process) {
		return proc.Command{Program: "ip", Args: args}.Run(t, time.Minute)
	}
	if code, _ := run("link", "show", "eth0"); code == 0 {
		return
	}
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"link", "add", "eth0", "type", "veth", "peer", "name", "node"},
		{"address", "add", primary + "/24", "dev", "eth0"}, {"link", "set", "eth0", "up"}, {"link", "set", "node", "up"},
		{"route", "add", "default", "via", "10.244.0.1"},
		{"link", "add", "net1", "type", "veth", "peer", "name", "edge"},
		{"address", "add", multus + "/24", "dev", "net1"}, {"link", "set", "net1", "up"}, {"link", "set", "edge", "up"},
	} {
		if code, p := run(args...); code != 0 {
			t.Skipf("no addresses can be given here: ip %q: %s", args, p.Both)
		}
	}
}

// scratch is a folder that every user may pass.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err == nil {
		for at := dir; err == nil && at != "/" && at != os.TempDir(); at = filepath.Dir(at) {
			err = os.Chmod(at, 0o755) //nolint:gosec // another user is to pass
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
