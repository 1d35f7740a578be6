package plugins

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/logs"
)

// Lists may load for long; a server that cannot serve meanwhile must say so and end.
func TestAServerThatFailsWhileListsLoadEnds(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // ends a broken test
	defer cancel()
	h := &Host{Log: NewLog(io.Discard, "INFO"), Ready: func() bool { return false }}
	ended, stopped := make(chan struct{}), false
	h.Go(func(ctx context.Context) { <-ctx.Done(); close(ended) })
	fails := Plugin{Name: "fails", Setup: func(context.Context, *Host) (func(context.Context) error, error) {
		return func(context.Context) error { stopped = true; return nil }, l.Close()
	}}
	err = serve(ctx, l, h, []Plugin{fails}, func(net.Addr) { assert.Fail(t, "it is not up") })
	require.NoError(t, ctx.Err(), "it ends by itself")
	require.ErrorIs(t, err, net.ErrClosed)
	require.True(t, stopped)
	<-ended // so is the background work
}

// To stop the server while a store is being opened that takes long does not wait for it, and
// what fails because of the stop is no failure.
func TestAStopDuringTheStartIsNoFailure(t *testing.T) {
	for name, setup := range map[string]func(ctx context.Context, stuck <-chan struct{}) error{
		"it fails by the stop": func(ctx context.Context, _ <-chan struct{}) error { <-ctx.Done(); return ctx.Err() },
		"it is stuck":          func(_ context.Context, stuck <-chan struct{}) error { <-stuck; return nil },
		"it goes on":           func(context.Context, <-chan struct{}) error { return nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			stuck := make(chan struct{})
			plugin := func(run func(ctx context.Context, stuck <-chan struct{}) error) Plugin {
				return Plugin{Name: name, Setup: func(ctx context.Context, _ *Host) (func(context.Context) error, error) {
					return func(context.Context) error { return nil }, run(ctx, stuck)
				}}
			}
			last := plugin(func(ctx context.Context, _ <-chan struct{}) error { time.Sleep(time.Second); return ctx.Err() })
			time.AfterFunc(50*time.Millisecond, stop)
			begun := time.Now()
			_, err := setUp(ctx, &Host{}, []Plugin{plugin(setup), last})
			require.NoError(t, err, name)
			require.LessOrEqual(t, time.Since(begun), 50*time.Millisecond+setupTime, name)
			close(stuck)
		})
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.NoError(t, Run(ctx, &Host{}, nil, func(net.Addr) { assert.Fail(t, "it is not up") }), "told to stop before it began")
}

// A part that does not stop in time is logged; that the server was stopped is still no failure.
func TestASlowStopIsSaidAndNoFailure(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var out strings.Builder
	h := &Host{Log: NewLog(&out, "INFO"), Ready: func() bool { return false }, LogDropped: func() uint64 { return 0 }}
	slow := Plugin{Name: "slow", Setup: func(context.Context, *Host) (func(context.Context) error, error) {
		stop()
		return func(context.Context) error { return errors.New("it hangs") }, nil
	}}
	require.NoError(t, serve(ctx, l, h, []Plugin{slow}, func(net.Addr) {}))
	require.Contains(t, out.String(), `"msg":"a part did not stop in time","reason":"it hangs"`)
}

// Silence counts only while heartbeats are received: from when everything is loaded until
// the server is told to stop, whatever it still waits for then.
func TestWhenRequestsAreReceived(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var h *Host
	loaded := 0
	h = &Host{Log: NewLog(io.Discard, "INFO"), Base: noBase{}, LogDropped: func() uint64 { return 0 }, Ready: func() bool {
		assert.False(t, h.Receiving(), "it still loads")
		loaded++
		return loaded > 3
	}}
	stopping := false
	h.Go(func(ctx context.Context) {
		<-ctx.Done()
		stopping = true
		assert.False(t, h.Receiving(), "it stops")
	})
	require.NoError(t, serve(ctx, l, h, nil, func(net.Addr) {
		assert.True(t, h.Receiving(), "it is up")
		stop()
	}))
	require.True(t, stopping)
}

// noBase serves nothing.
type noBase struct{ Base }

func (noBase) Handler() http.Handler { return http.NotFoundHandler() }

// A panic in a handler was a line with its stack's first bytes; a flood of handshakes that
// fail was a line each.
func TestWhatNetHTTPSaysIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		s := serverLog{logs.NewRepeats(NewLog(&out, "INFO"))}
		std := log.New(s, "", 0)
		for i := range 500 {
			std.Printf("http: TLS handshake error from 127.0.0.1:%d: EOF", i)
			std.Printf("http: panic serving 127.0.0.1:%d: boom\n%s", i, debug.Stack())
		}
		s.log.Flush()
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		require.Len(t, lines, 4)
		require.Contains(t, lines[1], `"level":"ERROR"`)
		require.Contains(t, lines[1], "run_test.go:")
		require.Less(t, out.Len(), 6000)
	})
}
