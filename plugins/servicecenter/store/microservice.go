package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/go-chassis/cari/discovery"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins/failpoint"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// microservice is what the store holds of one that instances of ours belong to, or are to. A
// ServiceComb client may have taken its id or its name first.
type microservice struct {
	id    string // the serviceId
	index string // its index key, if it is ours

	mark, value, entry *mvccpb.KeyValue // entry: at the index key
	under              int64            // instances and leases below it
	records            int64            // of ours whose ids begin with it

	// assumed says that nothing of it was read, for this replica knows of no instance of it: the
	// compares fail unless there is nothing of it at all.
	assumed bool
}

// findService reads a microservice, at any member: what is a little old fails the compares of
// the transaction that uses it. If it seems to be another client's, it is read again from
// the leader. skipCounts is as in readService.
func (s *Store) findService(ctx context.Context, id, index string, skipCounts bool) (st microservice, err error) {
	st, err = s.readService(ctx, id, index, skipCounts, clientv3.WithSerializable())
	if err == nil && !st.ours() {
		st, err = s.readService(ctx, id, index, false)
	}
	return st, err
}

// readService reads a microservice, by default from the leader. Counting what lies below it
// takes as long as there is of it, so that is done only where there is no mark. skipCounts
// leaves the counts out also where the microservice seems to be free or ours: the
// transaction's compares detect changes.
func (s *Store) readService(ctx context.Context, id, index string, skipCounts bool, opts ...clientv3.OpOption) (st microservice, err error) {
	st = microservice{id: id, index: index}
	read := func(keys []string, more ...clientv3.OpOption) ([]*etcdserverpb.ResponseOp, error) {
		var ops []clientv3.Op
		for _, key := range keys {
			ops = append(ops, clientv3.OpGet(key, slices.Concat(opts, more)...))
		}
		res, _, err := etcd.Hedged(ctx, s.client, func(ctx context.Context) (*clientv3.TxnResponse, error) {
			return s.client.Txn(ctx).Then(ops...).Commit()
		})
		if err != nil {
			return nil, etcd.Translate(err)
		}
		return res.Responses, nil
	}
	got, err := read([]string{keys.MarkPrefix + id, keys.ServicePrefix + id, index})
	if err != nil {
		return st, err
	}
	for i, to := range []**mvccpb.KeyValue{&st.mark, &st.value, &st.entry} {
		if kvs := got[i].GetResponseRange().Kvs; len(kvs) == 1 {
			*to = kvs[0]
		}
	}
	if st.mark != nil || skipCounts && st.ours() {
		return st, nil
	}
	got, err = read([]string{keys.InstancePrefix + id + path.SPLIT, keys.LeasePrefix + id + path.SPLIT, keys.RecordPrefix + id}, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return st, err
	}
	st.under = got[0].GetResponseRange().Count + got[1].GetResponseRange().Count
	st.records = got[2].GetResponseRange().Count
	if st.records == 0 && !st.ours() && s.renames.anyTo(id) {
		st.records = 1 // one that was renamed to it
	}
	return st, nil
}

// ours says whether the microservice is ours or can become it: it is marked, or
// records of ours belong to it (the previous release marked none), or nobody has its id,
// its name or anything below it.
func (st *microservice) ours() bool {
	if st.mark != nil {
		return true
	}
	free := st.value == nil && st.under == 0 && (st.entry == nil || string(st.entry.Value) == st.id)
	return st.records > 0 || free
}

// appendCompares adds compares that fail if the microservice was changed since it was read.
func (st *microservice) appendCompares(out []clientv3.Cmp) []clientv3.Cmp {
	if st.mark != nil {
		out = append(out, clientv3.Compare(clientv3.ModRevision(keys.MarkPrefix+st.id), "=", st.mark.ModRevision))
		if st.whole() {
			out = append(out, etcd.Unchanged(keys.ServicePrefix+st.id, st.value), etcd.Unchanged(st.index, st.entry))
		}
		return out
	}
	out = append(out, etcd.Unchanged(keys.MarkPrefix+st.id, nil), etcd.Unchanged(keys.ServicePrefix+st.id, st.value), etcd.Unchanged(st.index, st.entry))
	if st.records == 0 {
		for _, prefix := range []string{keys.InstancePrefix, keys.LeasePrefix} {
			out = append(out, clientv3.Compare(clientv3.CreateRevision(prefix+st.id+path.SPLIT).WithPrefix(), "=", 0))
		}
	}
	if st.assumed {
		out = keys.AppendNothingBelow(out, st.id, st.index)
	}
	return out
}

// whole says whether the microservice is there as it should be.
func (st *microservice) whole() bool {
	return st.value != nil && st.entry != nil && string(st.entry.Value) == st.id && intact(st.id, st.index, st.value.Value)
}

// same says whether nothing was written since the other was read.
func (st *microservice) same(other *microservice) bool {
	at := func(kv *mvccpb.KeyValue) int64 {
		if kv == nil {
			return 0
		}
		return kv.ModRevision
	}
	return at(st.mark) == at(other.mark) && at(st.value) == at(other.value) && at(st.entry) == at(other.entry) &&
		(st.records > 0) == (other.records > 0)
}

