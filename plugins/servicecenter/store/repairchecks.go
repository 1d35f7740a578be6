package store

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/go-chassis/cari/discovery"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// checkProjections compares the projections of a start's list with the records. What differs is for
// the engine to put right: everything is listed again for it, which is seldom, and that list says which
// records cannot be read.
func (m *repairer) checkProjections(ctx context.Context) error {
	if !m.comparesLater {
		return nil
	}
	defer func() { m.projections = nil }()
	for _, p := range m.projections {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if m.differs(&m.all[p.of].Record, func(want string) bool { return maphash.String(m.seed, want) == p.sum }) {
			m.repairs.again.Store(true)
			if e := m.engine.Load(); e != nil {
				e.Sweep()
			}
			return nil
		}
	}
	m.judgeAbsent()
	m.unreadable.undescribed(m.log, nil, m.opaque)
	return nil
}

// checkMarks compares the marks, and finds the index key of each microservice of ours.
func (m *repairer) checkMarks(ctx context.Context) error {
	leftover := map[string]string{}
	if _, err := m.each(ctx, keys.MarkPrefix, m.at, func(kv *mvccpb.KeyValue) {
		m.marks[strings.TrimPrefix(string(kv.Key), keys.MarkPrefix)] = string(kv.Value)
	}); err != nil {
		return err
	}
	for id, i := range m.first {
		index := m.marks[id]
		if !fits(id, index) {
			p, err := project(&m.all[i].Record)
			if err != nil {
				continue
			}
			index = path.GenerateServiceIndexKey(&p.key)
			m.wrong[id] = true
		}
		if m.marks[keys.ServiceIDAt(index)] != index {
			m.wrong[id] = true
		}
		m.index[index] = id
	}
	for id, index := range m.marks {
		if _, used := m.first[id]; !used && m.index[index] == "" && !m.skipped[id] && id != m.reserved {
			leftover[id] = index
		}
	}
	for id := range leftover {
		m.dropService(ctx, id, 0)
	}
	return nil
}

// fits says whether a microservice of ours with this id can have that index key.
func fits(id, index string) bool {
	return keys.ServiceIDAt(index) == id || strings.Count(index, path.SPLIT) == strings.Count(keys.IndexPrefix, path.SPLIT)+3 &&
		strings.Contains(index, foreignSuffix+"-"+id[:unguessable]+path.SPLIT)
}

func (m *repairer) checkServices(ctx context.Context) error {
	byID := make(map[string]string, len(m.index))
	for index, id := range m.index {
		byID[id] = index
	}
	var unused []string // of the previous release, which put no mark
	if _, err := m.each(ctx, keys.ServicePrefix, m.at, func(kv *mvccpb.KeyValue) {
		id := strings.TrimPrefix(string(kv.Key), keys.ServicePrefix)
		index, ours := byID[id]
		if !ours {
			if m.marks[id] == "" && !m.skipped[id] && id != m.reserved && indexOf(nil, kv) != "" {
				unused = append(unused, id)
			}
			return
		}
		delete(byID, id)
		if intact(id, index, kv.Value) {
			return
		} else if want, earlier := expectedService(id, index, kv.Value); earlier && m.replicas.older() {
			return // the replica that put it would put it again
		} else if earlier {
			m.queueChange(updatedRelease, kv, clientv3.OpPut(string(kv.Key), string(want)))
		} else {
			m.wrong[id] = true
		}
	}); err != nil {
		return err
	}
	for id := range byID {
		m.wrong[id] = true
	}
	for _, id := range unused {
		m.dropService(ctx, id, 0)
	}
	return nil
}

func (m *repairer) checkIndexes(ctx context.Context) error {
	seen := make(map[string]bool, len(m.index))
	if _, err := m.each(ctx, keys.IndexPrefix, m.at, func(kv *mvccpb.KeyValue) {
		id, named := m.index[string(kv.Key)]
		_, leads := m.first[string(kv.Value)]
		switch {
		case named && string(kv.Value) == id:
			seen[id] = true
		case !named && leads:
			m.queueDelete(repairedAlias, kv)
		}
	}); err != nil {
		return err
	}
	for _, id := range m.index {
		if !seen[id] {
			m.wrong[id] = true
		}
	}
	_, err := m.each(ctx, keys.AliasPrefix, m.at, func(kv *mvccpb.KeyValue) {
		_, leads := m.first[string(kv.Value)]
		if named := m.index[keys.IndexPrefix+strings.TrimPrefix(string(kv.Key), keys.AliasPrefix)] != ""; named || leads {
			m.queueDelete(repairedAlias, kv)
		}
	})
	return err
}

