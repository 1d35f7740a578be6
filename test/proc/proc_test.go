package proc_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/proc"
)

func shell(text string) proc.Command { return proc.Command{Program: "sh", Args: []string{"-c", text}} }

func TestAProcessIsRunToItsEnd(t *testing.T) {
	c := shell(`read line; echo "$line"; echo "$NAME" >&2; exit 3`)
	c.Stdin, c.Env = strings.NewReader("typed\n"), []string{"NAME=set"}
	code, p := c.Run(t, time.Minute)
	require.Equal(t, 3, code)
	require.True(t, p.Ended())
	require.Equal(t, "typed\n", p.Stdout.String())
	require.Equal(t, "set\n", p.Stderr.String())
	require.Len(t, p.Both.String(), len("typed\nset\n"))
}

func TestTheFirstLineIsThatOfStandardOutput(t *testing.T) {
	p := shell("echo no >&2; printf half; sleep 0.1; echo ' a line'; echo more; exec sleep 60").Start(t)
	require.Equal(t, "half a line\n", p.FirstLine(time.Minute))
	require.Equal(t, -1, p.Terminate(), "a signal ended it")
	silent := shell("printf half").Start(t)
	require.Empty(t, silent.FirstLine(time.Minute), "it ended before its first line did")
	require.Zero(t, silent.Wait())
}

func TestWhatDoesNotObeyIsKilled(t *testing.T) {
	p := shell("trap '' TERM; echo ready; while :; do sleep 0.1; done").Start(t)
	require.Equal(t, "ready\n", p.FirstLine(time.Minute))
	require.Equal(t, -1, p.TerminateWithin(300*time.Millisecond))
	p.Signal(syscall.SIGTERM) // and a signal that comes late does nothing
	p.Kill()
}

func TestAnOutputGoesWhereTheCommandSays(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = r.Close() }()
	c := shell("echo out; echo err >&2")
	c.StderrTo = w
	_, p := c.Run(t, time.Minute)
	require.NoError(t, w.Close())
	b := make([]byte, 4)
	_, err = r.Read(b)
	require.NoError(t, err)
	require.Equal(t, "err\n", string(b))
	require.Equal(t, "out\n", p.Both.String())
}

func TestTheSystemsFiguresOfAProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("this system has no /proc")
	}
	p := shell("echo ready; while :; do :; done").Start(t)
	require.NotEmpty(t, p.FirstLine(time.Minute))
	require.GreaterOrEqual(t, p.OpenFiles(), 3)
	require.Positive(t, p.Memory("VmRSS"))
	require.GreaterOrEqual(t, p.Memory("VmHWM"), p.Memory("VmRSS"))
	require.Zero(t, p.Memory("NoSuchFigure"))
	require.Contains(t, p.CommandLine(), "echo ready")
	for end := time.Now().Add(time.Minute); p.CPU() == 0; time.Sleep(10 * time.Millisecond) {
		require.True(t, time.Now().Before(end), "it works and uses no time")
	}
}

func TestNoAddressIsGivenTwice(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		address := proc.Free(t)
		require.False(t, seen[address], address)
		seen[address] = true
	}
}
