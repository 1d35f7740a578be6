package center

import (
	"context"
	"strings"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
)

// smallQueued is up to how many bytes an entry of service-center's queue of dependencies
// counts as passing: it is taken out again at once. One that is to delete what a consumer
// depends on is part of every deletion of a microservice, and has no more than names.
const smallQueued = 2 << 10

var queueRoot = path.GetServiceDependencyQueueRootKey("") // of all tenants

// admit takes a write of service-center in. The refusal is etcd's own, which
// service-center knows, and the guard makes it a 507.
func (r *registry) admit(ctx context.Context, ops []clientv3.Op) (done func(), err error) {
	n := etcd.Cost(ops)
	if n == 0 {
		return func() {}, nil
	}
	class := quota.Grow
	if r.gate.Short(n) {
		class = r.classOf(ctx, ops)
	}
	done, ok := r.gate.Admit(ctx, class, n)
	if !ok {
		return nil, rpctypes.ErrNoSpace
	}
	return done, nil
}

// classOf says what a write of service-center does to the store, so that a full one can be
// emptied through its API, too: its deletions put something as well.
func (r *registry) classOf(ctx context.Context, ops []clientv3.Op) quota.Class {
	deletes, queued := false, false
	var added []clientv3.Op // what stays
	for _, op := range ops {
		switch key := string(op.KeyBytes()); {
		case op.IsDelete():
			deletes = true
		case !op.IsPut(), strings.HasPrefix(key, scLocks):
		case strings.HasPrefix(key, queueRoot) && len(op.ValueBytes()) <= smallQueued:
			queued = true
		default:
			added = append(added, op)
		}
	}
	if len(added) == 0 {
		if queued && !deletes {
			return quota.Change
		}
		return quota.Free // a lock ends with its lease
	}
	growth, known := r.growth(ctx, added)
	switch {
	case !known || growth > 0:
		return quota.Grow
	case growth < 0: // whoever did this again and again would have to add in between
		return quota.Free
	default:
		return quota.Change
	}
}

// growth is by how many bytes the puts exceed what their keys hold now.
func (r *registry) growth(ctx context.Context, puts []clientv3.Op) (n int64, known bool) {
	gets := make([]clientv3.Op, 0, len(puts))
	for _, op := range puts {
		gets = append(gets, clientv3.OpGet(string(op.KeyBytes()), clientv3.WithSerializable()))
	}
	got, err := r.client.Txn(ctx).Then(gets...).Commit()
	if err != nil {
		return 0, false
	}
	n = etcd.Cost(puts)
	for _, one := range got.Responses {
		for _, kv := range one.GetResponseRange().Kvs {
			n -= int64(len(kv.Key)+len(kv.Value)) + etcd.PutOverhead
		}
	}
	return n, true
}

// onlyNotes says whether a transaction only notes, with a question, what the asker depends on:
// service-center does so with the compare that it is noted already, and nothing to do then.
func onlyNotes(then, otherwise []clientv3.Op) bool {
	if len(then) > 0 {
		return false
	}
	for _, op := range otherwise {
		if !op.IsPut() || !strings.HasPrefix(string(op.KeyBytes()), queueRoot) {
			return false
		}
	}
	return true
}