func (m *repairer) checkChildren(ctx context.Context) error {
	for _, prefix := range append([]string{keys.TagPrefix}, keys.BelowService...) {
		kind := repairedChild
		if prefix == keys.QueuePrefix {
			kind = repairedDependency
		}
		if _, err := m.each(ctx, prefix, m.at, func(kv *mvccpb.KeyValue) {
			id, _, _ := strings.Cut(strings.TrimPrefix(string(kv.Key), prefix), path.SPLIT)
			if _, ours := m.first[id]; ours {
				m.queueDelete(kind, kv)
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// checkDependencies has the dependencies of our microservices erased, for they depend on
// nothing. What other consumers depend on is left to them.
func (m *repairer) checkDependencies(ctx context.Context) error {
	if _, err := m.each(ctx, keys.ConsumerPrefix, m.at, func(kv *mvccpb.KeyValue) {
		if m.index[keys.IndexPrefix+strings.TrimPrefix(string(kv.Key), keys.ConsumerPrefix)] != "" {
			m.queueDelete(repairedDependency, kv)
		}
	}); err != nil {
		return err
	}
	_, err := m.each(ctx, keys.ProviderPrefix, m.at, func(kv *mvccpb.KeyValue) {
		var d discovery.MicroServiceDependency
		if json.Unmarshal(kv.Value, &d) != nil {
			return
		}
		n := len(d.Dependency)
		d.Dependency = slices.DeleteFunc(d.Dependency, func(k *discovery.MicroServiceKey) bool {
			return k == nil || m.index[indexKeyOf(k)] != ""
		})
		switch left, err := json.Marshal(&d); {
		case len(d.Dependency) == n || err != nil:
		case len(d.Dependency) == 0:
			m.queueDelete(repairedDependency, kv)
		default:
			m.queueChange(repairedDependency, kv, clientv3.OpPut(string(kv.Key), string(left)))
		}
	})
	return err
}

// indexKeyOf is the index key in our tenant of what a dependency names.
func indexKeyOf(k *discovery.MicroServiceKey) string {
	return keys.IndexPrefix + strings.Join([]string{k.Environment, k.AppId, k.ServiceName, k.Version}, path.SPLIT)
}

func (m *repairer) checkLeases(ctx context.Context) error {
	held := make([]bool, len(m.all))
	if _, err := m.each(ctx, keys.LeasePrefix, m.at, func(kv *mvccpb.KeyValue) {
		service, instance, _ := strings.Cut(strings.TrimPrefix(string(kv.Key), keys.LeasePrefix), path.SPLIT)
		if _, ours := m.first[service]; !ours {
			return
		}
		i, known := m.byInstance[keys.Instance{ServiceID: service, InstanceID: instance}]
		if !known || m.all[i].Projection.Lease == 0 {
			m.queueDelete(repairedLease, kv)
			return
		}
		l := m.all[i].Projection.Lease
		held[i] = heartbeat.LeaseID(kv.Lease) == l && string(kv.Value) == strconv.FormatInt(int64(l), 10)
	}); err != nil {
		return err
	}
	for i := range m.all {
		l := &m.all[i]
		if p := l.Projection; !held[i] && l.Exists() && p.Lease != 0 && p.Lease == l.Record.Lease {
			at := keys.InstanceOf(l.ID, l.Record.Place)
			m.queueChange(repairedLease, &mvccpb.KeyValue{Key: []byte(at.Key()), ModRevision: int64(p.Revision)},
				clientv3.OpPut(at.LeaseKey(), strconv.FormatInt(int64(p.Lease), 10), clientv3.WithLease(clientv3.LeaseID(p.Lease))))
		}
	}
	return nil
}
