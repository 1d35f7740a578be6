package store

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// A start asked etcd for each record, instance and event, which the check of its files had read already,
// while nothing else was left to do.
func TestAStartAsksForNothingThatTheCheckHasRead(t *testing.T) {
	dir := t.TempDir()
	begin := func(early *Early) (*Store, *countedKeys, func()) {
		o := etcd.Options{DataDir: dir, Quota: 1 << 30, Probe: keys.Cluster, Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard)}
		if early != nil {
			o.Early = early.Early
		}
		db, err := etcd.Open(t.Context(), o)
		require.NoError(t, err)
		c := &countedKeys{KV: db.KV}
		db.KV = c
		s := New(Options{Client: db, Log: etcdtest.Discard, Served: func(ctx context.Context) { <-ctx.Done() }})
		end := sync.OnceFunc(func() { s.Close(); db.Close() })
		t.Cleanup(end)
		s.ShareStart(early)
		return s, c, end
	}
	s, _, end := begin(nil)
	var all []heartbeat.Record
	for i := range 30 {
		r, _ := storetest.Register(t, s, fmt.Sprint("app", i/5))
		all = append(all, r)
	}
	_, err := s.client.Put(t.Context(), keys.Record(all[7].ID), "{") // somebody has damaged it
	require.NoError(t, err)
	_, err = s.client.Put(t.Context(), keys.InstancePrefix+"x/y", "{}") // and this is another client's
	require.NoError(t, err)
	end()

	lists := func(early *Early) (listed []heartbeat.Listed, h *historyReader, r *reader, read int64) {
		s, c, end := begin(early)
		defer end()
		h, r = &historyReader{}, &reader{}
		var others sync.WaitGroup
		others.Go(func() { h.loaded, _ = s.loadHistory(t.Context()) })
		others.Go(func() { _, _ = s.loadOutbox(t.Context(), r) })
		listed, _, err := s.List(t.Context())
		others.Wait()
		require.NoError(t, err)
		require.Nil(t, s.starting.Load())
		return listed, h, r, c.keys.Load()
	}
	want, wantHistory, wantOutbox, read := lists(nil)
	require.Len(t, want, 29)
	require.GreaterOrEqual(t, read, int64(3*30))
	listed, h, r, read := lists(NewEarly())
	require.LessOrEqual(t, read, int64(5), "a handful of single keys")
	require.ElementsMatch(t, want, listed)
	require.ElementsMatch(t, wantHistory.loaded.Services, h.loaded.Services)
	require.Equal(t, wantHistory.loaded.Events, h.loaded.Events)
	require.Len(t, h.loaded.Events, 30)
	require.Equal(t, wantOutbox.all, r.all)
}
