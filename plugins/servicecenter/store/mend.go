package store

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/go-chassis/cari/discovery"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// Whoever has etcd's credentials, or a service-center of another make on the same
// store, can change keys of ServiceComb's that are about ours. Every list compares all
// of them with the records, and what is missing, altered or not ours is put right. The
// records themselves say nothing of it, so no consumer of Mp1 is told.

const (
	mendTimeout = 10 * time.Second
	mendBatch   = 60 // deletions in one transaction
)

// listing is what a list has found out by the way.
type listing struct {
	at     int64
	all    []heartbeat.Listed
	sits   map[keys.Instance]int // records by where they stand
	first  map[string]int        // a record of each microservice
	spared map[string]bool       // microservices of records that could not be read
	strays []*mvccpb.KeyValue
}

// spare leaves the microservice of a record that could not be read as it is.
func (l *listing) spare(id heartbeat.ID) {
	if service, _, ok := keys.Split(id); ok {
		if l.spared == nil {
			l.spared = map[string]bool{}
		}
		l.spared[service] = true
	}
}

// stray notes an instance below a microservice of ours that no record put there.
func (l *listing) stray(kv *mvccpb.KeyValue) {
	service, _, _ := strings.Cut(strings.TrimPrefix(string(kv.Key), keys.InstancePrefix), path.SPLIT)
	if _, ours := l.first[service]; ours {
		l.strays = append(l.strays, &mvccpb.KeyValue{Key: kv.Key, ModRevision: kv.ModRevision})
	}
}

// mender puts right what one list shows.
type mender struct {
	*Store
	*listing
	marks   map[string]string // id: the index key it is marked with
	index   map[string]string // index keys of ours: the id that each must lead to
	wrong   map[string]bool   // ids of ours whose microservice is not as it should be
	checked map[string]int64  // files that are as they should be, by revision
	doomed  map[string][]clientv3.Cmp
	keys    map[string][]clientv3.Op
	done    map[string]int
}

// mend puts everything right that belongs to the records of a list.
func (s *Store) mend(ctx context.Context, l *listing) {
	ctx, cancel := context.WithTimeout(ctx, mendTimeout)
	defer cancel()
	m := &mender{Store: s, listing: l, marks: map[string]string{}, index: map[string]string{}, wrong: map[string]bool{},
		checked: map[string]int64{}, doomed: map[string][]clientv3.Cmp{}, keys: map[string][]clientv3.Op{}, done: map[string]int{}}
	for _, step := range []func(context.Context) error{m.lookAtMarks, m.lookAtFiles, m.lookAtIndexes, m.lookBelow, m.lookAtDependencies, m.lookAtLeases} {
		if step(ctx) != nil {
			return // the next list looks again
		}
	}
	s.mends.checked = m.checked
	for _, kv := range l.strays {
		m.doom(mendInstance, kv)
	}
	for kind := range m.doomed {
		m.erase(ctx, kind)
	}
	for id := range m.wrong {
		m.rebuild(ctx, id)
	}
	m.tell()
}