// appendOperations adds what makes the microservice what it should be; nothing if it is. What lies
// below an id that had no microservice of ours is erased.
func (st *microservice) appendOperations(out []clientv3.Op, p *projector) ([]clientv3.Op, error) {
	marked := st.mark != nil && string(st.mark.Value) == st.index
	if marked && st.whole() && keys.ServiceIDAt(st.index) == st.id {
		return out, nil
	}
	service, err := p.service()
	if err != nil {
		return nil, err
	}
	out = append(out, clientv3.OpPut(keys.ServicePrefix+st.id, string(service)), clientv3.OpPut(st.index, st.id))
	if named := keys.ServiceIDAt(st.index); named != st.id { // one that nobody could know in advance
		out = append(out, clientv3.OpPut(keys.MarkPrefix+named, st.index))
	}
	if marked {
		return out, nil
	}
	if out = append(out, clientv3.OpPut(keys.MarkPrefix+st.id, st.index)); st.assumed {
		return out, nil // there is nothing below it
	}
	return append(out, keys.DeleteBelow(st.id, st.index)...), nil
}

// intact says whether value is the microservice that we put under this id and index
// key, whichever of its instances it was put for.
func intact(id, index string, value []byte) bool {
	want, _ := expectedService(id, index, value)
	return want != nil && bytes.Equal(want, value)
}

// expectedService is what a microservice of ours should be, by what it says itself of its
// application, name and version; nil: it contradicts its id or its index key. earlier
// says that the previous release put it so.
func expectedService(id, index string, value []byte) (want []byte, earlier bool) {
	var is discovery.MicroService
	if json.Unmarshal(value, &is) != nil {
		return nil, false
	}
	name := strings.Split(strings.TrimPrefix(index, keys.IndexPrefix), path.SPLIT)
	if len(name) != 4 {
		return nil, false
	}
	owner, serName, version := is.Properties[ownerProperty], is.Properties["mec.serName"], is.Properties["mec.version"]
	k := discovery.MicroServiceKey{AppId: name[1], ServiceName: name[2], Version: name[3]}
	if k.AppId != safeName(owner, maxAppID) || k.Version != safeVersion(version) || !slices.ContainsFunc(suffixes(id), func(suffix string) bool {
		return k.ServiceName == suffixed(serName, suffix)
	}) {
		return nil, false
	}
	want, err := encodeService(id, &k, owner, serName, version, is.Timestamp)
	switch {
	case err != nil:
		return nil, false
	case bytes.Equal(want, value):
		return want, false
	}
	before, err := json.Marshal(forOwnApp(id, &k, owner, serName, version, is.Timestamp))
	return want, err == nil && bytes.Equal(before, value)
}

// likelyServiceFor is the microservice of the application, name and version if no ServiceComb client
// has its name or its id; "": one has, it seems.
func (s *Store) likelyServiceFor(owner string, info mp1.ServiceInfo) string {
	plain, other := serviceKey(owner, info, ""), serviceKey(owner, info, foreignSuffix)
	id := keys.ServiceIDOf(&plain)
	if s.owned.instances(id) == 0 && s.owned.instances(keys.ServiceIDOf(&other)) > 0 {
		return ""
	}
	return id
}

// serviceFor is the microservice of the application, name and version. Where a
// ServiceComb client took its name or its id, it is one under another name; and where
// that is taken too, one of an id that nobody can take in advance.
func (s *Store) serviceFor(ctx context.Context, owner string, info mp1.ServiceInfo) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, etcd.CallTimeout)
	defer cancel()
	for _, suffix := range []string{"", foreignSuffix} {
		k := serviceKey(owner, info, suffix)
		id := keys.ServiceIDOf(&k)
		st, err := s.findService(ctx, id, path.GenerateServiceIndexKey(&k), false)
		if err != nil {
			return "", err
		}
		if st.ours() {
			return id, nil
		}
	}
	id, err := keys.NewID("")
	return string(id), err
}

// commitWithService carries out a transaction that needs a microservice. A ServiceComb client
// may change that between its read and the transaction: the transaction is then made anew.
func (s *Store) commitWithService(ctx context.Context, t *heartbeat.Txn) (res *clientv3.TxnResponse, resent bool, err error) {
	p, err := project(&t.Record)
	if err != nil {
		return nil, false, err
	}
	id, index := keys.InstanceOf(t.Record.ID, t.Record.Place).ServiceID, path.GenerateServiceIndexKey(&p.key)
	var before *microservice
	for round := range serviceRounds {
		var st microservice
		switch {
		case round == 0 && t.Kind == heartbeat.Register && s.owned.instances(id) == 0:
			st = microservice{id: id, index: index, assumed: true}
		case round == 0:
			st, err = s.findService(ctx, id, index, true)
		default:
			st, err = s.readService(ctx, id, index, false)
		}
		switch {
		case err != nil:
			return nil, false, err
		case !st.ours():
			return nil, false, fmt.Errorf("%w: a ServiceComb client has the microservice %s", heartbeat.ErrTaken, id)
		case before != nil && st.same(before):
			return res, resent, nil // it was another compare that failed
		}
		if res, resent, err = s.transact(ctx, t, &st, p); err != nil || res.Succeeded || resent {
			return res, resent, err
		}
		if !st.assumed {
			before = &st
		}
	}
	return res, resent, nil
}

const serviceRounds = 4

// transact carries the transaction out, once. st and p are as in operations.
func (s *Store) transact(ctx context.Context, t *heartbeat.Txn, st *microservice, p *projector) (*clientv3.TxnResponse, bool, error) {
	ops, err := operations(t, st, p)
	if err != nil {
		return nil, false, err
	}
	done, err := s.admit(ctx, s.classOf(ctx, t, ops), ops)
	if err != nil {
		return nil, false, err
	}
	defer done()
	cmps := compares(t, st)
	if failpoint.On {
		failpoint.Write()
		_ = failpoint.Hit(t.Kind.String() + ".before-txn")
	}
	return etcd.Hedged(ctx, s.client, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.client.Txn(ctx).If(cmps...).Then(ops...).Commit()
	})
}
