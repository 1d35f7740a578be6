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
	"github.com/mec-liveness/mepserver/mp1/server"
)

// terminations are the subscriptions of a replica to terminations.
func (r *replica) terminations() *registry {
	return newRegistry(r.dispatcher, mp1.TerminationSubscriptionType, r.policy, r.maxPerApp)
}

// awaitTermination subscribes an application to its own termination.
func (r *replica) awaitTermination(t *testing.T, app, url string) string {
	t.Helper()
	asked := termination(app)
	asked.CallbackReference = url
	s, err := r.terminations().Subscribe(t.Context(), app, "/mep", asked)
	require.NoError(t, err)
	return s.ID
}

// Somebody else's termination is nobody's business, and a change of a service no
// termination.
func TestATerminationIsToldToItsApplicationOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		a := newReplica(t, s, to, "a", true)
		id := a.awaitTermination(t, "app", "http://app/")
		a.awaitTermination(t, "other", "http://other/")
		a.subscribe(t, "app", "http://all/")
		s.commit("app", "S")
		s.commit("app", "T")
		s.commit("third", "T")
		time.Sleep(time.Minute)
		require.Len(t, to.of("http://all/"), 1, "the change of the service")
		require.Empty(t, to.of("http://other/"))
		told := to.of("http://app/")
		require.Len(t, told, 1)
		require.JSONEq(t, `{"notificationType":"AppTerminationNotification","operationAction":"TERMINATING","maxGracefulTimeout":5,"_links":{
			"subscription":{"href":"/mep/mec_app_support/v1/applications/app/subscriptions/`+id+`"},
			"confirmTermination":{"href":"/mep/mec_app_support/v1/applications/app/confirm_termination"}}}`, string(told[0].body))
		require.Equal(t, 2, s.cursorsWritten(), "those who were told")
	})
}

// What may be sent together of services may not of terminations: a body has room for one.
func TestTerminationsAreNeverSentTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		to, s := &subscribers{}, newFakeStore()
		to.answer = func(context.Context, string) result {
			if up.Load() {
				return result{}
			}
			return result{outcome: unreachable}
		}
		a := newReplica(t, s, to, "a", true)
		a.awaitTermination(t, "app", here)
		for range 3 {
			s.commit("app", "T")
		}
		time.Sleep(time.Minute)
		first := to.of(here)[0].id
		for _, one := range to.of(here) {
			require.Equal(t, first, one.id, "a retry is the same notification")
		}
		to.mu.Lock()
		to.got = nil
		to.mu.Unlock()
		up.Store(true)
		time.Sleep(time.Hour)
		ids := map[string]bool{}
		for _, one := range to.of(here) {
			ids[one.id] = true
		}
		require.Len(t, to.of(here), 3)
		require.Len(t, ids, 3)
		require.True(t, ids[first])
	})
}

// An application that was told before its sender died must see that it is told again.
func TestAnotherReplicaTellsTheSameTermination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		to.answer = func(context.Context, string) result { return result{outcome: unreachable} }
		a, b := newReplica(t, s, to, "a", false), newReplica(t, s, to, "b", false)
		a.awaitTermination(t, "app", here)
		time.Sleep(10 * time.Second)
		s.commit("app", "T")
		time.Sleep(10 * time.Second)
		sender := to.of(here)[0]
		if sender.by == "a" {
			a.stop()
		} else {
			b.stop()
		}
		time.Sleep(time.Minute)
		last := to.of(here)[len(to.of(here))-1]
		require.NotEqual(t, sender.by, last.by)
		require.Equal(t, []any{sender.id, sender.body}, []any{last.id, last.body})
	})
}

// A subscription of one type is nothing that the other API knows of; and the limit is of
// each.
func TestSubscriptionsOfEachTypeAreListedAndCountedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		a, b := newReplica(t, s, &subscribers{}, "a", false), newReplica(t, s, &subscribers{}, "b", false)
		a.maxPerApp = 1
		change, end := a.subscribe(t, "app", here), a.awaitTermination(t, "app", here)
		_, err := a.Subscribe(t.Context(), "app", "", mp1.Subscription{CallbackReference: here})
		require.ErrorIs(t, err, server.ErrSubscriptionLimit)
		_, err = a.terminations().Subscribe(t.Context(), "app", "", termination("app"))
		require.ErrorIs(t, err, server.ErrSubscriptionLimit)
		synctest.Wait()
		for _, r := range []*replica{a, b} {
			for kept, ids := range map[*registry][2]string{r.registry: {change, end}, r.terminations(): {end, change}} {
				all, err := kept.SubscriptionsOf(t.Context(), "app")
				require.NoError(t, err)
				require.Len(t, all, 1)
				require.Equal(t, ids[0], all[0].ID)
				_, err = kept.Subscription(t.Context(), "app", ids[0])
				require.NoError(t, err)
				_, err = kept.Subscription(t.Context(), "app", ids[1])
				require.ErrorIs(t, err, server.ErrNoSubscription)
				require.ErrorIs(t, kept.Unsubscribe(t.Context(), "app", ids[1]), server.ErrNoSubscription)
			}
		}
	})
}

// An application that hangs while it is told is removed all the same, and told no more.
func TestTheRemovalOfAnApplicationEndsWhatItIsToldOfIt(t *testing.T) {
	for _, alone := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s, to := newFakeStore(), &subscribers{answer: hangs}
			a := newReplica(t, s, to, "a", alone)
			a.awaitTermination(t, "app", "http://hangs/")
			time.Sleep(10 * time.Second)
			s.commit("app", "T")
			time.Sleep(100 * time.Millisecond)
			require.EqualValues(t, 1, to.inFlight.Load())
			mine := owned{a.terminations()}
			began := time.Now()
			require.Len(t, mine.Of("app"), 1)
			require.Empty(t, mine.Of("other"))
			require.NoError(t, mine.Remove(t.Context(), "app", mine.Of("app")[0]))
			require.LessOrEqual(t, time.Since(began), stopGrace+2*lockPoll)
			told := len(to.of("http://hangs/"))
			time.Sleep(time.Hour)
			require.Len(t, to.of("http://hangs/"), told)
			require.Empty(t, a.entries)
			require.Empty(t, s.cursors)
		})
	}
}

// With ten thousand subscriptions of each type a termination costs one POST and one write.
func TestATerminationCostsWhatIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, s := &subscribers{}, newFakeStore()
		a := newReplica(t, s, to, "a", true)
		for i := range 10_000 {
			app := fmt.Sprint("app", i)
			a.subscribeTo(t, app, here, &mp1.FilteringCriteria{SerNames: []string{app}})
			a.awaitTermination(t, app, here)
		}
		s.commit("app77", "T")
		time.Sleep(time.Hour)
		require.Len(t, to.of(here), 1)
		require.Equal(t, 1, s.cursorsWritten())
	})
}
