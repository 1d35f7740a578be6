package notify

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// heeding is a store that does nothing for a context that has ended, and counts reads.
type heeding struct {
	*link
	reads  atomic.Int64
	faster bool // somebody else always is
}

func (h *heeding) Subscribe(ctx context.Context, s *plugins.Subscription) (heartbeat.Revision, error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	return h.link.Subscribe(ctx, s)
}

func (h *heeding) Unsubscribe(ctx context.Context, subscriptionType, id string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if h.faster {
		return heartbeat.ErrConflict
	}
	return h.link.Unsubscribe(ctx, subscriptionType, id)
}

func (h *heeding) Subscription(ctx context.Context, subscriptionType, id string) (*plugins.Subscription, error) {
	h.reads.Add(1)
	return h.link.Subscription(ctx, subscriptionType, id)
}

// A client that hangs up leaves nothing undecided.
func TestWhoHangsUpIsSubscribedAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heeding{link: newFakeStore().link()}
		a := newReplicaOver(t, h, h.link, &subscribers{}, "a", true)
		gone, hangUp := context.WithCancel(t.Context())
		hangUp()
		asked := mp1.Subscription{SubscriptionType: mp1.SubscriptionType, CallbackReference: here}
		asked.Links = &mp1.SubscriptionLinks{}
		s, err := a.Subscribe(gone, "app", "", asked)
		require.NoError(t, err)
		require.Nil(t, h.subs[s.ID].Asked.Links, "links are ours to make")
		require.NoError(t, a.Unsubscribe(gone, "app", s.ID))
		require.Empty(t, h.subs)
	})
}

func TestTheOnlyReplicaAsksNobodyForASubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heeding{link: newFakeStore().link()}
		a := newReplicaOver(t, h, h.link, &subscribers{}, "a", true)
		_, err := a.Subscription(t.Context(), "app", "none")
		require.ErrorIs(t, err, server.ErrNoSubscription)
		require.Zero(t, h.reads.Load())
	})
}

func TestSubscriptionsAreListedAsTheyWereMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newReplica(t, newFakeStore(), &subscribers{}, "a", true)
		var made, listed []string
		for range 10 {
			made = append(made, a.subscribe(t, "app", here))
		}
		all, err := a.SubscriptionsOf(t.Context(), "app")
		require.NoError(t, err)
		for _, s := range all {
			listed = append(listed, s.ID)
		}
		require.Equal(t, made, listed)
	})
}

// Whoever deletes what another replica just deleted may rely on it as well.
func TestADeletionThatCameSecondWaitsUntilNothingIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, to := newFakeStore(), &subscribers{answer: hangs}
		h := &heeding{link: s.link()}
		a := newReplicaOver(t, h, h.link, to, "a", true)
		id := a.subscribe(t, "app", "http://hangs/")
		synctest.Wait()
		s.commit("x", "S")
		time.Sleep(time.Millisecond)
		require.EqualValues(t, 1, to.inFlight.Load())
		h.faster = true
		require.ErrorIs(t, a.Unsubscribe(t.Context(), "app", id), server.ErrNoSubscription)
		require.Zero(t, to.inFlight.Load())
	})
}
