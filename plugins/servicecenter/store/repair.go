package store

import (
	"context"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Whoever has etcd's credentials, or a service-center of another make on the same
// store, can change keys of ServiceComb's that are about ours. Every list compares all
// of them with the records, and what is missing, altered or not ours is put right. No record
// changes by that, so no consumer of Mp1 is notified.

const (
	repairTimeout = time.Minute
	repairBatch   = 60 // deletions in one transaction
)

// repairer puts right what one list shows.
type repairer struct {
	*listing
	failed     bool              // something could not be put right
	marks      map[string]string // id: the index key it is marked with
	index      map[string]string // index keys of ours: the id that each must lead to
	wrong      map[string]bool   // ids of ours whose microservice is not as it should be
	compares   map[string][]clientv3.Cmp
	operations map[string][]clientv3.Op
	done       map[string]int
}

// repair puts right all keys of ServiceComb's that are about the records of a list.
func (s *Store) repair(ctx context.Context, l *listing) {
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	m := &repairer{listing: l, marks: map[string]string{}, index: map[string]string{}, wrong: map[string]bool{},
		compares: map[string][]clientv3.Cmp{}, operations: map[string][]clientv3.Op{}, done: map[string]int{}}
	for _, step := range []func(context.Context) error{m.checkProjections, m.checkMarks, m.checkServices, m.checkIndexes, m.checkChildren, m.checkDependencies, m.checkLeases} {
		if step(ctx) != nil {
			s.repairs.again.Store(true)
			return // the next list looks again
		}
	}
	for _, kv := range l.foreign {
		m.queueDelete(repairedInstance, kv)
	}
	for kind := range m.compares {
		m.applyChanges(ctx, kind)
	}
	for id := range m.wrong {
		m.rebuild(ctx, id)
	}
	if m.failed || ctx.Err() != nil {
		s.repairs.again.Store(true)
	}
	m.report()
}

// each is Store.each, of what was read already if that is not all.
func (m *repairer) each(ctx context.Context, prefix string, at int64, f func(*mvccpb.KeyValue)) (int64, error) {
	if m.only == nil {
		return m.Store.each(ctx, prefix, at, f)
	}
	m.only.each(prefix, f)
	return at, nil
}

// queueDelete queues the deletion of a key, unless it was written since it was seen.
func (m *repairer) queueDelete(kind string, kv *mvccpb.KeyValue) {
	m.queueChange(kind, kv, clientv3.OpDelete(string(kv.Key)))
}

// queueChange queues an operation on a key, unless that was written since it was seen.
func (m *repairer) queueChange(kind string, seen *mvccpb.KeyValue, op clientv3.Op) {
	m.compares[kind] = append(m.compares[kind], clientv3.Compare(clientv3.ModRevision(string(seen.Key)), "=", seen.ModRevision))
	m.operations[kind] = append(m.operations[kind], op)
}

// applyChanges carries out the changes of one kind, many at a time; where something was
// written since, one by one.
func (m *repairer) applyChanges(ctx context.Context, kind string) {
	cmps, ops := m.compares[kind], m.operations[kind]
	for len(ops) > 0 {
		n := min(repairBatch, len(ops))
		res, err := m.client.Txn(ctx).If(cmps[:n]...).Then(ops[:n]...).Commit()
		if err == nil && res.Succeeded {
			m.done[kind] += n
		} else {
			for i := range n {
				res, err := m.client.Txn(ctx).If(cmps[i]).Then(ops[i]).Commit()
				if err == nil && res.Succeeded {
					m.done[kind]++
				}
				m.failed = m.failed || err != nil
			}
		}
		if ctx.Err() != nil {
			return
		}
		cmps, ops = cmps[n:], ops[n:]
	}
}

// rebuild makes the microservice what its record says.
func (m *repairer) rebuild(ctx context.Context, id string) {
	p, err := project(&m.all[m.first[id]].Record)
	if err != nil {
		return
	}
	st, err := m.readService(ctx, id, path.GenerateServiceIndexKey(&p.key), false)
	if err != nil {
		m.failed = true
		return
	}
	st.records = max(st.records, 1) // this one, wherever its id says that it stood first
	ops, err := st.appendOperations(nil, p)
	if err != nil || len(ops) == 0 {
		return
	}
	res, err := m.client.Txn(ctx).If(st.appendCompares(nil)...).Then(ops...).Commit()
	if err == nil && res.Succeeded {
		m.done[repairedService]++
	}
	m.failed = m.failed || err != nil
}
