package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheReserveIsHalfOfWhatIsLiveButNotLittle(t *testing.T) {
	last := percentFor(0)
	for live := uint64(1); live < 1<<32; live += live/50 + 1 {
		percent := percentFor(live)
		require.LessOrEqual(t, percent, last, live)
		last = percent
		require.GreaterOrEqual(t, percent, gcPercent)
		if room := live * uint64(percent) / 100; live >= 1<<20 && percent > gcPercent {
			require.LessOrEqual(t, room, uint64(leastReserve), live)
			require.Greater(t, room, uint64(leastReserve)/2, live)
		}
	}
	require.Equal(t, gcPercent, percentFor(4*leastReserve))
}

// It follows what is live, and no longer once the server ends.
func TestTheReserveFollowsWhatIsLive(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	percent := func() int {
		sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(sample)
		return int(sample[0].Value.Uint64())
	}
	stop := keepReserve()
	held := make([]byte, 8*leastReserve)
	require.Eventually(t, func() bool {
		runtime.GC()
		return percent() == gcPercent
	}, time.Minute, time.Millisecond)
	runtime.KeepAlive(held)
	require.Eventually(t, func() bool {
		runtime.GC()
		return percent() > gcPercent
	}, time.Minute, time.Millisecond)
	stop()
	runtime.GC()
	debug.SetGCPercent(1)
	for range 20 {
		runtime.GC()
		require.Equal(t, 1, percent())
	}
}

// Memory of a start is bounded as before where there is much, and small servers do not take as much as large ones may.
func TestAStartGrowsFivefoldWhileThatIsLittle(t *testing.T) {
	require.Equal(t, mostStartPercent, startPercentFor(0))
	last := mostStartPercent
	for live := uint64(1); live < 1<<33; live += live/50 + 1 {
		percent := startPercentFor(live)
		require.LessOrEqual(t, percent, last, live)
		last = percent
		require.LessOrEqual(t, live+live*uint64(percent)/100, max(3*live, uint64(startReserve)), live)
		require.GreaterOrEqual(t, percent, leastStartPercent)
	}
	require.Equal(t, mostStartPercent, startPercentFor(startReserve/5))
	require.Less(t, startPercentFor(startReserve/4), mostStartPercent)
	require.Equal(t, leastStartPercent, startPercentFor(startReserve/3))
}

// What a start set must not come again once the server is ready.
func TestAReserveThatHasEndedSetsNothing(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	r := &reserve{percentFor: startPercentFor}
	r.set()
	require.Equal(t, r.percent, debug.SetGCPercent(77))
	r.end()
	r.percent = 0
	r.set()
	require.Equal(t, 77, debug.SetGCPercent(100))
}
