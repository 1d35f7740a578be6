package servicecenter

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/client"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/datadir"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/quota"
)

// opened is a store of the test's own.
func opened(t *testing.T, dir string) (*Center, *lines) {
	t.Helper()
	said := &lines{}
	log := plugins.NewLog(said, "INFO")
	c := &Center{said: logs.NewRepeats(log)}
	require.NoError(t, c.openStore(t.Context(), Options{DataDir: dir, Quota: 64 << 20, Log: log}))
	return c, said
}

func raiseAlarm(t *testing.T, c *Center) {
	t.Helper()
	s := c.Server()
	_, err := s.Alarm(t.Context(), &etcdserverpb.AlarmRequest{Action: etcdserverpb.AlarmRequest_ACTIVATE, MemberID: uint64(s.MemberID()), Alarm: etcdserverpb.AlarmType_NOSPACE})
	require.NoError(t, err)
	_, err = c.client.Put(t.Context(), "/mep/x", "x")
	require.ErrorIs(t, err, rpctypes.ErrNoSpace)
}

// A store that was left full, by us or by the release before, takes writes again by
// itself: at the next start, and while it runs.
func TestAStoreLeftFullIsHealedAtTheStartAndWhileItRuns(t *testing.T) {
	dir := t.TempDir()
	c, _ := opened(t, dir)
	for range 50 {
		_, err := c.client.Put(t.Context(), "/mep/x", strings.Repeat("x", 100_000))
		require.NoError(t, err)
	}
	raiseAlarm(t, c)
	c.closeStore()

	c, said := opened(t, dir)
	defer c.closeStore()
	require.False(t, c.upkeep.alarmed(), "%s", said)
	_, err := c.client.Put(t.Context(), "/mep/x", "x")
	require.NoError(t, err)
	require.Contains(t, said.String(), "the store was cleared up")
	require.Equal(t, 1, strings.Count(said.String(), "\n"), "in one line: %s", said)
	require.Less(t, c.Server().Backend().Size(), int64(2<<20), "the file gave its history back")

	raiseAlarm(t, c)
	later := c.upkeep.figures()
	later.Now += time.Minute // it was cleared up a moment ago
	c.upkeep.do(t.Context(), c.upkeep.policy.Next(later))
	require.False(t, c.upkeep.alarmed())
	_, err = c.client.Put(t.Context(), "/mep/x", "x")
	require.NoError(t, err)
}

// History goes at each start, so that a box that is restarted more often than anything
// is due does not collect it for ever.
func TestAStoreThatIsRestartedOftenIsCompacted(t *testing.T) {
	dir := t.TempDir()
	var used []int64
	for range 4 {
		c, _ := opened(t, dir)
		for range 30 {
			_, err := c.client.Put(t.Context(), "/mep/x", strings.Repeat("x", 100_000))
			require.NoError(t, err)
		}
		rev := c.Server().KV().Rev()
		c.closeStore()
		c, _ = opened(t, dir)
		_, err := c.client.Get(t.Context(), "/mep/x", clientv3.WithRev(rev-1))
		require.ErrorIs(t, err, rpctypes.ErrCompacted)
		c.upkeep.do(t.Context(), quota.Work{Compact: rev, Reason: quota.ByTime}) // as the start's, but to its end
		c.closeStore()
		r, err := datadir.Check(etcdDir(dir))
		require.NoError(t, err)
		used = append(used, r.InUse)
	}
	require.Less(t, used[3], int64(2<<20), "it does not grow: %v", used)
}

// full is a gate at which so much of 100 MiB is in use.
func full(percent int64) *quota.Gate {
	return quota.NewGate(quota.Config{Limit: 100 << 20, InUse: func() int64 { return percent << 20 }, Flush: func() {}, Refused: func(quota.Class) {}})
}

