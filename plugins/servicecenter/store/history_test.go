package store

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// The erasing of events says up to where they may be missing, and what is behind that is all there.
func TestAHistoryHasAllBehindItsFloor(t *testing.T) {
	ctx := t.Context()
	first, at := storetest.Register(t, store, "history")
	store.ages = plugins.Ages{}
	tidy := func(now plugins.Instant) {
		require.NoError(t, store.Tidy(ctx, now, first.ChangedAt, 24*time.Hour))
	}
	tidy(1)
	kept, keptAt := storetest.Register(t, store, "history")
	tidy(1 + plugins.OutboxAge)
	h, err := store.loadHistory(ctx)
	require.NoError(t, err)
	require.GreaterOrEqual(t, h.Floor, at)
	require.Less(t, h.Floor, keptAt)
	require.GreaterOrEqual(t, h.At, keptAt)
	last := h.Events[len(h.Events)-1]
	require.Equal(t, [2]any{kept.ID, keptAt}, [2]any{last.ID, last.At})
	services := map[heartbeat.ID]heartbeat.State{}
	for _, s := range h.Services {
		services[s.ID] = s.State
		require.Equal(t, heartbeat.NoChange, s.Change)
	}
	require.Equal(t, heartbeat.Active, services[first.ID])
	require.Equal(t, heartbeat.Active, services[kept.ID])
}

// Replicas erase at once, and each goes by the list that it has read.
func TestTheFloorOfAHistoryDoesNotFall(t *testing.T) {
	ctx := t.Context()
	floor := func() heartbeat.Revision {
		h, err := store.historyFloor(ctx, 0)
		require.NoError(t, err)
		return h
	}
	erase := func(newest int64) {
		when, then, otherwise := eraseOps([]string{"/mep/obx/none"}, newest)
		_, err := store.client.Txn(ctx).If(when...).Then(then...).Else(otherwise...).Commit()
		require.NoError(t, err)
	}
	_, err := store.client.Delete(ctx, keys.Erased)
	require.NoError(t, err)
	require.Zero(t, floor())
	for _, one := range []struct{ newest, want heartbeat.Revision }{{9, 9}, {7, 9}, {0, 9}, {10, 10}, {10, 10}, {1_000_000_000_007, 1_000_000_000_007}, {999, 1_000_000_000_007}} {
		erase(int64(one.newest))
		require.Equal(t, one.want, floor(), one.newest)
	}
	res, err := store.client.Put(ctx, keys.Erased, "x")
	require.NoError(t, err)
	at, err := store.historyFloor(ctx, res.Header.Revision)
	require.NoError(t, err)
	require.EqualValues(t, res.Header.Revision, at, "what cannot be read promises nothing")
	_, err = store.client.Delete(ctx, keys.Erased)
	require.NoError(t, err)
	res, err = store.client.Put(ctx, keys.Restored, "{}")
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = store.client.Delete(context.Background(), keys.Restored) })
	require.EqualValues(t, res.Header.Revision, floor(), "what a restore has undone is not there")
}

// historyReader notes what it is shown.
type historyReader struct {
	mu     sync.Mutex
	loaded *plugins.History
	seen   []*plugins.Event
}

func (r *historyReader) Load(h *plugins.History) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loaded = h
}

func (r *historyReader) See(events []*plugins.Event, _ heartbeat.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, events...)
}

func (r *historyReader) Restored() {}

// A transaction tells one event: a revision names one change.
func TestAFollowerSeesOneEventForEachRevision(t *testing.T) {
	r := &historyReader{}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		store.FollowHistory(ctx, r, func(string, error) {})
	}()
	defer func() { stop(); <-done }()
	require.Eventually(t, func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.loaded != nil }, time.Minute, 10*time.Millisecond)
	var want []heartbeat.Revision
	for range 3 {
		_, at := storetest.Register(t, store, "history-follow")
		want = append(want, at)
	}
	_, err := store.client.Delete(ctx, keys.OutboxPrefix+"none", clientv3.WithPrefix())
	require.NoError(t, err)
	require.Eventually(t, func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.seen) >= 3 }, time.Minute, 10*time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	var got []heartbeat.Revision
	for _, e := range r.seen {
		if e.At > r.loaded.At {
			got = append(got, e.At)
		}
	}
	require.Equal(t, want, got)
}
