package etcd

import (
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// A watch that fell behind is sent its events in portions, each under the newest
// revision: only the events say how far it is.
func TestAWatchIsCompleteOnlyUpToItsLastEvent(t *testing.T) {
	ev := func(at int64) *clientv3.Event {
		e := &clientv3.Event{}
		e.Kv = &mvccpb.KeyValue{ModRevision: at}
		return e
	}
	behind := clientv3.WatchResponse{Header: pb.ResponseHeader{Revision: 5000}, Events: []*clientv3.Event{ev(11), ev(12)}}
	require.EqualValues(t, 12, CompleteUpTo(&behind))
	require.EqualValues(t, 5000, CompleteUpTo(&clientv3.WatchResponse{Header: pb.ResponseHeader{Revision: 5000}}))
	require.Zero(t, CompleteUpTo(&clientv3.WatchResponse{Header: pb.ResponseHeader{Revision: 5000}, Created: true}))
}
