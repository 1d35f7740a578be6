package notify

import (
	"context"
	"fmt"
	"math"
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
		all := r.Deliveries([]plugins.Changed{x}, 10)[0]
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
		require.Len(t, r.Deliveries([]plugins.Changed{x}, 1)[0], 1)
		require.Equal(t, [][]plugins.Delivery{all, all[:1], nil}, r.Deliveries([]plugins.Changed{x, x, x}, 3), "so many of all together")
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
		require.False(t, r.Deliveries([]plugins.Changed{x}, 1)[0][0].Delivered)
		fails.Store(false)
		s.commit("x", "A")
		time.Sleep(time.Hour)
		require.Equal(t, []plugins.Told{{Told: 1}}, r.Told([]plugins.Changed{changedNow("x")}), "it was told of a newer one")
	})
}

// Whichever replica is asked knows who was told, who is not yet and to whom attempts fail; what it
// costs the store is one read in half a second, however many ask.
func TestAnyReplicaKnowsWhoWasTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fails, leave atomic.Bool
		fails.Store(true)
		to := &subscribers{answer: func(_ context.Context, url string) result {
			switch {
			case leave.Load():
				return result{outcome: gone}
			case fails.Load() && url == here+"bad":
				return result{outcome: timedOut}
			}
			return result{}
		}}
		s := newFakeStore()
		a, b := newReplica(t, s, to, "a", false), newReplica(t, s, to, "b", false)
		time.Sleep(2 * time.Second)
		good, bad := a.subscribe(t, "app", here+"good"), a.subscribe(t, "app", here+"bad")
		a.subscribeTo(t, "app", here+"none", &mp1.FilteringCriteria{SerNames: []string{"another"}})
		time.Sleep(2 * time.Second)
		s.commit("x", "A")
		x := []plugins.Changed{changedNow("x")}
		both := func(want plugins.Told, pending, failing int) {
			t.Helper()
			time.Sleep(cursorsFresh)
			for _, r := range []*replica{a, b} {
				require.Equal(t, []plugins.Told{want}, r.Told(x))
				p, f := r.Backlog()
				require.Equal(t, [2]int{pending, failing}, [2]int{p, f})
			}
		}
		time.Sleep(20 * time.Second)
		both(plugins.Told{Told: 1, Pending: 1, Failing: []string{bad}}, 1, 1)
		for _, r := range []*replica{a, b} {
			all := r.Deliveries(x, 5)[0]
			require.Len(t, all, 2)
			for _, d := range all {
				require.Equal(t, [2]bool{d.ID == good, d.ID == bad}, [2]bool{d.Delivered, d.Pending})
			}
		}
		reads := s.cursorsRead()
		for range 10 {
			b.Told(x)
			b.Backlog()
		}
		require.Equal(t, reads, s.cursorsRead())
		fails.Store(false)
		time.Sleep(time.Minute)
		both(plugins.Told{Told: 2}, 0, 0)
		require.Greater(t, s.cursorsRead(), reads)

		leave.Store(true)
		s.commit("x", "A")
		x = []plugins.Changed{changedNow("x")}
		time.Sleep(2 * time.Second)
		both(plugins.Told{Lost: 2}, 0, 0)
	})
}

// Where the store does not say how far others are, nothing is said of them.
func TestNothingIsSaidOfWhatNobodyKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		a, b := newReplica(t, s, &subscribers{}, "a", false), newReplica(t, s, &subscribers{}, "b", false)
		time.Sleep(2 * time.Second)
		id := a.subscribe(t, "app", here)
		time.Sleep(2 * time.Second)
		s.commit("x", "A")
		x := changedNow("x")
		time.Sleep(2 * time.Second)
		s.mu.Lock()
		for n := range mostCursors {
			s.cursors[fmt.Sprint("more", n)] = plugins.Cursor{}
		}
		s.mu.Unlock()
		of := a
		if a.Told([]plugins.Changed{x})[0].Told == 1 {
			of = b
		}
		require.Equal(t, []plugins.Told{{Elsewhere: 1}}, of.Told([]plugins.Changed{x}))
		require.Equal(t, [][]plugins.Delivery{{{ID: id, Owner: "app", Elsewhere: true}}}, of.Deliveries([]plugins.Changed{x}, 5))
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
		require.Equal(t, [][]plugins.Delivery{{}}, newReplica(t, newFakeStore(), &subscribers{}, "b", true).Deliveries([]plugins.Changed{changedNow("x")}, 1), "that is nobody")
		time.Sleep(time.Second)
		x := changedNow("x")
		many := make([]plugins.Changed, maxLooked/150+10)
		for i := range many {
			many[i] = x
		}
		got := r.Told(many)
		require.Equal(t, plugins.Told{Told: 150}, got[0])
		require.Equal(t, plugins.Told{Uncounted: true}, got[len(got)-1])
		to := r.Deliveries(many, math.MaxInt)
		require.Len(t, to[0], 150)
		require.Nil(t, to[len(to)-1], "it was not looked at: that is not nobody")
	})
}
