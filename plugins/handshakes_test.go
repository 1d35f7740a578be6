package plugins

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A peer with thousands of handshakes waits for itself: whoever has one comes next.
func TestHandshakesOfPeersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &handshakes{free: 1, waiting: map[string][]chan struct{}{}}
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
		h := &handshakes{free: 1, waiting: map[string][]chan struct{}{}}
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
