package etcd

import (
	"context"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/pkg/v3/traceutil"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
)

// GetHere is Get of what this process has of the store, or the member that answers: without a round of
// raft. One key of an embedded store is read as etcd reads it for the compares of a transaction: for
// every other read it first copies all that was written since its last flush, which many registrations
// make tens of kilobytes.
func (c *Client) GetHere(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	opts = append(opts[:len(opts):len(opts)], clientv3.WithSerializable())
	if op := clientv3.OpGet(key, opts...); c.etcd == nil || key == "" || op.RangeBytes() != nil || op.Rev() != 0 || op.IsKeysOnly() ||
		op.MinModRev() != 0 || op.MaxModRev() != 0 || op.MinCreateRev() != 0 || op.MaxCreateRev() != 0 {
		return c.Get(ctx, key, opts...)
	} else if op.IsCountOnly() {
		return c.getOne(ctx, key, mvcc.RangeOptions{Count: true})
	}
	return c.getOne(ctx, key, mvcc.RangeOptions{})
}

// getOne reads a key of the embedded store.
func (c *Client) getOne(ctx context.Context, key string, how mvcc.RangeOptions) (*clientv3.GetResponse, error) {
	return inTime(ctx, c.calls, func(ctx context.Context) (*clientv3.GetResponse, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		read := c.etcd.Server.KV().Read(mvcc.SharedBufReadTxMode, traceutil.TODO())
		defer read.End()
		found, err := read.Range(ctx, []byte(key), nil, how)
		if err != nil {
			return nil, err
		}
		out := &clientv3.GetResponse{Header: &etcdserverpb.ResponseHeader{Revision: found.Rev}, Count: int64(found.Count)}
		if len(found.KVs) == 1 {
			out.Kvs = []*mvccpb.KeyValue{&found.KVs[0]}
		}
		return out, nil
	})
}
