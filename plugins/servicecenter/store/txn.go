package store

import (
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// changesService says whether the transaction moves a projection to another microservice.
func changesService(t *heartbeat.Txn) bool {
	return t.ProjectionOp == heartbeat.Put && t.From != t.Record.Place
}

// mostCompares is how many compares a registration of a new name has.
const mostCompares = 14

// compares are what the transaction demands; st is the microservice as it was read, nil unless the
// transaction needs it.
func compares(t *heartbeat.Txn, st *microservice) []clientv3.Cmp {
	id := t.Record.ID
	key := keys.InstanceOf(id, t.From).Key()
	most := mostCompares
	if st == nil {
		most = 2
	}
	out := append(make([]clientv3.Cmp, 0, most), clientv3.Compare(clientv3.ModRevision(keys.Record(id)), "=", int64(t.RecordRevision)))
	switch t.Presence {
	case heartbeat.NoProjection:
		out = append(out, clientv3.Compare(clientv3.Version(key), "=", 0))
	case heartbeat.ProjectionAt:
		out = append(out, clientv3.Compare(clientv3.ModRevision(key), "=", int64(t.ProjectionRevision)))
	}
	if st != nil {
		out = st.appendCompares(out)
	}
	return out
}

// needsService says whether the transaction must see to it that the microservice exists: an
// instance without one is found by no ServiceComb client.
func needsService(t *heartbeat.Txn) bool {
	return t.ProjectionOp == heartbeat.Put && (t.Kind == heartbeat.Register || t.Kind == heartbeat.Repair || changesService(t))
}

// mostOperations is how many a transaction has but for few: one is large, and a list that grows costs
// several times as much.
const mostOperations = 8

// operations are what the transaction writes; st is the microservice as it was read, and p what
// ServiceComb shows of the record. Both are nil unless the transaction needs the microservice.
func operations(t *heartbeat.Txn, st *microservice, p *projector) ([]clientv3.Op, error) {
	ops := make([]clientv3.Op, 0, mostOperations)
	id := t.Record.ID
	switch t.RecordOp {
	case heartbeat.Put:
		value, err := encodeRecord(&t.Record)
		if err != nil {
			return nil, err
		}
		ops = append(ops, clientv3.OpPut(keys.Record(id), value))
	case heartbeat.Erase:
		ops = append(ops, clientv3.OpDelete(keys.Record(id)))
	}
	switch t.ProjectionOp {
	case heartbeat.Put:
		var err error
		if ops, err = appendProjection(ops, t, st, p); err != nil {
			return nil, err
		}
	case heartbeat.Erase:
		at := keys.InstanceOf(id, t.From)
		ops = append(ops, clientv3.OpDelete(at.Key()), clientv3.OpDelete(at.LeaseKey()))
	}
	if t.Change != heartbeat.NoChange {
		op, err := eventOp(t)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// appendProjection adds what puts the instance and, if it hangs on a lease, service-center's
// lease key.
func appendProjection(ops []clientv3.Op, t *heartbeat.Txn, st *microservice, p *projector) ([]clientv3.Op, error) {
	id := t.Record.ID
	if p == nil {
		var err error
		if p, err = project(&t.Record); err != nil {
			return nil, err
		}
	}
	instance, err := p.instance()
	if err != nil {
		return nil, err
	}
	at := keys.InstanceOf(id, t.Record.Place)
	if l := t.Record.Lease; l != 0 {
		on := clientv3.WithLease(clientv3.LeaseID(l))
		ops = append(ops, clientv3.OpPut(at.Key(), instance, on),
			clientv3.OpPut(at.LeaseKey(), strconv.FormatInt(int64(l), 10), on))
	} else {
		ops = append(ops, clientv3.OpPut(at.Key(), instance), clientv3.OpDelete(at.LeaseKey()))
	}
	if changesService(t) {
		from := keys.InstanceOf(id, t.From)
		ops = append(ops, clientv3.OpDelete(from.Key()), clientv3.OpDelete(from.LeaseKey()))
	}
	if st != nil {
		return st.appendOperations(ops, p)
	}
	return ops, nil
}
