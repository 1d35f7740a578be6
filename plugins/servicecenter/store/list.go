package store

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/go-chassis/cari/discovery"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/failpoint"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// each calls f for every key under prefix as of one revision (0: now), a page at a
// time, and returns that revision. The next page is read while f is called for one.
func (s *Store) each(ctx context.Context, prefix string, at int64, f func(*mvccpb.KeyValue)) (int64, error) {
	end, size := clientv3.GetPrefixRangeEnd(prefix), newPageSize()
	reads := s.client.Readers.Add(at)
	defer reads.Done()
	etcd.ReaderIn(ctx).Begin(at) // if it is known already
	read := func(key string, at int64) (*clientv3.GetResponse, error) {
		for {
			res, err := s.page(ctx, key, clientv3.WithRange(end), clientv3.WithLimit(size.limit), clientv3.WithRev(at))
			if err == nil || ctx.Err() != nil || !size.shrink() {
				return res, err
			}
		}
	}
	res, err := read(prefix, at)
	for {
		if err != nil {
			return 0, etcd.Translate(err)
		}
		if at == 0 {
			at = res.Header.Revision
			reads.Advance(at)
			etcd.ReaderIn(ctx).Begin(at)
		}
		page := res.Kvs
		if !res.More {
			for _, kv := range page {
				f(kv)
			}
			return at, nil
		}
		if failpoint.On {
			_ = failpoint.Hit("list.mid-range")
		}
		size.next(page)
		var next sync.WaitGroup
		next.Go(func() { res, err = read(string(page[len(page)-1].Key)+"\x00", at) })
		for _, kv := range page {
			f(kv)
		}
		next.Wait()
	}
}

// List implements heartbeat.Store. One bad record must not harm the others: a record that
// cannot be read is left out, and so is its projection.
func (s *Store) List(ctx context.Context) ([]heartbeat.Listed, heartbeat.Revision, error) {
	ctx, held := s.client.Readers.Within(ctx)
	defer held.Done()
	st, err := s.joinStart(ctx, engineList)
	if err != nil {
		return nil, 0, err
	}
	defer st.leave()
	l := s.newListing(nil)
	l.early = st.found()
	if l.comparesLater = st != nil; l.comparesLater {
		l.seed = maphash.MakeSeed()
	}
	at, err := s.eachEarly(ctx, l.early, keys.RecordPrefix, st.revision(), l.expectRecords, l.addRecord)
	st.offer(slices.Clip(l.all), err)
	if err != nil {
		return nil, 0, err
	}
	s.unreadable.listed(s.log, l.bad)
	s.renames.listed(l.index, heartbeat.Revision(at))
	s.client.Lineage.Advance(at)
	if l.at, err = s.eachEarly(ctx, l.early, keys.InstancePrefix, at, l.expectInstances, l.addInstance); err != nil {
		return nil, 0, err
	}
	l.early = nil // repairs keep l
	if !l.comparesLater {
		l.judgeAbsent()
		s.unreadable.undescribed(s.log, nil, l.opaque)
	}
	return l.all, heartbeat.Revision(at), s.repairs.begin(ctx, s, l)
}

// differsFrom says whether a projection is not as its record makes it. older says that replicas
// of the previous release live: their form is as good then. The error says that the record itself
// is bad: what is there is left.
func differsFrom(r *heartbeat.Record, older bool, equals func(string) bool) (bool, error) {
	p, err := project(r)
	if err != nil {
		return false, err
	}
	want, err := p.instance()
	if err != nil {
		return false, err
	}
	is := func(want string) bool { // an earlier release escaped for HTML
		return equals(want) || equals(canonical(want))
	}
	if is(want) {
		return false, nil
	}
	if !older {
		return true, nil
	}
	for _, form := range []func() (string, error){p.instanceWithoutReason, p.instanceBefore} {
		if before, err := form(); err == nil && is(before) {
			return false, nil
		}
	}
	return true, nil
}

// ours says whether an instance is a projection of a record of ours, and of which.
func ours(value []byte) (heartbeat.ID, bool) {
	var i discovery.MicroServiceInstance
	err := json.Unmarshal(value, &i)
	return heartbeat.ID(i.Properties[idProperty]), err == nil && i.Properties[ownerProperty] != ""
}

// dropService erases a microservice of ours if it has no instance. A registration that comes
// meanwhile fails the compare that its range of instances is empty, for it puts both in one
// transaction. leaving is how many of the records that are known to belong to it have just
// gone.
func (s *Store) dropService(ctx context.Context, serviceID string, leaving int) {
	if s.owned.instances(serviceID) > leaving {
		return // the lease of another one ended, but it is not gone
	}
	got, err := s.client.Txn(ctx).Then(clientv3.OpGet(keys.MarkPrefix+serviceID, clientv3.WithSerializable()),
		clientv3.OpGet(keys.ServicePrefix+serviceID, clientv3.WithSerializable())).Commit()
	if err != nil {
		return
	}
	var mark, file *mvccpb.KeyValue
	for i, to := range []**mvccpb.KeyValue{&mark, &file} {
		if kvs := got.Responses[i].GetResponseRange().Kvs; len(kvs) == 1 {
			*to = kvs[0]
		}
	}
	index := indexOf(mark, file)
	if index == "" {
		return
	}
	ops := []clientv3.Op{clientv3.OpDelete(keys.ServicePrefix + serviceID), clientv3.OpDelete(keys.MarkPrefix + serviceID)}
	if named := keys.ServiceIDAt(index); named != serviceID {
		ops = append(ops, clientv3.OpDelete(keys.MarkPrefix+named))
	}
	prefix := keys.InstancePrefix + serviceID + path.SPLIT
	_, _ = s.client.Txn(ctx).If(
		clientv3.Compare(clientv3.CreateRevision(prefix).WithPrefix(), "=", 0),
		etcd.Unchanged(keys.MarkPrefix+serviceID, mark), etcd.Unchanged(keys.ServicePrefix+serviceID, file),
	).Then(append(append(ops, keys.DeleteBelow(serviceID, index)...),
		// the name may lead to another client's by now
		clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.Value(index), "=", serviceID)}, []clientv3.Op{clientv3.OpDelete(index)}, nil))...).Commit()
}

// indexOf is the index key of a microservice of ours: its mark says it, or, where the
// previous release made none, what is written there and leads to that very id.
func indexOf(mark, file *mvccpb.KeyValue) string {
	if mark != nil {
		return string(mark.Value)
	}
	var m discovery.MicroService
	if file == nil || json.Unmarshal(file.Value, &m) != nil || m.Framework == nil || m.Framework.Name != frameworkName {
		return ""
	}
	k := discovery.MicroServiceKey{Tenant: keys.Tenant, Environment: m.Environment, AppId: m.AppId, ServiceName: m.ServiceName, Version: m.Version}
	if keys.ServiceIDOf(&k) != strings.TrimPrefix(string(file.Key), keys.ServicePrefix) {
		return ""
	}
	return path.GenerateServiceIndexKey(&k)
}

// Tidy erases events of which nobody is to be told any more.
func (s *Store) Tidy(ctx context.Context, now plugins.Instant, wall int64, giveUp time.Duration) error {
	return s.tidyOutbox(ctx, now, wall, giveUp)
}
