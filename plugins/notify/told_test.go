package notify

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// changedNow is a service of the fake store as its last event left it.
func changedNow(name string) plugins.Changed {
	return plugins.Changed{Service: &mp1.ServiceInfo{SerInstanceID: name, SerName: name, State: mp1.Active}, At: time.Now().UnixNano()}
}

func TestWhoWasToldOfALastChangeIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fails atomic.Bool
		fails.Store(true)
		to := &subscribers{answer: func(_ context.Context, url string) result {
			if fails.Load() && url == here+"bad" {
				return result{outcome: timedOut}
			}
			return result{}
		}}
		s := newFakeStore()
		r := newReplica(t, s, to, "a", true)
		good, bad := r.subscribe(t, "app", here+"good"), r.subscribe(t, "app", here+"bad")
		r.subscribeTo(t, "app", here+"none", &mp1.FilteringCriteria{SerNames: []string{"another"}})
		synctest.Wait()
		time.Sleep(time.Second)
		s.commit("x", "A")
		x := changedNow("x")
		time.Sleep(100 * time.Millisecond)
		after := r.subscribe(t, "late", here+"after")
		synctest.Wait()
		require.Equal(t, []plugins.Told{{Told: 1, Pending: 1, Failing: []string{bad}}}, r.Told([]plugins.Changed{x}))
		all := r.Deliveries(x, 10)
		require.Len(t, all, 2, "neither the filter nor a later subscription is concerned: %s", after)
		for _, d := range all {
			require.Equal(t, "app", d.Owner)
			require.NotZero(t, d.LastAttempt)
			if d.ID == good {
				require.True(t, d.Delivered && !d.Pending && d.LastError == "")
			} else {
				require.True(t, !d.Delivered && d.Pending && d.LastError == "timeout")
			}
		}
		require.Len(t, r.Deliveries(x, 1), 1)
		pending, failing := r.Backlog()
		require.Equal(t, [2]int{1, 1}, [2]int{pending, failing})

		fails.Store(false)
		time.Sleep(time.Minute)
		require.Equal(t, []plugins.Told{{Told: 2}}, r.Told([]plugins.Changed{x}))
		pending, failing = r.Backlog()
		require.Zero(t, pending+failing)
	})
}

func TestWhatWasGivenUpWasNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fails atomic.Bool
		fails.Store(true)
		to := &subscribers{answer: func(context.Context, string) result {
			if fails.Load() {
				return result{outcome: timedOut}
			}
			return result{}
		}}
		s := newFakeStore()
		r := newReplica(t, s, to, "a", true)
		r.subscribe(t, "app", here)
		synctest.Wait()
		time.Sleep(time.Second)
		s.commit("x", "A")
		x := changedNow("x")
		time.Sleep(2 * giveUpAfter)
		require.Equal(t, []plugins.Told{{Lost: 1}}, r.Told([]plugins.Changed{x}))
		require.False(t, r.Deliveries(x, 1)[0].Delivered)
		fails.Store(false)
		s.commit("x", "A")
		time.Sleep(time.Hour)
		require.Equal(t, []plugins.Told{{Told: 1}}, r.Told([]plugins.Changed{changedNow("x")}), "it was told of a newer one")
	})
}

func TestWhatAnotherReplicaSendsIsNotCountedAsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		a, b := newReplica(t, s, &subscribers{}, "a", false), newReplica(t, s, &subscribers{}, "b", false)
		time.Sleep(2 * time.Second)
		a.subscribe(t, "app", here)
		time.Sleep(2 * time.Second)
		s.commit("x", "A")
		x := changedNow("x")
		time.Sleep(2 * time.Second)
		require.Equal(t, []plugins.Told{{Told: 1}}, a.Told([]plugins.Changed{x}))
		require.Equal(t, []plugins.Told{{Elsewhere: 1}}, b.Told([]plugins.Changed{x}))
		require.Equal(t, 1, len(b.Deliveries(x, 5)))
		require.True(t, b.Deliveries(x, 5)[0].Elsewhere)
	})
}

// A question costs a bounded time, whatever is subscribed to: then nothing is said, and not too little.
func TestTooManyToCountAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		r := newReplica(t, s, &subscribers{}, "a", true)
		for i := range 150 {
			r.subscribe(t, fmt.Sprint("app", i), fmt.Sprint(here, i))
		}
		synctest.Wait()
		time.Sleep(time.Second)
		x := changedNow("x")
		many := make([]plugins.Changed, maxLooked/150+10)
		for i := range many {
			many[i] = x
		}
		got := r.Told(many)
		require.Equal(t, plugins.Told{Told: 150}, got[0])
		require.Equal(t, plugins.Told{Uncounted: true}, got[len(got)-1])
	})
}
