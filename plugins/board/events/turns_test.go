package events

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// line are some streams, and one turn for all of them.
func line(n int) (t *turns, all []*waiter) {
	t = newTurns()
	t.free = 1
	for range n {
		all = append(all, newWaiter())
	}
	return t, all
}

// whose are those whose turn it has become.
func whose(all []*waiter) (some []int) {
	for i, w := range all {
		select {
		case <-w.turn:
			some = append(some, i)
		default:
		}
	}
	return some
}

// A change wakes one stream after the other, and not all of them at once.
func TestNewsWakesOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, all := line(4)
		for _, w := range all[:3] {
			turns.park(w)
		}
		require.Empty(t, whose(all), "there is no news")
		turns.wake()
		for i := range 3 {
			require.Equal(t, []int{i}, whose(all))
			require.Empty(t, whose(all))
			turns.park(all[i])
			turns.want(all[i])
			if i == 0 {
				turns.want(all[3])
			}
			turns.done(all[i])
		}
		require.Equal(t, []int{3}, whose(all), "who asks is the last")
		turns.done(all[3])
		turns.done(all[3])
		require.Empty(t, whose(all))
		require.Equal(t, 1, turns.free)
	})
}

// One who is parked may want a turn by himself, and has one, not two.
func TestWhoIsParkedMayWantATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, all := line(3)
		turns.park(all[0])
		turns.park(all[1])
		turns.want(all[2])
		turns.want(all[0])
		turns.park(all[0])
		turns.wake()
		var order []int
		for range 4 {
			for _, i := range whose(all) {
				order = append(order, i)
				turns.done(all[i])
			}
		}
		require.Equal(t, []int{2, 0, 1}, order)
	})
}

// Nobody has a turn for a while when there were turns for long enough: something else may be waiting.
func TestTurnsRestBetweenSlices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, all := line(4)
		for _, w := range all {
			turns.want(w)
		}
		require.Equal(t, []int{0}, whose(all))
		turns.done(all[0])
		require.Equal(t, []int{1}, whose(all), "the slice is not over")
		time.Sleep(sliceTime + 1)
		turns.done(all[1])
		require.Empty(t, whose(all))
		turns.leave(all[2])
		time.Sleep(pauseTime)
		synctest.Wait()
		require.Equal(t, []int{3}, whose(all))
		turns.done(all[3])
		time.Sleep(sliceTime + pauseTime + 1)
		turns.want(all[0])
		require.Equal(t, []int{0}, whose(all), "nobody has written for long")
	})
}

// A turn that takes too long is over, and is not given back twice.
func TestALateTurnIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, all := line(3)
		turns.want(all[0])
		turns.want(all[1])
		time.Sleep(turnTime + pauseTime)
		synctest.Wait()
		require.Equal(t, []int{0, 1}, whose(all))
		turns.want(all[2])
		turns.done(all[0])
		require.Empty(t, whose(all))
		turns.done(all[1])
		time.Sleep(pauseTime)
		synctest.Wait()
		require.Equal(t, []int{2}, whose(all))
		turns.done(all[2])
		require.Equal(t, 1, turns.free)
	})
}

// One whose turn ended before he noticed can have another one.
func TestATurnThatNobodyTookBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, all := line(1)
		turns.want(all[0])
		time.Sleep(turnTime + pauseTime)
		synctest.Wait()
		turns.want(all[0])
		require.Equal(t, []int{0}, whose(all))
		turns.done(all[0])
		require.Equal(t, 1, turns.free)
	})
}

func TestWhoLeavesKeepsNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, all := line(4)
		turns.park(all[0])
		turns.leave(all[0])
		turns.wake()
		for _, w := range all[1:] {
			turns.want(w)
		}
		turns.leave(all[2])
		require.Equal(t, []int{1}, whose(all))
		turns.leave(all[1])
		require.Equal(t, []int{3}, whose(all))
		turns.leave(all[3])
		require.Equal(t, 1, turns.free)
		require.Same(t, &turns.queue, turns.queue.next)
		require.Same(t, &turns.parked, turns.parked.next)
	})
}

// Whatever streams do, no more of them have a turn than may, and all have theirs.
func TestManyStreamsShareTheTurns(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		turns, all := line(50)
		turns.free = 2
		var wg sync.WaitGroup
		var writing, had atomic.Int64
		for i, w := range all {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(seed, uint64(i)))
				defer turns.leave(w)
				for range 100 {
					if r.IntN(2) == 0 {
						turns.park(w)
					}
					turns.want(w)
					if r.IntN(20) == 0 {
						return
					}
					<-w.turn
					require.LessOrEqual(t, writing.Add(1), int64(2))
					time.Sleep(time.Duration(r.IntN(int(sliceTime))))
					writing.Add(-1)
					had.Add(1)
					turns.done(w)
				}
			})
		}
		for range 100 {
			turns.wake()
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		require.Equal(t, 2, turns.free)
		require.GreaterOrEqual(t, had.Load(), int64(len(all)))
	})
}
