package agent

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAJumpOfTheClockSendsEveryHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakePlatform(300)
		a, err := New(options(f, 5))
		require.NoError(t, err)
		var slept atomic.Int64
		a.wall = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
		r := start(t, a)
		advance(10 * time.Second)
		require.Len(t, f.heartbeats(), 5)
		looks := len(f.livenessReads())
		slept.Store(int64(10 * time.Minute)) // the machine slept: the monotonic clock stood still
		advance(2 * tickInterval)
		require.Len(t, f.heartbeats(), 10)
		require.Len(t, f.livenessReads(), looks+5, "after a wake the liveness resource is read")
		advance(20 * time.Second)
		require.Len(t, f.heartbeats(), 10, "once a jump")
		require.NoError(t, r.stop())
	})
}

func TestAPauseOfTheProcessIsNoticed(t *testing.T) {
	at := time.Now()
	w := clockWatch{wall: func() time.Time { return at }}
	require.Zero(t, w.gap(at))
	for _, c := range []struct {
		step time.Duration
		want time.Duration
	}{{time.Second, 0}, {3 * time.Second, 0}, {5 * time.Second, 5 * time.Second}, {time.Second, 0}} {
		at = at.Add(c.step)
		require.Equal(t, c.want, w.gap(at))
	}
	wall := at
	w.wall = func() time.Time { return wall }
	for _, c := range []struct{ mono, wall, want time.Duration }{
		{time.Second, time.Minute, 59 * time.Second}, {time.Second, -time.Hour, -time.Hour - time.Second}, {time.Second, 1900 * time.Millisecond, 0},
	} {
		at, wall = at.Add(c.mono), wall.Add(c.wall)
		require.Equal(t, c.want, w.gap(at))
	}
}
