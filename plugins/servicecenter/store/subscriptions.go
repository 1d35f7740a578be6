package store

import (
	"context"
	"encoding/json"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/failpoint"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

var _ plugins.Outbox = (*Store)(nil)

// subscription is the value of one subscription's key.
type subscription struct {
	Schema int              `json:"schema"`
	Owner  string           `json:"owner"`
	Prefix string           `json:"prefix,omitempty"`
	Since  int64            `json:"since"`
	Asked  mp1.Subscription `json:"asked"`
}

// subscriptionKey is where a subscription is kept, by its SubscriptionType.
func subscriptionKey(subscriptionType, id string) string {
	if subscriptionType == mp1.TerminationSubscriptionType {
		return keys.TerminationSubPrefix + id
	}
	return keys.SubPrefix + id
}

// subscriptionID is the inverse of subscriptionKey.
func subscriptionID(key string) string {
	return strings.TrimPrefix(strings.TrimPrefix(key, keys.SubPrefix), keys.TerminationSubPrefix)
}

// webSocketSchema is the schema of subscriptions that are told through a WebSocket. A release
// that knows nothing of these would POST to nowhere and keep the lock. It cannot read this
// one, and therefore leaves the subscription alone and erases no event behind its cursor.
const webSocketSchema = 2

func schemaOf(asked *mp1.Subscription) int {
	if asked.ByWebSocket() {
		return webSocketSchema
	}
	return heartbeat.Schema
}

func decodeSubscription(kv *mvccpb.KeyValue) (*plugins.Subscription, bool) {
	var v subscription
	key := string(kv.Key)
	id := subscriptionID(key)
	if json.Unmarshal(kv.Value, &v) != nil || v.Schema != schemaOf(&v.Asked) || !mp1.ValidID(id) || subscriptionKey(v.Asked.SubscriptionType, id) != key ||
		v.Asked.OfTermination() && v.Asked.AppInstanceID != v.Owner {
		return nil, false
	}
	return &plugins.Subscription{ID: id, Owner: v.Owner, Prefix: v.Prefix, Asked: v.Asked, Since: v.Since, At: heartbeat.Revision(kv.CreateRevision)}, true
}

func exists(key string) clientv3.Cmp { return clientv3.Compare(clientv3.Version(key), ">", 0) }
func absent(key string) clientv3.Cmp { return clientv3.Compare(clientv3.Version(key), "=", 0) }

// commit carries a transaction out; a compare that failed is ErrConflict.
func (s *Store) commit(ctx context.Context, c quota.Class, compares []clientv3.Cmp, ops ...clientv3.Op) (*clientv3.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, etcd.CallTimeout)
	defer cancel()
	done, err := s.admit(ctx, c, ops)
	if err != nil {
		return nil, err
	}
	defer done()
	res, err := s.client.Txn(ctx).If(compares...).Then(ops...).Commit()
	switch {
	case err != nil:
		return nil, etcd.Translate(err)
	case !res.Succeeded:
		return nil, heartbeat.ErrConflict
	}
	return res, nil
}

// one reads one key; nil: there is none.
func (s *Store) one(ctx context.Context, key string) (*mvccpb.KeyValue, error) {
	ctx, cancel := context.WithTimeout(ctx, etcd.CallTimeout)
	defer cancel()
	res, err := s.client.Get(ctx, key)
	if err != nil || len(res.Kvs) == 0 {
		return nil, etcd.Translate(err)
	}
	return res.Kvs[0], nil
}

// Subscribe implements plugins.Outbox.
func (s *Store) Subscribe(ctx context.Context, sub *plugins.Subscription) (heartbeat.Revision, error) {
	value, err := json.Marshal(subscription{Schema: schemaOf(&sub.Asked), Owner: sub.Owner, Prefix: sub.Prefix, Since: sub.Since, Asked: sub.Asked})
	if err != nil {
		return 0, err
	}
	start, err := json.Marshal(cursor{Schema: heartbeat.Schema})
	if err != nil {
		return 0, err
	}
	key := subscriptionKey(sub.Asked.SubscriptionType, sub.ID)
	res, err := s.commit(ctx, quota.Grow, []clientv3.Cmp{absent(key), absent(keys.CursorPrefix + sub.ID)},
		clientv3.OpPut(key, string(value)), clientv3.OpPut(keys.CursorPrefix+sub.ID, string(start)))
	if err != nil {
		return 0, err
	}
	return heartbeat.Revision(res.Header.Revision), nil
}

// Subscription implements plugins.Outbox.
func (s *Store) Subscription(ctx context.Context, subscriptionType, id string) (*plugins.Subscription, error) {
	kv, err := s.one(ctx, subscriptionKey(subscriptionType, id))
	if kv == nil || err != nil {
		return nil, err
	}
	sub, _ := decodeSubscription(kv)
	return sub, nil
}

