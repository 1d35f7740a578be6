package store

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// admit takes a write in, or answers heartbeat.ErrNoAdditions. done must be called when the
// write has returned.
func (s *Store) admit(ctx context.Context, c quota.Class, ops []clientv3.Op) (done func(), err error) {
	done, ok := s.client.Gate.Admit(ctx, c, etcd.Cost(ops))
	if !ok {
		return nil, heartbeat.ErrNoAdditions
	}
	return done, nil
}

// classOf says what an engine's transaction does to the store. If a claim could not be
// written, consumers would not be notified of a suspension; and a deletion is what makes
// room. So a full store refuses only what an application adds.
func (s *Store) classOf(ctx context.Context, t *heartbeat.Txn, ops []clientv3.Op) quota.Class {
	switch t.Kind {
	case heartbeat.Register:
		return quota.Grow
	case heartbeat.Rewrite, heartbeat.Activate, heartbeat.Deactivate:
		if s.client.Gate.Short(etcd.Cost(ops)) && !s.grows(ctx, t, ops) {
			return quota.Change
		}
		return quota.Grow
	case heartbeat.Silent, // deaths are found without it, only not as soon after restarts
		heartbeat.Join: // few bytes, but as often as an application likes
		return quota.Change
	default:
		return quota.Free
	}
}

// grows says whether the record becomes larger than the one that is stored. Without an
// answer it does.
func (s *Store) grows(ctx context.Context, t *heartbeat.Txn, ops []clientv3.Op) bool {
	key := keys.Record(t.Record.ID)
	got, err := s.client.Get(ctx, key, clientv3.WithSerializable())
	if err != nil || len(got.Kvs) != 1 {
		return true
	}
	for _, op := range ops {
		if op.IsPut() && string(op.KeyBytes()) == key {
			return len(op.ValueBytes()) > len(got.Kvs[0].Value)
		}
	}
	return false
}
