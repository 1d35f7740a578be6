package store

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// slowEmpty is an empty store at revision 7 that takes a second for each page.
type slowEmpty struct {
	clientv3.KV
	watcher func()
}

func (s slowEmpty) Get(ctx context.Context, _ string, _ ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	select {
	case <-time.After(time.Second):
		return &clientv3.GetResponse{Header: &pb.ResponseHeader{Revision: 7}}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s slowEmpty) Watch(context.Context, string, ...clientv3.OpOption) clientv3.WatchChan {
	s.watcher()
	c := make(chan clientv3.WatchResponse)
	close(c)
	return c
}

func (s slowEmpty) RequestProgress(context.Context) error { return nil }
func (s slowEmpty) Close() error                          { return nil }

// What others changed is put right beside the list: a replica that lost its watch sees
// nothing until it has its list. Over a slow store that took 10 s longer each time.
func TestPuttingRightDelaysNoList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Store{client: etcd.Over(&clientv3.Client{KV: slowEmpty{}}, keys.Cluster, etcdtest.Discard), repairs: newRepairs(), log: plugins.NewLog(logged, "INFO")}
		for range 3 {
			began := time.Now()
			_, _, err := s.List(t.Context())
			require.NoError(t, err)
			require.Equal(t, 2*time.Second, time.Since(began), "one page of records, one of instances")
			require.Len(t, s.repairs.turn, 1, "it is under way, once")
			require.EqualValues(t, 7, s.client.Readers.Oldest(), "what it reads is not compacted away")
		}
		time.Sleep(repairTimeout)
		synctest.Wait()
		require.Zero(t, s.client.Readers.Oldest())
		_, _, err := s.List(t.Context())
		require.NoError(t, err)
		s.Close()
		_, _, err = s.List(t.Context())
		require.NoError(t, err)
		require.Zero(t, s.client.Readers.Oldest(), "nothing begins after the end")
		s.Close()
	})
}

// A store that is short of room keeps 5 s of history: what was written since a list must
// be there until the watch begins that goes on from it, however long that takes.
func TestHistoryIsKeptFromAListToTheWatchThatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		s := &Store{client: etcd.Over(nil, keys.Cluster, etcdtest.Discard), intervals: defaultIntervals}
		watches := 0
		slow := slowEmpty{watcher: func() {
			watches++
			require.EqualValues(t, 7, s.client.Readers.Oldest(), "when the watch begins")
		}}
		s.client.Client = &clientv3.Client{KV: slow, Watcher: slow}
		s.follow(ctx, watchRange{name: "test", from: keys.RecordPrefix, end: keys.WatchedEnd,
			load: func(ctx context.Context) (heartbeat.Revision, error) {
				at, err := s.each(ctx, keys.RecordPrefix, 0, func(*mvccpb.KeyValue) {})
				require.EqualValues(t, 7, s.client.Readers.Oldest(), "between two ranges of the list")
				return heartbeat.Revision(at), err
			},
			loaded: func() {
				time.Sleep(time.Minute)
				require.EqualValues(t, 7, s.client.Readers.Oldest(), "while it is taken in")
			},
			restored: func() {},
		}, func(reason string, _ error) {
			if reason == "watch" {
				if watches == 2 {
					stop()
				}
			}
		})
		require.Equal(t, 2, watches)
		require.Zero(t, s.client.Readers.Oldest(), "nobody reads any more")
	})
}
