package store

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

func TestGatewayEntriesAreKeptAsTheyAre(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	shown := map[heartbeat.ID]plugins.GatewayEntries{}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		store.FollowGatewayEntries(ctx, func(all []plugins.GatewayEntries, _ heartbeat.Revision) {
			mu.Lock()
			defer mu.Unlock()
			clear(shown)
			for _, e := range all {
				shown[e.ID] = e
			}
		}, func(e plugins.GatewayEntries, erased bool) {
			mu.Lock()
			defer mu.Unlock()
			shown[e.ID] = e
			if erased {
				delete(shown, e.ID)
			}
		}, func(string, error) {})
	})
	defer func() { cancel(); work.Wait() }()
	is := func(want plugins.GatewayEntries) {
		t.Helper()
		got, err := store.GatewayEntries(t.Context(), want.ID)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Eventually(t, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return shown[want.ID].At == want.At
		}, time.Minute, time.Millisecond)
	}

	e := plugins.GatewayEntries{ID: heartbeat.ID(strings.Repeat("1", 32)), Names: map[string]string{"http://a/": "sa", "http://b/": "sb"}, Removed: []string{"sc"}}
	var err error
	e.At, err = store.SaveGatewayEntries(t.Context(), e)
	require.NoError(t, err)
	is(e)
	stale := e
	stale.At = 0
	_, err = store.SaveGatewayEntries(t.Context(), stale)
	require.ErrorIs(t, err, heartbeat.ErrConflict)
	_, err = store.EraseGatewayEntries(t.Context(), e.ID, e.At-1)
	require.ErrorIs(t, err, heartbeat.ErrConflict)
	e.Names, e.Removed = nil, []string{"sa", "sb", "sc"}
	e.At, err = store.SaveGatewayEntries(t.Context(), e)
	require.NoError(t, err)
	is(e)
	_, err = store.EraseGatewayEntries(t.Context(), e.ID, e.At)
	require.NoError(t, err)
	is(plugins.GatewayEntries{ID: e.ID})
}

// What a later release adds survives what this one writes, and what cannot be read is as good
// as not there.
func TestGatewayEntriesKeepWhatTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	e := plugins.GatewayEntries{ID: heartbeat.ID(strings.Repeat("2", 64)), Names: map[string]string{"http://a/": "sa"}}
	_, err := store.SaveGatewayEntries(t.Context(), e)
	require.NoError(t, err)
	key := keys.GatewayPrefix + string(e.ID)
	require.Equal(t, `{"schema":1,"entries":[{"uri":"http://a/","name":"sa"}]}`, storetest.Value(t, store.client, key))
	_, err = store.client.Put(t.Context(), key, `{"schema":1,"entries":[{"uri":"http://a/","name":"sa"}],"younger":[1]}`)
	require.NoError(t, err)
	e, err = store.GatewayEntries(t.Context(), e.ID)
	require.NoError(t, err)
	e.Removed = []string{"sb"}
	_, err = store.SaveGatewayEntries(t.Context(), e)
	require.NoError(t, err)
	require.Equal(t, `{"schema":1,"entries":[{"uri":"http://a/","name":"sa"}],"removed":["sb"],"younger":[1]}`, storetest.Value(t, store.client, key))
	for _, value := range []string{"{", `{"schema":2}`, `{"schema":1,"entries":1}`} {
		put, err := store.client.Put(t.Context(), key, value)
		require.NoError(t, err)
		e, err = store.GatewayEntries(t.Context(), e.ID)
		require.NoError(t, err)
		require.Equal(t, plugins.GatewayEntries{ID: e.ID, At: heartbeat.Revision(put.Header.Revision)}, e)
	}
	_, err = store.SaveGatewayEntries(t.Context(), e)
	require.NoError(t, err)
}
