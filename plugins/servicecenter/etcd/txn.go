package etcd

import (
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// PutOverhead is what a put costs beside its key and its value: its place in a page,
// and its share of the pages above, in bytes.
const PutOverhead = 512

// Cost is about how many bytes the puts among ops add to the database until the
// history before them is compacted.
func Cost(ops []clientv3.Op) (n int64) {
	for _, op := range ops {
		if op.IsPut() {
			n += int64(len(op.KeyBytes())+len(op.ValueBytes())) + PutOverhead
		}
	}
	return n
}

// Unchanged compares that a key is as it was read; kv nil: it was not there.
func Unchanged(key string, kv *mvccpb.KeyValue) clientv3.Cmp {
	if kv == nil {
		return clientv3.Compare(clientv3.CreateRevision(key), "=", 0)
	}
	return clientv3.Compare(clientv3.ModRevision(key), "=", kv.ModRevision)
}

// CompleteUpTo is the revision up to which nothing is missing. The header of a response
// with events may be far ahead of them: etcd sends a watch that fell behind its
// events in portions, each under the newest revision.
func CompleteUpTo(res *clientv3.WatchResponse) heartbeat.Revision {
	if n := len(res.Events); n > 0 {
		return heartbeat.Revision(res.Events[n-1].Kv.ModRevision)
	}
	if res.IsProgressNotify() {
		return heartbeat.Revision(res.Header.Revision)
	}
	return 0
}
