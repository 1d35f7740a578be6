package center

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/client"
	errorsEx "github.com/apache/servicecomb-service-center/pkg/errors"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
)

const requestTimeout = 3 * time.Second

// registry is service-center's way to the store: its interface client.Registry on
// the etcd client that we made. It serves embedded and external stores alike.
type registry struct {
	client *clientv3.Client
	gate   *quota.Gate // nil: there is no quota of ours
	shown  resumes
	guard  *guard
	leases foreignLeases
	ready  chan struct{}
	err    chan error
}

var _ client.Registry = (*registry)(nil)

func newRegistry(c *clientv3.Client, g *quota.Gate, n *etcd.Readers) *registry {
	r := &registry{client: c, guard: theGuard, gate: g, shown: resumes{needed: n}, ready: make(chan struct{}), err: make(chan error, 1)}
	close(r.ready)
	return r
}

// Err implements client.Registry.
func (r *registry) Err() <-chan error { return r.err }

// Ready implements client.Registry.
func (r *registry) Ready() <-chan struct{} { return r.ready }

// Close does nothing: the Center that made the client closes it.
func (r *registry) Close() {}

// Compact does nothing: the embedded store's upkeep compacts, or a cluster's operator.
func (r *registry) Compact(context.Context, int64) error { return nil }

// PutNoOverride implements client.Registry.
func (r *registry) PutNoOverride(ctx context.Context, opts ...client.PluginOpOption) (bool, error) {
	op := client.OpPut(opts...)
	res, err := r.TxnWithCmp(ctx, []client.PluginOp{op},
		[]client.CompareOp{client.OpCmp(client.CmpCreateRev(op.Key), client.CmpEqual, int64(0))}, nil)
	if err != nil {
		return false, err
	}
	return res.Succeeded, nil
}

// Do implements client.Registry.
func (r *registry) Do(ctx context.Context, opts ...client.PluginOpOption) (*client.PluginResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	op := client.OptionsToOp(opts...)
	touched, refused := r.check([]client.PluginOp{op})
	if refused != "" {
		r.guard.refuse(ctx, refused)
		return nil, errRefused
	}
	done, err := r.admit(ctx, operationsOf([]client.PluginOp{op}))
	if err != nil {
		r.guard.refuse(ctx, refusedRoom)
		return nil, err
	}
	defer done()
	out := &client.PluginResponse{Action: op.Action, Succeeded: true}
	if len(touched.services) > 0 {
		return r.write(ctx, op, touched)
	}
	switch op.Action {
	case client.ActionGet:
		res, err := r.client.Get(ctx, string(op.Key), getOptions(op)...)
		if err != nil {
			unanswered(ctx)
			return nil, err
		}
		out.Kvs, out.Count, out.Revision = page(op, res.Kvs), res.Count, res.Header.Revision
	case client.ActionPut:
		res, err := r.client.Put(ctx, string(op.Key), string(op.Value), putOptions(op)...)
		if err != nil {
			return nil, err
		}
		out.Revision = res.Header.Revision
	case client.ActionDelete:
		res, err := r.client.Delete(ctx, string(op.Key), rangeOptions(op)...)
		if err != nil {
			return nil, err
		}
		out.Revision, out.Count = res.Header.Revision, res.Deleted
	default:
		return nil, fmt.Errorf("servicecenter: unknown action %d", op.Action)
	}
	return out, nil
}

// page cuts the wanted page out of a range, where service-center asks for one.
func page(op client.PluginOp, kvs []*mvccpb.KeyValue) []*mvccpb.KeyValue {
	if op.Offset < 0 || op.Limit <= 0 {
		return kvs
	}
	from := min(op.Offset, int64(len(kvs)))
	return kvs[from:min(from+op.Limit, int64(len(kvs)))]
}

// Txn implements client.Registry.
func (r *registry) Txn(ctx context.Context, ops []client.PluginOp) (*client.PluginResponse, error) {
	return r.TxnWithCmp(ctx, ops, nil, nil)
}

