package center

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/apache/servicecomb-service-center/datasource/etcd/client"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// refusal is the reason why a write of service-center was not carried out, as a label of
// a metric.
type refusal string

const (
	refusedOurs refusal = "ours" // it would change what Mp1 registered
	refusedForm refusal = "form" // its key is none that service-center should make
	refusedRoom refusal = "room" // the store takes nothing that adds to it
)

var errRefused = errors.New("servicecenter: the write was refused")

// check returns what the writes among the operations touch, or why they are refused at
// once. What is ours by the records seen here needs no read of the store; what is
// not yet seen is found by the compares of commit.
func (r *registry) check(sets ...[]client.PluginOp) (s subject, refused refusal) {
	for _, ops := range sets {
		for i := range ops {
			if ops[i].Action != client.ActionGet && !s.add(&ops[i]) {
				return s, refusedForm
			}
		}
	}
	for _, id := range s.services {
		if r.guard.owns(id, "") {
			return s, refusedOurs
		}
	}
	for _, id := range s.instances {
		if r.guard.owns("", id) {
			return s, refusedOurs
		}
	}
	return s, ""
}

// refused returns to service-center that a compare failed. An error would become a 500 and
// an alarm, and block its queue of dependencies for everybody; for a failed compare its
// controllers respond with a 4xx, and the queue goes on. The guard makes the response a 403.
func (r *registry) refused(ctx context.Context, why refusal) (*client.PluginResponse, error) {
	r.guard.refuse(ctx, why)
	return &client.PluginResponse{}, nil
}

// commit carries a transaction out unless one of the microservices it touches is
// ours by then. Its own compares go into a transaction within: what it does when they
// fail may be a write, too.
func (r *registry) commit(ctx context.Context, services []string, conditions []clientv3.Cmp, then, otherwise []clientv3.Op) (
	succeeded bool, responses []*etcdserverpb.ResponseOp, revision int64, err error) {
	txn := r.client.Txn(ctx)
	if len(services) == 0 {
		res, err := txn.If(conditions...).Then(then...).Else(otherwise...).Commit()
		if err != nil {
			return false, nil, 0, err
		}
		return res.Succeeded, res.Responses, res.Header.Revision, nil
	}
	res, err := txn.If(noneIsOurs(services)...).Then(clientv3.OpTxn(conditions, then, otherwise)).Commit()
	switch {
	case err != nil:
		return false, nil, 0, err
	case !res.Succeeded:
		return false, nil, 0, errRefused
	}
	within := res.Responses[0].GetResponseTxn()
	return within.Succeeded, within.Responses, res.Header.Revision, nil
}

func noneIsOurs(services []string) []clientv3.Cmp {
	seen := map[string]bool{}
	var out []clientv3.Cmp
	for _, id := range services {
		if !seen[id] {
			seen[id] = true
			out = append(out, clientv3.Compare(clientv3.CreateRevision(keys.MarkPrefix+id), "=", 0))
		}
	}
	return out
}

// write carries out a write that is no transaction.
func (r *registry) write(ctx context.Context, op client.PluginOp, s subject) (*client.PluginResponse, error) {
	_, responses, revision, err := r.commit(ctx, s.services, nil, operationsOf([]client.PluginOp{op}), nil)
	if errors.Is(err, errRefused) {
		r.guard.refuse(ctx, refusedOurs)
	}
	if err != nil {
		return nil, err
	}
	out := &client.PluginResponse{Action: op.Action, Succeeded: true, Revision: revision}
	if deleted := responses[0].GetResponseDeleteRange(); deleted != nil {
		out.Count = deleted.Deleted
	}
	return out, nil
}

// foreignLeases are leases on which nothing of ours hangs, nor ever will: ours hang on
// leases that the engine asked for. They are remembered so that a ServiceComb client's
// heartbeat costs no read.
type foreignLeases struct {
	mu  sync.Mutex
	ids map[int64]struct{}
}

const maxForeignLeases = 1 << 17

func (f *foreignLeases) add(id int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.ids) >= maxForeignLeases {
		clear(f.ids) // each is read once more
	}
	if f.ids == nil {
		f.ids = map[int64]struct{}{}
	}
	f.ids[id] = struct{}{}
}

func (f *foreignLeases) has(id int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.ids[id]
	return ok
}

// checkLease returns an error if an instance of ours hangs on the lease: a ServiceComb client
// that renewed it would keep a dead service ACTIVE, and one that revoked it would end a
// live one. service-center takes the error for "no such lease", for it is none of its
// internal ones.
func (r *registry) checkLease(ctx context.Context, id int64) error {
	switch {
	case r.leases.has(id):
		return nil
	case r.guard.leases(heartbeat.LeaseID(id)):
		r.guard.refuse(ctx, refusedOurs)
		return errRefused
	}
	res, err := r.client.TimeToLive(ctx, clientv3.LeaseID(id), clientv3.WithAttachedKeys())
	if err != nil {
		return leaseError(err)
	}
	ours, err := r.anyIsOurs(ctx, res.Keys)
	switch {
	case err != nil:
		return leaseError(err)
	case ours:
		r.guard.refuse(ctx, refusedOurs)
		return errRefused
	case len(res.Keys) > 0: // of one on which nothing hangs nothing is known yet
		r.leases.add(id)
	}
	return nil
}

func (r *registry) anyIsOurs(ctx context.Context, keys [][]byte) (bool, error) {
	var s subject
	for _, key := range keys {
		if !strings.HasPrefix(string(key), scRoot) && !strings.HasPrefix(string(key), scLocks) {
			return true, nil
		}
		s.add(&client.PluginOp{Action: client.ActionPut, Key: key})
	}
	if len(s.services) == 0 {
		return false, nil
	}
	for _, id := range s.services {
		if r.guard.owns(id, "") {
			return true, nil
		}
	}
	res, err := r.client.Txn(ctx).If(noneIsOurs(s.services)...).Commit()
	return err == nil && !res.Succeeded, err
}