// Unsubscribe implements plugins.Outbox.
func (s *Store) Unsubscribe(ctx context.Context, subscriptionType, id string) error {
	key := subscriptionKey(subscriptionType, id)
	res, err := s.commit(ctx, quota.Free, []clientv3.Cmp{exists(key)}, clientv3.OpDelete(key), clientv3.OpDelete(keys.CursorPrefix+id))
	if err == nil {
		s.unknown.set(keys.CursorPrefix+id, res.Header.Revision, "")
	}
	return err
}

// Cursor implements plugins.Outbox.
func (s *Store) Cursor(ctx context.Context, id string) (plugins.Cursor, error) {
	kv, err := s.one(ctx, keys.CursorPrefix+id)
	if err != nil {
		return plugins.Cursor{}, err
	}
	if kv == nil {
		return plugins.Cursor{}, heartbeat.ErrConflict
	}
	c, unknown, ok := decodeMembers(kv)
	if !ok {
		return plugins.Cursor{}, heartbeat.ErrUnusable
	}
	s.unknown.setRead(kv, unknown)
	return c, nil
}

// Cursors implements plugins.Outbox.
func (s *Store) Cursors(ctx context.Context, most int) (map[string]plugins.Cursor, error) {
	res, err := s.client.Get(ctx, keys.CursorPrefix, clientv3.WithPrefix(), clientv3.WithLimit(int64(most)))
	switch {
	case err != nil:
		return nil, etcd.Translate(err)
	case res.More:
		return nil, nil //nolint:nilnil // as Outbox has it
	}
	out := make(map[string]plugins.Cursor, len(res.Kvs))
	for _, kv := range res.Kvs {
		if c, ok := decodeCursor(kv); ok {
			out[strings.TrimPrefix(string(kv.Key), keys.CursorPrefix)] = c
		}
	}
	return out, nil
}

// MoveCursor implements plugins.Outbox.
func (s *Store) MoveCursor(ctx context.Context, id string, c plugins.Cursor) (heartbeat.Revision, error) {
	value, err := json.Marshal(cursorValue(&c))
	if err != nil {
		return 0, err
	}
	key := keys.CursorPrefix + id
	more := s.unknown.members(key, int64(c.At))
	if failpoint.On {
		_ = failpoint.Hit("cursor.before")
	}
	res, err := s.commit(ctx, quota.Free, []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", int64(c.At))}, clientv3.OpPut(key, withMembers(string(value), more)))
	if err != nil {
		return 0, err
	}
	s.unknown.set(key, res.Header.Revision, more)
	return heartbeat.Revision(res.Header.Revision), nil
}

// connectedLock is the value of a lock whose holder has the consumer's WebSocket; that of all
// others is empty. Releases before read no value of a lock.
const connectedLock = "connected"

// Lock implements plugins.Outbox.
func (s *Store) Lock(ctx context.Context, id string, on heartbeat.LeaseID, connected bool) (heartbeat.Revision, error) {
	value := ""
	if connected {
		value = connectedLock
	}
	return s.lock(ctx, id, on, value, absent(keys.LockPrefix+id))
}

// TakeLock implements plugins.Outbox.
func (s *Store) TakeLock(ctx context.Context, id string, on heartbeat.LeaseID, from heartbeat.Revision) (heartbeat.Revision, error) {
	if from == 0 {
		return s.lock(ctx, id, on, connectedLock)
	}
	return s.lock(ctx, id, on, connectedLock, clientv3.Compare(clientv3.ModRevision(keys.LockPrefix+id), "=", int64(from)))
}

// lock writes the lock of a subscription that exists, under further conditions.
func (s *Store) lock(ctx context.Context, id string, on heartbeat.LeaseID, value string, compares ...clientv3.Cmp) (heartbeat.Revision, error) {
	res, err := s.commit(ctx, quota.Free, append(compares, exists(keys.CursorPrefix+id)),
		clientv3.OpPut(keys.LockPrefix+id, value, clientv3.WithLease(clientv3.LeaseID(on))))
	if err != nil {
		return 0, err
	}
	return heartbeat.Revision(res.Header.Revision), nil
}

// Unlock implements plugins.Outbox.
func (s *Store) Unlock(ctx context.Context, id string, on heartbeat.LeaseID) error {
	key := keys.LockPrefix + id
	_, err := s.commit(ctx, quota.Free, []clientv3.Cmp{clientv3.Compare(clientv3.LeaseValue(key), "=", clientv3.LeaseID(on))}, clientv3.OpDelete(key))
	return err
}

// Locked implements plugins.Outbox.
func (s *Store) Locked(ctx context.Context, id string) (bool, error) {
	kv, err := s.one(ctx, keys.LockPrefix+id)
	return kv != nil, err
}
