package main

import (
	"net"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// What an operator sets counts; else a server that is ready keeps half of Go's reserve.
func TestAServerThatIsReadyKeepsLessMemoryInReserve(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	for _, c := range []struct {
		environ []string
		want    int
	}{
		{[]string{"PATH=/", "GOGC=200"}, 100}, {[]string{"GOGC=off"}, 100},
		{[]string{"GOGC="}, gcPercent}, {[]string{"GOMEMLIMIT=1GiB", "GOGCX=1"}, gcPercent}, {nil, gcPercent},
	} {
		debug.SetGCPercent(100)
		up := false
		environment{environ: c.environ}.settled(func(net.Addr) { up = true })(nil)
		require.True(t, up)
		require.Equal(t, c.want, debug.SetGCPercent(100), "%v", c.environ)
	}
}
