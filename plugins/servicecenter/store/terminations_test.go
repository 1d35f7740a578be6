package store

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// awaits subscribes an application to its own termination.
func awaits(t *testing.T, id, app string) *plugins.Subscription {
	t.Helper()
	s := &plugins.Subscription{ID: id, Owner: app, Prefix: "/mep", Since: 7, Asked: mp1.Subscription{SubscriptionType: mp1.TerminationSubscriptionType,
		CallbackReference: "http://h", AppInstanceID: app}}
	at, err := store.Subscribe(t.Context(), s)
	require.NoError(t, err)
	s.At = at
	t.Cleanup(func() { _ = store.Unsubscribe(context.Background(), mp1.TerminationSubscriptionType, id) })
	return s
}

// begin begins a termination of an application, whatever it was before.
func begin(t *testing.T, app string, begun int64) (key string, at heartbeat.Revision) {
	t.Helper()
	now, err := store.Application(t.Context(), app)
	require.NoError(t, err)
	a := terminated(app, begun)
	a.At = now.At
	at, err = store.BeginTermination(t.Context(), a)
	require.NoError(t, err)
	return keys.Termination(app, begun), at
}

func has(t *testing.T, key string) bool {
	t.Helper()
	kv, err := store.one(t.Context(), key)
	require.NoError(t, err)
	return kv != nil
}

// Subscriptions of the two types differ in where they are kept, and have the same cursors and
// locks.
func TestASubscriptionToATerminationIsNoneToServices(t *testing.T) {
	ctx := t.Context()
	s := awaits(t, "sub-termination", "app-t")
	read, err := store.Subscription(ctx, mp1.TerminationSubscriptionType, s.ID)
	require.NoError(t, err)
	require.Equal(t, s, read)
	none, err := store.Subscription(ctx, mp1.SubscriptionType, s.ID)
	require.NoError(t, err)
	require.Nil(t, none)
	require.ErrorIs(t, store.Unsubscribe(ctx, mp1.SubscriptionType, s.ID), heartbeat.ErrConflict)
	service := &plugins.Subscription{ID: s.ID, Owner: "app", Asked: mp1.Subscription{SubscriptionType: mp1.SubscriptionType}}
	_, err = store.Subscribe(ctx, service)
	require.ErrorIs(t, err, heartbeat.ErrConflict, "they would share a cursor")

	l, err := store.Grant(ctx, storetest.LongLease)
	require.NoError(t, err)
	_, err = store.Lock(ctx, s.ID, l, false)
	require.NoError(t, err)
	c, err := store.Cursor(ctx, s.ID)
	require.NoError(t, err)
	require.Equal(t, s.At, c.After)
	require.NoError(t, store.Unsubscribe(ctx, mp1.TerminationSubscriptionType, s.ID))
	require.NoError(t, store.Unlock(ctx, s.ID, l))
	_, err = store.Lock(ctx, s.ID, l, false)
	require.ErrorIs(t, err, heartbeat.ErrConflict, "there is none any more")
	for _, bad := range []string{`{"schema":1,"owner":"app","asked":{"subscriptionType":"AppTerminationNotificationSubscription","appInstanceId":"other"}}`,
		`{"schema":1,"owner":"app","asked":{"subscriptionType":"SerAvailabilityNotificationSubscription"}}`, `{"schema":2}`, `{`} {
		kv := kvAt(1)
		kv.Key, kv.Value = []byte(keys.TerminationSubPrefix+"s"), []byte(bad)
		_, ok := decodeSubscription(kv)
		require.False(t, ok, bad)
	}
}

// A replica of the release before lists and watches the subscriptions to services, and sends
// each of them every change of a service that its filter, and no filter is one, does not
// exclude. It erases what it cannot read of the outbox.
func TestTheReleaseBeforeFindsNothingOfTerminationsWhereItLooks(t *testing.T) {
	s := awaits(t, "sub-before", "app-previously")
	begin(t, "app-previously", 3)
	for _, prefix := range []string{"/mep/sub/", "/mep/obx/"} {
		got, err := store.client.Get(t.Context(), prefix, clientv3.WithPrefix())
		require.NoError(t, err)
		for _, kv := range got.Kvs {
			require.NotContains(t, string(kv.Key)+string(kv.Value), "app-previously")
			require.NotContains(t, string(kv.Key), s.ID)
		}
	}
	kv, err := store.one(t.Context(), "/mep/cur/"+s.ID)
	require.NoError(t, err)
	require.JSONEq(t, `{"schema":1,"after":0}`, string(kv.Value), "a cursor without its subscription keeps nothing, and one that it cannot read everything")
}