// TxnWithCmp implements client.Registry.
func (r *registry) TxnWithCmp(ctx context.Context, success []client.PluginOp, cmps []client.CompareOp, fail []client.PluginOp) (*client.PluginResponse, error) {
	if len(success)+len(fail) == 0 {
		return nil, errors.New("servicecenter: a transaction without operations")
	}
	conditions, err := conditions(cmps)
	if err != nil {
		return nil, err
	}
	touched, refused := r.check(success, fail)
	if refused != "" {
		return r.refused(ctx, refused)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	then, otherwise := operationsOf(success), operationsOf(fail)
	done, err := r.admit(ctx, slices.Concat(then, otherwise))
	switch {
	case err != nil && onlyNotes(then, otherwise): // the question is answered without the note
		r.guard.refusals.WithLabelValues(string(refusedRoom)).Inc()
		return &client.PluginResponse{}, nil
	case err != nil:
		r.guard.refuse(ctx, refusedRoom)
		return nil, err
	}
	defer done()
	succeeded, responses, revision, err := r.commit(ctx, touched.services, conditions, then, otherwise)
	switch {
	case errors.Is(err, rpctypes.ErrKeyNotFound):
		return &client.PluginResponse{}, nil // a put that was to keep the lease of a key that is gone
	case errors.Is(err, errRefused):
		return r.refused(ctx, refusedOurs)
	case errors.Is(err, rpctypes.ErrDuplicateKey): // the request said a thing twice
		return r.refused(ctx, refusedForm)
	case err != nil:
		return nil, err
	}
	out := &client.PluginResponse{Succeeded: succeeded, Revision: revision}
	for _, one := range responses {
		if got := one.GetResponseRange(); got != nil {
			out.Kvs = append(out.Kvs, got.Kvs...)
			out.Count += got.Count
		}
	}
	return out, nil
}

// LeaseGrant implements client.Registry.
func (r *registry) LeaseGrant(ctx context.Context, ttl int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	res, err := r.client.Grant(ctx, ttl)
	if err != nil {
		return 0, err
	}
	r.leases.add(int64(res.ID))
	return int64(res.ID), nil
}

// LeaseRenew implements client.Registry.
func (r *registry) LeaseRenew(ctx context.Context, id int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := r.checkLease(ctx, id); err != nil {
		return 0, err
	}
	res, err := r.client.KeepAliveOnce(ctx, clientv3.LeaseID(id))
	if err != nil {
		return 0, leaseError(err)
	}
	return res.TTL, nil
}

// LeaseRevoke implements client.Registry.
func (r *registry) LeaseRevoke(ctx context.Context, id int64) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := r.checkLease(ctx, id); err != nil {
		return err
	}
	_, err := r.client.Revoke(ctx, clientv3.LeaseID(id))
	return leaseError(err)
}

// leaseError makes an error of a lease one that service-center does not take for "not
// found", as it takes every error that is not of its internal type.
func leaseError(err error) error {
	if err == nil || errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return err
	}
	return errorsEx.RaiseError(err)
}

// Watch feeds the callback until ctx ends or the watch breaks.
func (r *registry) Watch(ctx context.Context, opts ...client.PluginOpOption) error {
	op := client.OpGet(opts...)
	if len(op.Key) == 0 || op.WatchCallback == nil {
		return fmt.Errorf("servicecenter: a watch without key or callback")
	}
	inner, cancel := context.WithCancel(clientv3.WithRequireLeader(context.WithoutCancel(ctx)))
	defer cancel()
	var at *resume
	at, op.Revision = r.shown.from(string(op.Key), op.Revision)
	events := r.client.Watch(inner, string(op.Key), append(getOptions(op), clientv3.WithProgressNotify())...)
	for {
		select {
		case <-ctx.Done():
			return nil
		case res, ok := <-events:
			if !ok {
				return errors.New("servicecenter: the watch was closed")
			}
			if err := res.Err(); err != nil {
				return err
			}
			if err := deliverInRuns(res.Events, op.WatchCallback); err != nil {
				return err
			}
			if upto := int64(etcd.CompleteUpTo(&res)); upto > 0 {
				r.shown.handed(at, upto, len(res.Events) > 0)
			}
		}
	}
}

// deliverInRuns passes events on in runs of one action and one revision each, as the caches
// of service-center expect them. A deletion carries the value that was deleted.
func deliverInRuns(events []*clientv3.Event, f client.WatchCallback) error {
	for len(events) > 0 {
		n := 1
		for n < len(events) && events[n].Type == events[0].Type && events[n].Kv.ModRevision == events[0].Kv.ModRevision {
			n++
		}
		out := &client.PluginResponse{Action: client.ActionPut, Revision: events[0].Kv.ModRevision, Succeeded: true}
		if events[0].Type == clientv3.EventTypeDelete {
			out.Action = client.ActionDelete
		}
		for _, ev := range events[:n] {
			kv := ev.Kv
			if out.Action == client.ActionDelete && ev.PrevKv != nil {
				kv = ev.PrevKv
			}
			out.Kvs = append(out.Kvs, kv)
		}
		out.Count = int64(n)
		if err := f("key information changed", out); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}
