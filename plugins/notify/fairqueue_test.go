package notify

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A name whose only waiter gave up must be served again when somebody else waits under it.
func TestANameIsServedAgainAfterItsWaitersLeft(t *testing.T) {
	var q fairQueue
	gone := &waiter{}
	q.push(gone, "host", "app")
	require.True(t, q.remove(gone, "host", "app"))
	require.False(t, q.remove(gone, "host", "app"), "it is not there any more")
	require.False(t, q.remove(gone, "elsewhere", "app"))
	require.Nil(t, q.pop())
	next := &waiter{}
	q.push(next, "host", "app")
	require.Same(t, next, q.pop())
	require.Empty(t, q.byName)
	require.Empty(t, q.order)
}

func TestWhoLeavesAmongOthersIsTheOneThatIsTakenOut(t *testing.T) {
	for leaves := range 3 {
		var q fairQueue
		all := []*waiter{{granted: make(chan struct{})}, {granted: make(chan struct{})}, {granted: make(chan struct{})}}
		for _, w := range all {
			q.push(w, "host", "app")
		}
		require.True(t, q.remove(all[leaves], "host", "app"))
		for i, w := range all {
			if i != leaves {
				require.Same(t, w, q.pop())
			}
		}
		require.Nil(t, q.pop())
	}
}

// Whatever comes and goes: each waiter is taken out once, and within one round over the hosts.
func TestNobodyIsForgottenInAFairQueue(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	type place struct{ host, app string }
	var q fairQueue
	waiting := map[*waiter]place{}
	rounds := map[string]int{} // hosts that were served since this one was
	for range 20000 {
		switch {
		case r.IntN(2) == 0:
			p, w := place{fmt.Sprint(r.IntN(4)), fmt.Sprint(r.IntN(3))}, &waiter{granted: make(chan struct{})}
			if !slices.Contains(q.order, p.host) {
				rounds[p.host] = 0
			}
			q.push(w, p.host, p.app)
			waiting[w] = p
		case r.IntN(3) == 0 && len(waiting) > 0:
			for w, p := range waiting {
				require.True(t, q.remove(w, p.host, p.app))
				delete(waiting, w)
				break
			}
		default:
			w := q.pop()
			require.Equal(t, len(waiting) == 0, w == nil)
			if w == nil {
				continue
			}
			p, ok := waiting[w]
			require.True(t, ok, "served twice, or after it left")
			delete(waiting, w)
			for host := range rounds {
				rounds[host]++
				require.LessOrEqual(t, rounds[host], 5, "a host is passed over")
			}
			rounds[p.host] = 0
			for host := range rounds {
				if !slices.Contains(q.order, host) {
					delete(rounds, host)
				}
			}
		}
	}
	for range len(waiting) {
		require.NotNil(t, q.pop())
	}
	require.Nil(t, q.pop())
	require.Empty(t, q.byName)
}
