package etcd

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/datadir"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
)

// opened is a store of the test's own.
func opened(t *testing.T, dir string) (*Client, *etcdtest.Lines) {
	t.Helper()
	said := &etcdtest.Lines{}
	log := plugins.NewLog(said, "INFO")
	c, err := Open(t.Context(), Options{DataDir: dir, Quota: 64 << 20, Probe: probe, Log: log, Repeats: logs.NewRepeats(log)})
	require.NoError(t, err)
	return c, said
}

func raiseAlarm(t *testing.T, c *Client) {
	t.Helper()
	s := c.etcd.Server
	_, err := s.Alarm(t.Context(), &etcdserverpb.AlarmRequest{Action: etcdserverpb.AlarmRequest_ACTIVATE, MemberID: uint64(s.MemberID()), Alarm: etcdserverpb.AlarmType_NOSPACE})
	require.NoError(t, err)
	_, err = c.Put(t.Context(), "/mep/x", "x")
	require.ErrorIs(t, err, rpctypes.ErrNoSpace)
}

// A store that was left full, by us or by the previous release, takes writes again by
// itself: at the next start, and while it runs.
func TestAStoreLeftFullIsHealedAtTheStartAndWhileItRuns(t *testing.T) {
	dir := t.TempDir()
	c, _ := opened(t, dir)
	for range 50 {
		_, err := c.Put(t.Context(), "/mep/x", strings.Repeat("x", 100_000))
		require.NoError(t, err)
	}
	raiseAlarm(t, c)
	c.Close()

	c, said := opened(t, dir)
	defer c.Close()
	require.False(t, c.upkeep.alarmed(), "%s", said)
	_, err := c.Put(t.Context(), "/mep/x", "x")
	require.NoError(t, err)
	require.Contains(t, said.String(), "the store was cleared up")
	require.Equal(t, 1, strings.Count(said.String(), "\n"), "in one line: %s", said)
	require.Less(t, c.etcd.Server.Backend().Size(), int64(2<<20), "the file gave its history back")

	raiseAlarm(t, c)
	later := c.upkeep.figures()
	later.Now += time.Minute // it was cleared up a moment ago
	c.upkeep.perform(t.Context(), c.upkeep.policy.Next(later))
	require.False(t, c.upkeep.alarmed())
	_, err = c.Put(t.Context(), "/mep/x", "x")
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
			_, err := c.Put(t.Context(), "/mep/x", strings.Repeat("x", 100_000))
			require.NoError(t, err)
		}
		rev := c.etcd.Server.KV().Rev()
		c.Close()
		c, _ = opened(t, dir)
		_, err := c.Get(t.Context(), "/mep/x", clientv3.WithRev(rev-1))
		require.NoError(t, err, "a start does not wait for it")
		ctx, stop := context.WithCancel(t.Context())
		running := make(chan struct{})
		go func() { defer close(running); c.Upkeep(ctx) }()
		require.Eventually(t, func() bool {
			_, err := c.Get(t.Context(), "/mep/x", clientv3.WithRev(rev-1))
			return errors.Is(err, rpctypes.ErrCompacted)
		}, 30*time.Second, time.Millisecond)
		stop()
		<-running
		c.upkeep.perform(t.Context(), quota.Work{Compact: rev, Reason: quota.ByTime}) // as the start's, but to its end
		c.Close()
		r, err := datadir.Check(Dir(dir))
		require.NoError(t, err)
		used = append(used, r.InUse)
	}
	require.Less(t, used[3], int64(2<<20), "it does not grow: %v", used)
}
