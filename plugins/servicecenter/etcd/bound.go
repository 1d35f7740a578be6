package etcd

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/lease"

	"github.com/mec-liveness/mepserver/plugins"
)

// bind has every call of a client end in time; all and l are nil for a cluster. Watches
// and the upkeep of an embedded store have bounds of their own.
func bind(c *clientv3.Client, all *calls, r *lessor) {
	c.KV = boundKV{c.KV, all}
	c.Lease = boundLease{c.Lease, all, r}
}

// collect adds what an operator watches.
func (s *calls) collect(cs *plugins.Collectors, sort string) {
	cs.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mep_store_calls_hanging", Help: "Calls into the embedded store that nobody waits for any more, and that have not returned.",
		ConstLabels: prometheus.Labels{"sort": sort},
	}, func() float64 { return float64(s.hanging.Load()) }))
}

type boundKV struct {
	clientv3.KV
	calls *calls
}

// Get implements clientv3.KV.
func (b boundKV) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	return inTime(ctx, b.calls, func(ctx context.Context) (*clientv3.GetResponse, error) { return b.KV.Get(ctx, key, opts...) })
}

// Put implements clientv3.KV.
func (b boundKV) Put(ctx context.Context, key, value string, opts ...clientv3.OpOption) (*clientv3.PutResponse, error) {
	return inTime(ctx, b.calls, func(ctx context.Context) (*clientv3.PutResponse, error) { return b.KV.Put(ctx, key, value, opts...) })
}

// Delete implements clientv3.KV.
func (b boundKV) Delete(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.DeleteResponse, error) {
	return inTime(ctx, b.calls, func(ctx context.Context) (*clientv3.DeleteResponse, error) { return b.KV.Delete(ctx, key, opts...) })
}

// Do implements clientv3.KV.
func (b boundKV) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	return inTime(ctx, b.calls, func(ctx context.Context) (clientv3.OpResponse, error) { return b.KV.Do(ctx, op) })
}

// Txn implements clientv3.KV.
func (b boundKV) Txn(ctx context.Context) clientv3.Txn { return &boundTxn{kv: b, ctx: ctx} }

// boundTxn gathers a transaction, for it takes its context when it is begun.
type boundTxn struct {
	kv       boundKV
	ctx      context.Context
	compares []clientv3.Cmp
	then, or []clientv3.Op
}

// If implements clientv3.Txn.
func (t *boundTxn) If(cs ...clientv3.Cmp) clientv3.Txn {
	if t.compares == nil {
		t.compares = cs[:len(cs):len(cs)] // they are not changed
		return t
	}
	t.compares = append(t.compares, cs...)
	return t
}

// Then implements clientv3.Txn.
func (t *boundTxn) Then(ops ...clientv3.Op) clientv3.Txn {
	if t.then == nil {
		t.then = ops[:len(ops):len(ops)] // they are not changed
		return t
	}
	t.then = append(t.then, ops...)
	return t
}

// Else implements clientv3.Txn.
func (t *boundTxn) Else(ops ...clientv3.Op) clientv3.Txn {
	t.or = append(t.or, ops...)
	return t
}

// Commit implements clientv3.Txn.
func (t *boundTxn) Commit() (*clientv3.TxnResponse, error) {
	return inTime(t.ctx, t.kv.calls, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return t.kv.KV.Txn(ctx).If(t.compares...).Then(t.then...).Else(t.or...).Commit()
	})
}

type boundLease struct {
	clientv3.Lease
	calls  *calls
	lessor *lessor
}

// Grant implements clientv3.Lease.
func (b boundLease) Grant(ctx context.Context, ttl int64) (*clientv3.LeaseGrantResponse, error) {
	return inTime(ctx, b.calls, func(ctx context.Context) (*clientv3.LeaseGrantResponse, error) { return b.Lease.Grant(ctx, ttl) })
}

// Revoke implements clientv3.Lease.
func (b boundLease) Revoke(ctx context.Context, id clientv3.LeaseID) (*clientv3.LeaseRevokeResponse, error) {
	if b.lessor != nil {
		b.lessor.forget(lease.LeaseID(id))
	}
	return inTime(ctx, b.calls, func(ctx context.Context) (*clientv3.LeaseRevokeResponse, error) { return b.Lease.Revoke(ctx, id) })
}

// TimeToLive implements clientv3.Lease.
func (b boundLease) TimeToLive(ctx context.Context, id clientv3.LeaseID, opts ...clientv3.LeaseOption) (*clientv3.LeaseTimeToLiveResponse, error) {
	return inTime(ctx, b.calls, func(ctx context.Context) (*clientv3.LeaseTimeToLiveResponse, error) {
		return b.Lease.TimeToLive(ctx, id, opts...)
	})
}

// KeepAliveOnce is for ServiceComb's own instances; in process there is no stream to it.
func (b boundLease) KeepAliveOnce(ctx context.Context, id clientv3.LeaseID) (*clientv3.LeaseKeepAliveResponse, error) {
	if b.lessor == nil {
		return inTime(ctx, b.calls, func(ctx context.Context) (*clientv3.LeaseKeepAliveResponse, error) {
			return b.Lease.KeepAliveOnce(ctx, id)
		})
	}
	ttl, err := b.lessor.renewed(ctx, int64(id))
	if errors.Is(err, lease.ErrLeaseNotFound) {
		err = rpctypes.ErrLeaseNotFound
	}
	if err != nil {
		return nil, err
	}
	return &clientv3.LeaseKeepAliveResponse{ID: id, TTL: ttl}, nil
}
