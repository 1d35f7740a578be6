package demo

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// log keeps what is said, and when.
type log struct {
	mu    sync.Mutex
	begun time.Time
	lines []string
}

func (l *log) say(format string, _ ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	what, _, _ := strings.Cut(format, " of %s")
	l.lines = append(l.lines, time.Since(l.begun).String()+" "+what)
}

func TestTheAgentDiesEveryHalfMinuteAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &log{begun: time.Now()}
		ctx, cancel := context.WithTimeout(t.Context(), 65*time.Second)
		defer cancel()
		require.NoError(t, dieAndComeBack(ctx, "s", func(ctx context.Context) error {
			l.say("runs")
			<-ctx.Done()
			return nil
		}, l.say))
		require.Equal(t, []string{"0s runs", "10s the agent", "22s another agent", "22s runs", "40s the agent", "52s another agent", "52s runs"}, l.lines)
		require.Equal(t, 65*time.Second, time.Since(l.begun))
	})
}

func TestADeadAgentIsSilentForLongerThanTheWindow(t *testing.T) {
	require.Greater(t, deadFor, 3*interval*time.Second+2*time.Second, "the window, and the hold")
	require.Equal(t, 30*time.Second, aliveBefore+deadFor+aliveAfter)
}

func TestAnAgentThatFailsIsNotStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		err := dieAndComeBack(t.Context(), "s", func(context.Context) error { runs++; return errors.New("no") }, func(string, ...any) {})
		require.EqualError(t, err, "no")
		require.Equal(t, 1, runs)
	})
}

// A platform that does not start, or ends by itself, ends the demo, and nothing is left.
func TestTheDemoEndsWithItsPlatform(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for why, serve := range map[string]func(context.Context, Platform) error{
		"no store": func(_ context.Context, at Platform) error {
			return errors.Join(os.WriteFile(filepath.Join(at.DataDir, "f"), nil, 0o600), errors.New("no store"))
		},
		"the consumer could not subscribe": func(ctx context.Context, at Platform) error {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			at.Up(l.Addr())
			_ = l.Close()
			<-ctx.Done()
			return nil
		},
	} {
		var out bytes.Buffer
		require.ErrorContains(t, Run(t.Context(), Options{Serve: serve, Out: &out}), why)
		left, err := os.ReadDir(os.TempDir())
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

// Whoever stops it while the platform starts waits for nothing but the platform's end.
func TestTheDemoCanBeStoppedBeforeItIsUp(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, Run(ctx, Options{Out: &bytes.Buffer{}, Serve: func(ctx context.Context, _ Platform) error {
		cancel()
		<-ctx.Done()
		return nil
	}}))
}

func TestAnAddressInUseIsNotTaken(t *testing.T) {
	l, err := net.Listen("tcp", DefaultListen)
	if err != nil {
		require.Equal(t, "127.0.0.1:0", freeAddress(t.Context()), "somebody has it already")
		return
	}
	defer func() { _ = l.Close() }()
	require.Equal(t, "127.0.0.1:0", freeAddress(t.Context()))
}

func TestWhatTheConsumerIsToldIsSaidInWords(t *testing.T) {
	for want, change := range map[string]mp1.ServiceReference{
		"a is there and INACTIVE": {SerName: "a", State: mp1.Inactive, ChangeType: mp1.Added},
		"a is gone":               {SerName: "a", State: mp1.Active, ChangeType: mp1.Removed},
		"a is SUSPENDED":          {SerName: "a", State: mp1.Suspended, ChangeType: mp1.StateChanged},
	} {
		require.Equal(t, want, sentence(change))
	}
}

func TestALineSaysHowLongTheDemoHasRun(t *testing.T) {
	var out bytes.Buffer
	newTeller(&out, func() time.Duration { return 65900 * time.Millisecond })("%s is dead", "a")
	require.Equal(t, "  01:05 a is dead\n", out.String())
}
