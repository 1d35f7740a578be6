package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// Import says that the store was filled from another platform's. An import that was not taken
// to its end has no Ended.
type Import struct {
	Schema   int    `json:"schema"`
	From     string `json:"from"`
	Begun    int64  `json:"begun"` // wall clock, Unix nanoseconds
	Ended    int64  `json:"ended,omitempty"`
	Services int    `json:"services,omitempty"`
	// Holds is Store.Holds at the end. A release that did not write it left "".
	Holds string `json:"holds,omitempty"`
}

// importable are the prefixes of what an import writes. A store in which nothing stands there
// is new.
var importable = []string{keys.RecordPrefix, keys.SubPrefix, keys.TerminationSubPrefix, keys.CursorPrefix, keys.AppPrefix, keys.RulesPrefix,
	keys.DeploymentPrefix, keys.GatewayPrefix, keys.OutboxPrefix, keys.TerminationPrefix}

// Imported reads whether the store was filled from another platform's; nil: it was not. used
// says that it holds something all the same, which must be kept. Of an import that was cut off
// that is all, if a service was registered since: a release that does not know the mark serves.
func (s *Store) Imported(ctx context.Context) (i *Import, used bool, err error) {
	kv, err := s.one(ctx, keys.ImportMark)
	if err != nil {
		return nil, false, err
	}
	if kv != nil {
		i = &Import{}
		if err := json.Unmarshal(kv.Value, i); err != nil || i.Schema != heartbeat.Schema {
			return nil, true, fmt.Errorf("%w: %s", heartbeat.ErrUnusable, keys.ImportMark)
		}
		if i.Ended != 0 {
			return i, true, nil
		}
		_, err = s.each(ctx, keys.RecordPrefix, 0, func(kv *mvccpb.KeyValue) {
			used = used || !keys.Imported(heartbeat.ID(strings.TrimPrefix(string(kv.Key), keys.RecordPrefix)))
		})
		return i, used, err
	}
	for _, prefix := range importable {
		ctx, cancel := context.WithTimeout(ctx, etcd.CallTimeout)
		res, err := s.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
		cancel()
		if err != nil {
			return nil, false, etcd.Translate(err)
		}
		used = used || res.Count > 0
	}
	return nil, used, nil
}

// MarkImport writes how far an import is.
func (s *Store) MarkImport(ctx context.Context, i Import) error {
	i.Schema = heartbeat.Schema
	value, err := json.Marshal(i)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, etcd.CallTimeout)
	defer cancel()
	_, err = s.client.Put(ctx, keys.ImportMark, string(value))
	return etcd.Translate(err)
}

// DropImport erases everything that an import has written which was not taken to its end, the mark last.
// Nobody may have been served since it began. Its microservices go with the next tidying.
func (s *Store) DropImport(ctx context.Context) error {
	var doomed []string
	_, err := s.each(ctx, keys.RecordPrefix, 0, func(kv *mvccpb.KeyValue) {
		id := heartbeat.ID(strings.TrimPrefix(string(kv.Key), keys.RecordPrefix))
		if r, err := decodeRecord(kv); err == nil {
			at := keys.InstanceOf(id, r.Place)
			doomed = append(doomed, at.Key(), at.LeaseKey())
		}
	})
	if err != nil {
		return err
	}
	for len(doomed) > 0 {
		n := min(repairBatch, len(doomed))
		ops := make([]clientv3.Op, n)
		for i, key := range doomed[:n] {
			ops[i] = clientv3.OpDelete(key)
		}
		if err := s.drop(ctx, ops...); err != nil {
			return err
		}
		doomed = doomed[n:]
	}
	for _, prefix := range importable {
		if err := s.drop(ctx, clientv3.OpDelete(prefix, clientv3.WithPrefix())); err != nil {
			return err
		}
	}
	return s.drop(ctx, clientv3.OpDelete(keys.ImportMark))
}

func (s *Store) drop(ctx context.Context, ops ...clientv3.Op) error {
	ctx, cancel := context.WithTimeout(ctx, etcd.CallTimeout)
	defer cancel()
	_, err := s.client.Txn(ctx).Then(ops...).Commit()
	return etcd.Translate(err)
}

// Alone says whether no server uses the store, as far as it knows: those of a cluster say there
// that they live.
func (s *Store) Alone(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, etcd.CallTimeout)
	defer cancel()
	res, err := s.client.Get(ctx, keys.ReplicaPrefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return false, etcd.Translate(err)
	}
	return res.Count == 0, nil
}
