//go:build linux

package oneport

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/wait"
)

// namespace is a network of its own, which lives as long as a process in it.
type namespace struct{ holder *proc.Process }

// newNamespace makes one, or skips the test where that is not allowed.
func newNamespace(t *testing.T) *namespace {
	t.Helper()
	for _, program := range []string{"ip", "unshare", "nsenter"} {
		proc.Find(t, program)
	}
	if os.Getuid() != 0 {
		t.Skip("only root may make network namespaces and call from them")
	}
	n := &namespace{proc.Command{Program: "unshare", Args: []string{"--net", "sh", "-c", "echo there; exec sleep 600"}}.Start(t)}
	if n.holder.FirstLine(time.Minute) != "there\n" {
		t.Skipf("no network namespace can be made here: %s", n.holder.Stderr)
	}
	n.ip(t, "link set lo up")
	return n
}

func (n *namespace) file() string { return fmt.Sprintf("/proc/%d/ns/net", n.holder.PID()) }

// ip has the commands carried out in the namespace.
func (n *namespace) ip(t *testing.T, commands ...string) {
	t.Helper()
	for _, c := range commands {
		code, p := proc.Command{Program: "nsenter", Args: append([]string{"--net=" + n.file(), "ip"}, strings.Fields(c)...)}.Run(t, time.Minute)
		require.Zero(t, code, "ip %s: %s", c, p.Both)
	}
}

// link connects two namespaces by interfaces of one name.
func (n *namespace) link(t *testing.T, name string, with *namespace) {
	t.Helper()
	n.ip(t, fmt.Sprintf("link add %s type veth peer name %s netns %d", name, name, with.holder.PID()), "link set "+name+" up")
	with.ip(t, "link set "+name+" up")
	wait.Until(t, name+" is up", func() bool {
		_, p := proc.Command{Program: "nsenter", Args: []string{"--net=" + n.file(), "ip", "link", "show", name}}.Run(t, time.Minute)
		return strings.Contains(p.Stdout.String(), "LOWER_UP")
	})
}

// dial connects from the namespace. A socket stays in the one in which it was made, and the
// thread comes back: with a thread the processes die that it started.
func (n *namespace) dial(ctx context.Context, to string) (net.Conn, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer func() { _ = home.Close() }()
	there, err := os.Open(n.file())
	if err != nil {
		return nil, err
	}
	defer func() { _ = there.Close() }()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", to)
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(back) // the thread must not go on elsewhere
	}
	return c, err
}
