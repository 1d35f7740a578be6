package notify

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// subscribeTested makes a subscription with a test notification.
func (r *replica) subscribeTested(t *testing.T, url string) string {
	t.Helper()
	s, err := r.Subscribe(t.Context(), "app", "", mp1.Subscription{SubscriptionType: mp1.SubscriptionType, CallbackReference: url, RequestTestNotification: true})
	require.NoError(t, err)
	return s.ID
}

// The replica that was asked for it sends it, three times at most, and nothing waits for it.
func TestATestNotificationIsSentByWhoWasAsked(t *testing.T) {
	for _, alone := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s, to := newFakeStore(), &subscribers{answer: hangs}
			a := newReplica(t, s, to, "a", alone)
			if !alone {
				newReplica(t, s, to, "b", false)
			}
			a.subscribeTested(t, here)
			time.Sleep(time.Second)
			require.Equal(t, 1, to.all())
			require.Equal(t, "a", to.got[0].by)
			require.True(t, strings.HasSuffix(to.got[0].id, "-test"))
			to.answer = func(context.Context, string) result { return result{outcome: failed} }
			a.subscribeTested(t, "http://fails/")
			time.Sleep(time.Hour)
			require.Len(t, to.of("http://fails/"), testAttempts)
			to.answer = func(ctx context.Context, _ string) result {
				if to.all() == 1+testAttempts+1 { // the test
					<-ctx.Done()
				}
				return result{}
			}
			a.subscribeTested(t, "http://hangs/")
			time.Sleep(time.Second)
			s.commit("x", "S")
			time.Sleep(time.Second)
			require.Len(t, to.of("http://hangs/"), 2, "an event does not wait for the test")
		})
	}
}

// After the answer to the DELETE of a subscription no test notification starts, and none is
// under way, at whatever replica it is deleted and whatever the test waits for.
func TestNoTestNotificationAfterTheDeletion(t *testing.T) {
	for name, deletedAt := range map[string]int{"alone": -1, "at the replica that was asked": 0, "at another replica": 1} {
		for waits, answer := range map[string]func(context.Context, string) result{"for the consumer": hangs, "to be repeated": func(context.Context, string) result { return result{outcome: failed} }, "for a permit": nil} {
			synctest.Test(t, func(t *testing.T) {
				s, to := newFakeStore(), &subscribers{answer: answer}
				replicas := []*replica{newReplica(t, s, to, "a", deletedAt < 0)}
				if deletedAt >= 0 {
					replicas = append(replicas, newReplica(t, s, to, "b", false))
				}
				a := replicas[0]
				var held []*permit
				if answer == nil {
					a.permits = newSemaphore(2)
					one, _ := a.permits.acquire(t.Context(), nil, prompt, "x", "x")
					held = append(held, one)
				}
				id := a.subscribeTested(t, "http://x/")
				time.Sleep(2 * time.Second)
				require.NoError(t, replicas[max(deletedAt, 0)].Unsubscribe(t.Context(), "app", id), name)
				began := to.all()
				require.Zero(t, to.inFlight.Load(), "%s, it waits %s", name, waits)
				for _, one := range held {
					one.release()
				}
				time.Sleep(time.Hour)
				require.Equal(t, began, to.all(), "%s, it waits %s", name, waits)
			})
		}
	}
}

// A server that stops waits for no test notification longer than for any POST.
func TestAStopCutsATestNotification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, to := newFakeStore(), &subscribers{answer: hangs}
		a := newReplica(t, s, to, "a", true)
		a.subscribeTested(t, "http://hangs/")
		time.Sleep(time.Second)
		require.EqualValues(t, 1, to.inFlight.Load())
		began := time.Now()
		a.stop()
		require.LessOrEqual(t, time.Since(began), stopGrace)
		require.Zero(t, to.inFlight.Load())
	})
}