// Terminations are shown with changes of services, all in the order of commits, from a list
// and from a watch.
func TestTerminationsAreShownAmongTheOthersInTheOrderOfCommits(t *testing.T) {
	s := awaits(t, "sub-shown", "app-shown")
	first, firstAt := begin(t, "app-shown", 1)
	r1, _ := storetest.Register(t, store, "app-shown-service")
	second, _ := begin(t, "app-shown", 2)
	_, err := store.client.Put(t.Context(), keys.TerminationPrefix+"garbage", "{")
	require.NoError(t, err)
	r := &reader{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		store.FollowOutbox(ctx, r, func(string, error) {})
		close(done)
	}()
	require.Eventually(t, func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.loaded == 1 }, 30*time.Second, time.Millisecond)
	third, _ := begin(t, "app-shown", 4)
	require.NoError(t, store.Unsubscribe(t.Context(), mp1.TerminationSubscriptionType, s.ID))
	names := []string{first, keys.Event(r1.ID, 1), second, third}
	require.Eventually(t, func() bool { return len(r.shown(names...)) == 4 && len(r.shown(s.ID)) == 2 }, 30*time.Second, time.Millisecond)
	cancel()
	<-done
	for i, w := range r.shown(names...) {
		require.Equal(t, names[i], w.Name)
		require.Equal(t, w.At, w.Event.At)
	}
	require.Equal(t, &plugins.Event{At: firstAt, Owner: "app-shown", Made: 1, Size: r.shown(first)[0].Event.Size,
		Termination: &plugins.Termination{Action: mp1.Terminating, Timeout: 5, Begun: 1}}, r.shown(first)[0].Event)
	require.Equal(t, plugins.OutboxWrite{Kind: plugins.SubscriptionWritten, Name: s.ID, At: s.At, Subscription: s}, r.shown(s.ID)[0])
	require.True(t, r.shown(s.ID)[1].Gone)
	unread := r.shown(keys.TerminationPrefix + "garbage")
	require.Len(t, unread, 1, "counted and said")
	require.Nil(t, unread[0].Event)
}

// A termination is erased by the rules of every event, and holds back no other: neither a
// subscription to a service keeps it, nor one to another application's.
func TestATerminationIsKeptUntilItsApplicationWasTold(t *testing.T) {
	ctx := t.Context()
	subscribedTo(t, "sub-all-services", nil)
	awaits(t, "sub-other", "app-kept-other")
	s := awaits(t, "sub-kept", "app-kept")
	mine, at := begin(t, "app-kept", 5)
	foreign, _ := begin(t, "app-kept-nobody", 5)
	service, _ := storetest.Register(t, store, "app-kept-service")
	store.ages = plugins.Ages{}
	tidy := func(now plugins.Instant) { require.NoError(t, store.Tidy(ctx, now, 5, 24*time.Hour)) }
	tidy(1)
	tidy(plugins.OutboxAge)
	require.True(t, has(t, foreign), "not before its minute")
	tidy(1 + plugins.OutboxAge)
	require.False(t, has(t, foreign), "nobody is told of it")
	require.True(t, has(t, mine))
	tidy(1 + 100*24*time.Hour)
	require.True(t, has(t, mine), "nor does it go for its age")
	c, err := store.Cursor(ctx, s.ID)
	require.NoError(t, err)
	_, err = store.MoveCursor(ctx, s.ID, plugins.Cursor{After: at, At: c.At})
	require.NoError(t, err)
	tidy(1 + 100*24*time.Hour)
	require.False(t, has(t, mine), "it was told")
	require.True(t, has(t, keys.Event(service.ID, 1)), "somebody waits for every service")

	gone, _ := begin(t, "app-kept", 6)
	store.ages = plugins.Ages{}
	tidy(1)
	require.NoError(t, store.Unsubscribe(ctx, mp1.TerminationSubscriptionType, s.ID))
	tidy(1 + plugins.OutboxAge)
	require.False(t, has(t, gone), "with the application nobody is left to tell")
}

// What a subscription to a termination asked that cannot be read, nobody knows.
func TestATerminationIsNotLostToASubscriptionThatCannotBeRead(t *testing.T) {
	ctx := t.Context()
	s := awaits(t, "sub-unread-t", "app-unread-t")
	_, err := store.client.Put(ctx, keys.TerminationSubPrefix+s.ID, "{")
	require.NoError(t, err)
	key, _ := begin(t, "app-unread-t", 5)
	store.ages = plugins.Ages{}
	tidy := func(now plugins.Instant) { require.NoError(t, store.Tidy(ctx, now, 5, 24*time.Hour)) }
	tidy(1)
	said := len(logged.String())
	tidy(1 + plugins.OutboxAge)
	require.True(t, has(t, key))
	require.True(t, strings.Contains(logged.String()[said:], keys.TerminationSubPrefix+s.ID))
	tidy(1 + 24*time.Hour + plugins.OutboxAge)
	require.False(t, has(t, key), "nor is it kept for ever")
}