func TestServiceCentersWritesPassTheSameGate(t *testing.T) {
	r := newRegistry(store.client, full(91), &needed{})
	call := &apiCall{}
	ctx := context.WithValue(t.Context(), callKey{}, call)
	key := "/cse-sr/ms/tags/default/default/app-room"
	put := client.OpPut(client.WithStrKey(key), client.WithStrValue("x"))
	_, err := r.Do(ctx, client.PUT, client.WithStrKey(key), client.WithStrValue("x"))
	require.ErrorIs(t, err, rpctypes.ErrNoSpace)
	_, err = r.Txn(ctx, []client.PluginOp{put})
	require.ErrorIs(t, err, rpctypes.ErrNoSpace)
	_, err = r.PutNoOverride(ctx, client.WithStrKey(key), client.WithStrValue("x"))
	require.ErrorIs(t, err, rpctypes.ErrNoSpace)
	_, err = r.Do(ctx, client.GET, client.WithStrKey(key))
	require.NoError(t, err)
	_, err = r.Do(ctx, client.DEL, client.WithStrKey(key))
	require.NoError(t, err)
	_, err = r.Txn(ctx, []client.PluginOp{client.OpDel(client.WithStrKey(key))})
	require.NoError(t, err)

	w := httptest.NewRecorder()
	(&answerer{ResponseWriter: w, call: call}).WriteHeader(http.StatusInternalServerError)
	require.Equal(t, http.StatusInsufficientStorage, w.Code)
	require.Equal(t, "12", w.Header().Get("Retry-After"), "room is found after five to eleven seconds")
	require.Contains(t, w.Body.String(), `"errorCode":"507001"`)
}

func TestAtAFullStoreTheJudgementGoesOnAndNothingIsAdded(t *testing.T) {
	r, at := registered(t, "app-full")
	s := &Store{client: store.client, server: store.server, gate: full(92)}
	larger, smaller := r, r
	larger.Attributes = strings.Replace(r.Attributes, "face recognition", "face recognition and more", 1)
	smaller.Attributes = strings.Replace(r.Attributes, "face recognition", "face", 1)
	for name, c := range map[string]struct {
		kind   heartbeat.Kind
		record heartbeat.Record
		want   quota.Class
	}{
		"a registration":             {heartbeat.Register, r, quota.Grow},
		"a PUT that grows":           {heartbeat.Rewrite, larger, quota.Grow},
		"a PUT that does not":        {heartbeat.Rewrite, smaller, quota.Change},
		"a PUT to INACTIVE":          {heartbeat.Deactivate, r, quota.Change},
		"a death":                    {heartbeat.Claim, r, quota.Free},
		"a refutation":               {heartbeat.Rearm, r, quota.Free},
		"a return":                   {heartbeat.Resume, r, quota.Free},
		"another interval":           {heartbeat.Raise, r, quota.Free},
		"a deletion":                 {heartbeat.Remove, r, quota.Free},
		"the end of the retention":   {heartbeat.Retention, r, quota.Free},
		"a projection that was gone": {heartbeat.Repair, r, quota.Free},
	} {
		txn := heartbeat.Txn{Kind: c.kind, RecordOp: heartbeat.Put, Record: c.record}
		ops, err := operations(&txn, nil)
		require.NoError(t, err)
		require.Equal(t, c.want, s.classOf(t.Context(), &txn, ops), name)
	}
	s.gate = full(96)
	put := heartbeat.Txn{Kind: heartbeat.Rewrite, RecordRevision: at, RecordOp: heartbeat.Put, Record: smaller}
	_, err := s.Commit(t.Context(), &put)
	require.ErrorIs(t, err, heartbeat.ErrNoAdditions)
	require.ErrorIs(t, err, heartbeat.ErrFull, "which is a 507")
	_, err = s.Subscribe(t.Context(), &plugins.Subscription{ID: "s-full", Owner: "app-full"})
	require.ErrorIs(t, err, heartbeat.ErrNoAdditions)
	gone := heartbeat.Txn{Kind: heartbeat.Remove, RecordRevision: at, RecordOp: heartbeat.Erase, ProjectionOp: heartbeat.Erase, Record: r, Change: heartbeat.Removed}
	_, err = s.Commit(t.Context(), &gone)
	require.NoError(t, err)
}
