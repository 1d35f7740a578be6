package notify

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

func TestTheLimitHoldsHoweverManyAreOnTheirWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newReplica(t, newFakeStore(), &subscribers{}, "a", true)
		a.maxPerApp = 10
		done := make(chan error, 50)
		for range 50 {
			go func() {
				_, err := a.Subscribe(t.Context(), "app", "", mp1.Subscription{CallbackReference: here})
				done <- err
			}()
		}
		made := 0
		for range 50 {
			if err := <-done; err == nil {
				made++
			} else {
				require.ErrorIs(t, err, server.ErrSubscriptionLimit)
			}
		}
		require.Equal(t, 10, made)
		all, err := a.SubscriptionsOf(t.Context(), "app")
		require.NoError(t, err)
		require.Len(t, all, 10)
		a.subscribe(t, "another", here)
		require.NoError(t, a.Unsubscribe(t.Context(), "app", all[0].ID))
		a.subscribe(t, "app", here)
		require.Empty(t, a.reserved)
	})
}

// late is a store whose response comes after its watch showed the subscription.
type late struct {
	*link
	between func()
}

func (l *late) Subscribe(ctx context.Context, s *plugins.Subscription) (heartbeat.Revision, error) {
	at, err := l.link.Subscribe(ctx, s)
	synctest.Wait()
	if f := l.between; f != nil {
		l.between = nil
		f()
	}
	return at, err
}

func TestASubscriptionOnItsWayIsCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &late{link: newFakeStore().link()}
		a := newReplicaOver(t, l, l.link, &subscribers{}, "a", true)
		a.maxPerApp = 2
		l.between = func() { a.subscribe(t, "app", here) }
		a.subscribe(t, "app", here)
		_, err := a.Subscribe(t.Context(), "app", "", mp1.Subscription{CallbackReference: here})
		require.ErrorIs(t, err, server.ErrSubscriptionLimit)
		require.Empty(t, a.reserved)
	})
}

func TestAForeignSubscriptionDoesNotExist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		a, b := newReplica(t, s, &subscribers{}, "a", false), newReplica(t, s, &subscribers{}, "b", false)
		id := a.subscribe(t, "app", here)
		for _, r := range []*replica{a, b} {
			_, err := r.Subscription(t.Context(), "app", id)
			require.NoError(t, err, "the other asks the store")
			_, err = r.Subscription(t.Context(), "other", id)
			require.ErrorIs(t, err, server.ErrNoSubscription)
			require.ErrorIs(t, r.Unsubscribe(t.Context(), "other", id), server.ErrNoSubscription)
			all, err := r.SubscriptionsOf(t.Context(), "other")
			require.NoError(t, err)
			require.Empty(t, all)
		}
	})
}

// failing is a store that takes a subscription and does not say so, or is full.
type failing struct {
	*link
	err   error
	takes bool
}

func (f *failing) Subscribe(ctx context.Context, s *plugins.Subscription) (heartbeat.Revision, error) {
	if f.takes {
		_, _ = f.link.Subscribe(ctx, s)
	}
	return 0, f.err
}

func TestASubscriptionIsAnsweredByWhatTheStoreHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &failing{link: newFakeStore().link()}
		a := newReplicaOver(t, f, f.link, &subscribers{}, "a", true)
		for _, c := range []struct {
			err   error
			takes bool
			want  error
		}{
			{errCut, true, nil},
			{errCut, false, heartbeat.ErrUnavailable},
			{heartbeat.ErrFull, false, heartbeat.ErrFull},
		} {
			f.err, f.takes = c.err, c.takes
			s, err := a.Subscribe(t.Context(), "app", "", mp1.Subscription{CallbackReference: here})
			require.ErrorIs(t, err, c.want)
			if err == nil {
				_, err = a.Subscription(t.Context(), "app", s.ID)
				require.NoError(t, err)
			}
		}
		all, err := a.SubscriptionsOf(t.Context(), "app")
		require.NoError(t, err)
		require.Len(t, all, 1)
		a.link.setCut(true)
		require.ErrorIs(t, a.Unsubscribe(t.Context(), "app", all[0].ID), heartbeat.ErrUnavailable)
		_, err = a.Subscribe(t.Context(), "app", "", mp1.Subscription{CallbackReference: "http://10.0.0.1"})
		var bad *mp1.Invalid
		require.ErrorAs(t, err, &bad, "an address that may not be called")
		require.Empty(t, a.reserved)
	})
}

// What the store had when it was read may be erased, and seen to be, before the response is
// taken in.
func TestAnAnswerThatIsTooOldMakesNoGhost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore()
		a := newReplica(t, s, &subscribers{}, "a", false)
		id := a.subscribe(t, "app", here)
		old := s.subs[id]
		require.NoError(t, a.Unsubscribe(t.Context(), "app", id))
		synctest.Wait()
		a.mu.Lock()
		require.Nil(t, a.addSeen(old))
		require.NotNil(t, a.addSeen(&plugins.Subscription{ID: "newer", Owner: "app", At: a.seen + 1}))
		a.mu.Unlock()
	})
}
