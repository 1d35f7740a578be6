package plugins

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
)

// A peer with thousands of handshakes waits for itself: whoever has one comes next.
func TestHandshakesOfPeersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandshakes(0)
		h.free = 1
		require.NoError(t, h.take(t.Context(), "flood"))
		var order []string
		wait := func(peer string) {
			go func() {
				if h.take(t.Context(), peer) == nil {
					order = append(order, peer)
				}
			}()
			synctest.Wait()
		}
		for range 1000 {
			wait("flood")
		}
		wait("one")
		wait("two")
		require.Equal(t, 1002, h.waits())
		for range 4 {
			h.release()
			synctest.Wait()
		}
		require.Equal(t, []string{"flood", "one", "two", "flood"}, order)
		for range 998 {
			h.release()
		}
		synctest.Wait()
		require.Zero(t, h.waits())
		require.Empty(t, h.peers)
		h.release()
		require.Equal(t, 1, h.free)
	})
}

// One that gives up takes nothing with it, whenever that is.
func TestAHandshakeThatGivesUpLeavesItsTurnToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandshakes(0)
		h.free = 1
		require.NoError(t, h.take(t.Context(), "a"))
		for i := range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			taken := make(chan error)
			go func() { taken <- h.take(ctx, "a") }()
			synctest.Wait()
			if i%2 == 0 {
				require.ErrorIs(t, <-taken, errBusy)
			} else { // the turn comes when it gives up
				cancel()
				h.release()
				if <-taken != nil {
					require.NoError(t, h.take(t.Context(), "a"))
				}
			}
			cancel()
			require.Zero(t, h.waits())
			require.Zero(t, h.free)
		}
		h.release()
		require.Equal(t, 1, h.free)
	})
}

// A peer with many handshakes has a few at once and the others at a rate, in the order in which
// they came; others do not wait for it.
func TestHandshakesOfOnePeerArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandshakes(100)
		h.free = 1000
		began := time.Now()
		var mu sync.Mutex
		var came []int
		var at []time.Duration
		for i := range 50 {
			go func() {
				if h.take(t.Context(), "flood") == nil {
					mu.Lock()
					defer mu.Unlock()
					came, at = append(came, i), append(at, time.Since(began))
				}
			}()
			synctest.Wait()
		}
		require.Len(t, came, 10, "a tenth of a second's at once")
		require.NoError(t, h.take(t.Context(), "other"))
		require.Zero(t, time.Since(began), "others do not wait")
		time.Sleep(time.Second)
		synctest.Wait()
		for i := range 50 {
			require.Equal(t, i, came[i])
			require.Equal(t, max(0, time.Duration(i-9))*10*time.Millisecond, at[i], i)
		}
		require.EqualValues(t, 40, testutil.ToFloat64(h.held))
		require.Zero(t, testutil.ToFloat64(h.refused))
	})
}

// A thousand agents behind one address that lost their connections at the same moment must all
// have them back, none refused, before the first of their clients gives up.
func TestAThousandHandshakesOfOnePeerAtOnceAreAllComputed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandshakes(conf.Default().Limits.HandshakesPerSecond)
		h.free = 1000
		var all sync.WaitGroup
		began := time.Now()
		for range 1000 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), headerTimeout)
				defer cancel()
				assert.NoError(t, h.take(ctx, "gateway"))
			})
		}
		all.Wait()
		require.Equal(t, 3900*time.Millisecond, time.Since(began))
		require.Zero(t, testutil.ToFloat64(h.refused))
	})
}

// For whom there is no room the wait is long too, or it would be back at once; and it takes
// nothing from those that wait.
func TestAHandshakeForWhichThereIsNoRoomIsRefusedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandshakes(1)
		h.free = 1000
		var all sync.WaitGroup
		var done atomic.Int64
		for range 10 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), headerTimeout)
				defer cancel()
				began := time.Now()
				if err := h.take(ctx, "flood"); err == nil {
					done.Add(1)
				} else {
					assert.ErrorIs(t, err, errBusy)
					assert.Equal(t, headerTimeout, time.Since(began))
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 5, done.Load(), "one at once and four in four seconds")
		require.EqualValues(t, 5, testutil.ToFloat64(h.refused))
		require.NoError(t, h.take(t.Context(), "flood"))
		require.Zero(t, h.waits())
	})
}

// Whoever comes from many addresses is remembered as long as that changes something, no longer.
func TestPacesForgetWhoHasPaused(t *testing.T) {
	p := newPaces(100)
	for i := range 50 * mostPaces {
		now := time.Duration(i) * time.Millisecond // each is remembered for 10 ms
		_, ok := p.reserve(fmt.Sprint(i), now, 0)
		require.True(t, ok)
		require.LessOrEqual(t, len(p.due), mostPaces)
	}
	p = newPaces(100)
	for range 10 {
		wait, ok := p.reserve("a", 1, time.Second)
		require.True(t, ok)
		require.Zero(t, wait)
	}
	p.forget(1)
	wait, ok := p.reserve("a", 1, time.Second)
	require.True(t, ok)
	require.Equal(t, 10*time.Millisecond, wait, "to be forgotten must give nothing")
	_, ok = p.reserve("a", 1, time.Millisecond)
	require.False(t, ok)
	wait, ok = p.reserve("a", 1, time.Second)
	require.True(t, ok)
	require.Equal(t, 20*time.Millisecond, wait, "what was refused counts nothing")
	off := newPaces(0)
	for range 1000 {
		wait, ok := off.reserve("a", 1, 0)
		require.True(t, ok)
		require.Zero(t, wait)
	}
}