// lookAtMarks also finds the index key of each microservice of ours.
func (m *mender) lookAtMarks(ctx context.Context) error {
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
		if _, used := m.first[id]; !used && m.index[index] == "" && !m.spared[id] && id != m.reserved {
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

func (m *mender) lookAtFiles(ctx context.Context) error {
	byID := make(map[string]string, len(m.index))
	for index, id := range m.index {
		byID[id] = index
	}
	if _, err := m.each(ctx, keys.ServicePrefix, m.at, func(kv *mvccpb.KeyValue) {
		id := strings.TrimPrefix(string(kv.Key), keys.ServicePrefix)
		index, ours := byID[id]
		if !ours {
			return
		}
		delete(byID, id)
		if m.mends.checked[id] == kv.ModRevision || intact(id, index, kv.Value) {
			m.checked[id] = kv.ModRevision
		} else if want, earlier := should(id, index, kv.Value); earlier && m.replicas.older() {
			return // who put it would put it again
		} else if earlier {
			m.change(mendRelease, kv, clientv3.OpPut(string(kv.Key), string(want)))
		} else {
			m.wrong[id] = true
		}
	}); err != nil {
		return err
	}
	for id := range byID {
		m.wrong[id] = true
	}
	return nil
}

func (m *mender) lookAtIndexes(ctx context.Context) error {
	seen := make(map[string]bool, len(m.index))
	if _, err := m.each(ctx, keys.IndexPrefix, m.at, func(kv *mvccpb.KeyValue) {
		id, named := m.index[string(kv.Key)]
		_, leads := m.first[string(kv.Value)]
		switch {
		case named && string(kv.Value) == id:
			seen[id] = true
		case !named && leads:
			m.doom(mendAlias, kv)
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
			m.doom(mendAlias, kv)
		}
	})
	return err
}

func (m *mender) lookBelow(ctx context.Context) error {
	for _, prefix := range append([]string{keys.TagPrefix}, keys.BelowService...) {
		kind := mendBelow
		if prefix == keys.QueuePrefix {
			kind = mendDeps
		}
		if _, err := m.each(ctx, prefix, m.at, func(kv *mvccpb.KeyValue) {
			id, _, _ := strings.Cut(strings.TrimPrefix(string(kv.Key), prefix), path.SPLIT)
			if _, ours := m.first[id]; ours {
				m.doom(kind, kv)
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// lookAtDependencies: ours depend on nothing. What others depend on is theirs.
func (m *mender) lookAtDependencies(ctx context.Context) error {
	if _, err := m.each(ctx, keys.ConsumerPrefix, m.at, func(kv *mvccpb.KeyValue) {
		if m.index[keys.IndexPrefix+strings.TrimPrefix(string(kv.Key), keys.ConsumerPrefix)] != "" {
			m.doom(mendDeps, kv)
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
			return k == nil || m.index[keys.IndexPrefix+strings.Join([]string{k.Environment, k.AppId, k.ServiceName, k.Version}, path.SPLIT)] != ""
		})
		switch left, err := json.Marshal(&d); {
		case len(d.Dependency) == n || err != nil:
		case len(d.Dependency) == 0:
			m.doom(mendDeps, kv)
		default:
			m.change(mendDeps, kv, clientv3.OpPut(string(kv.Key), string(left)))
		}
	})
	return err
}

func (m *mender) lookAtLeases(ctx context.Context) error {
	held := make([]bool, len(m.all))
	if _, err := m.each(ctx, keys.LeasePrefix, m.at, func(kv *mvccpb.KeyValue) {
		service, instance, _ := strings.Cut(strings.TrimPrefix(string(kv.Key), keys.LeasePrefix), path.SPLIT)
		if _, ours := m.first[service]; !ours {
			return
		}
		i, known := m.sits[keys.Instance{ServiceID: service, InstanceID: instance}]
		if !known || m.all[i].Projection.Lease == 0 {
			m.doom(mendLease, kv)
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
			m.change(mendLease, &mvccpb.KeyValue{Key: []byte(at.Key()), ModRevision: int64(p.Revision)},
				clientv3.OpPut(at.LeaseKey(), strconv.FormatInt(int64(p.Lease), 10), clientv3.WithLease(clientv3.LeaseID(p.Lease))))
		}
	}
	return nil
}

// doom has a key erased, if it is still what was seen.
func (m *mender) doom(kind string, kv *mvccpb.KeyValue) {
	m.change(kind, kv, clientv3.OpDelete(string(kv.Key)))
}

func (m *mender) change(kind string, seen *mvccpb.KeyValue, op clientv3.Op) {
	m.doomed[kind] = append(m.doomed[kind], clientv3.Compare(clientv3.ModRevision(string(seen.Key)), "=", seen.ModRevision))
	m.keys[kind] = append(m.keys[kind], op)
}

// erase carries the changes of one kind out, many at a time; where something was
// written since, one by one.
func (m *mender) erase(ctx context.Context, kind string) {
	cmps, ops := m.doomed[kind], m.keys[kind]
	for len(ops) > 0 {
		n := min(mendBatch, len(ops))
		res, err := m.client.Txn(ctx).If(cmps[:n]...).Then(ops[:n]...).Commit()
		if err == nil && res.Succeeded {
			m.done[kind] += n
		} else {
			for i := range n {
				if res, err := m.client.Txn(ctx).If(cmps[i]).Then(ops[i]).Commit(); err == nil && res.Succeeded {
					m.done[kind]++
				}
			}
		}
		if ctx.Err() != nil {
			return
		}
		cmps, ops = cmps[n:], ops[n:]
	}
}

// rebuild makes the microservice what its record says.
func (m *mender) rebuild(ctx context.Context, id string) {
	p, err := project(&m.all[m.first[id]].Record)
	if err != nil {
		return
	}
	st, err := m.standAt(ctx, id, path.GenerateServiceIndexKey(&p.key), false)
	if err != nil {
		return
	}
	st.records = max(st.records, 1) // this one, wherever its id says that it stood first
	ops, err := st.operations(p)
	if err != nil || len(ops) == 0 {
		return
	}
	if res, err := m.client.Txn(ctx).If(st.compares()...).Then(ops...).Commit(); err == nil && res.Succeeded {
		m.done[mendService]++
	}
}
