package plugins

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
