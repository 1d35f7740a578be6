package main

import (
	"context"
	"net"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// 20,000 registrations left 120 MB of garbage in memory for minutes. A collection costs a tenth of a
// second then, so it must not come again and again, nor while heartbeats come.
func TestMemoryIsGivenBackOnceABurstIsOver(t *testing.T) {
	const mb = 1 << 20
	after := heap{allocated: 9000 * mb, live: 130 * mb, objects: 190 * mb, free: 30 * mb}
	begun := heap{allocated: 8000 * mb, live: 100 * mb, objects: 120 * mb}
	require.False(t, after.wastes(begun, 10*mb), "it goes on")
	require.True(t, after.wastes(after, 10*mb), "it is over")
	back := heap{allocated: 9001 * mb, live: 110 * mb, objects: 111 * mb, free: 2 * mb}
	require.False(t, back.wastes(after, 10*mb), "it was given back")
	idle := back
	for range 1000 { // an idle server collects no second time
		now := idle
		now.allocated, now.objects = now.allocated+mb/100, now.objects+mb/100
		require.False(t, now.wastes(idle, back.live))
		idle = now
	}
	empty := heap{allocated: 100 * mb, live: 4 * mb, objects: 6 * mb, free: 2 * mb}
	require.False(t, empty.wastes(empty, 0), "a small server has nothing to give")
	require.NotZero(t, readHeap().allocated*readHeap().objects, "these are names of metrics")
}

// What follows a burst is seldom silence: heartbeats come, and the first sweep looks at all that was
// registered. Memory is given back all the same, and not a second time for that.
func TestHeartbeatsDoNotKeepWhatABurstLeftBehind(t *testing.T) {
	const mb = 1 << 20
	last := heap{allocated: 9000 * mb, live: 130 * mb, objects: 140 * mb, free: 60 * mb}
	beating := last
	beating.allocated, beating.objects = last.allocated+10*mb, last.objects+10*mb
	require.True(t, beating.wastes(last, 10*mb), "1,000 heartbeats a second")
	require.False(t, beating.wastes(last, 120*mb), "there was no burst")
	for range 1000 { // whose garbage is collected when GOGC asks
		now := beating
		now.allocated += 10 * mb
		now.objects = min(now.objects+10*mb, 195*mb)
		require.False(t, now.wastes(beating, 130*mb))
		beating = now
	}
}

// What an operator sets counts; else a server that is ready keeps its own reserve.
func TestAServerThatIsReadyKeepsItsOwnReserve(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	for _, c := range []struct {
		environ []string
		own     bool
	}{
		{[]string{"PATH=/", "GOGC=200"}, false}, {[]string{"GOGC=off"}, false},
		{[]string{"GOGC="}, true}, {[]string{"GOMEMLIMIT=1GiB", "GOGCX=1"}, true}, {nil, true},
	} {
		debug.SetGCPercent(1)
		up := false
		ctx, cancel := context.WithCancel(t.Context())
		p := environment{environ: c.environ}
		p.settled(ctx, p.starting(), func(net.Addr) { up = true })(nil)
		cancel()
		require.True(t, up)
		if c.own {
			require.GreaterOrEqual(t, debug.SetGCPercent(100), gcPercent, "%v", c.environ)
		} else {
			require.Equal(t, 1, debug.SetGCPercent(100), "%v", c.environ)
		}
	}
}
