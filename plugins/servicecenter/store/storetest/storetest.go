// Package storetest registers services in a store, for the adapter's tests. It must not
// know the adapter, whose packages it tests.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/servicecomb-service-center/pkg/etcdsync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// Attributes describe the service of every test: with a name and a version that ServiceComb
// does not take as they are.
const Attributes = `{"serName":"face recognition","version":"v2","state":"ACTIVE","serializer":"JSON",
	"transportInfo":{"id":"t","name":"n","type":"REST_HTTP","protocol":"HTTP","version":"2","endpoint":{"uris":["http://10.0.0.5:80"]},"security":{}}}`

// Info is what Attributes say.
func Info(t testing.TB) (info mp1.ServiceInfo) {
	t.Helper()
	if err := json.Unmarshal([]byte(Attributes), &info); err != nil {
		t.Fatal(err)
	}
	return info
}

// Store is what a registration needs of one.
type Store interface {
	NewID(ctx context.Context, owner string, info mp1.ServiceInfo, look bool) (heartbeat.ID, error)
	Grant(ctx context.Context, seconds int) (heartbeat.LeaseID, error)
	Commit(ctx context.Context, t *heartbeat.Txn) (heartbeat.Revision, error)
}

// NewRecord is a record that was not committed yet.
func NewRecord(t testing.TB, s Store, owner string) heartbeat.Record {
	t.Helper()
	id, err := s.NewID(t.Context(), owner, Info(t), true)
	if err != nil {
		t.Fatal(err)
	}
	return heartbeat.Record{Schema: heartbeat.Schema, ID: id, Owner: owner, Attributes: Attributes, State: heartbeat.Active, Interval: 30, Window: 60, Proposed: 30, RegisteredAt: 1e18}
}

// Register commits a record on a lease of a minute, as a registration does, once.
func Register(t testing.TB, s Store, owner string) (heartbeat.Record, heartbeat.Revision) {
	t.Helper()
	r := NewRecord(t, s, owner)
	l, err := s.Grant(t.Context(), LongLease)
	if err != nil {
		t.Fatal(err)
	}
	r.Lease, r.Seq = l, 1
	txn := heartbeat.Txn{Kind: heartbeat.Register, Presence: heartbeat.NoProjection, RecordOp: heartbeat.Put, ProjectionOp: heartbeat.Put, Record: r, Change: heartbeat.Added}
	at, err := s.Commit(t.Context(), &txn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.Commit(t.Context(), &txn); !errors.Is(err, heartbeat.ErrConflict) {
		t.Fatal("a second registration of one id: ", err)
	}
	return r, at
}

// LongLease is, in seconds, the time of a lease that outlives all tests of a package. They share a store, and some
// compare all that stands in it: a lease of a minute ended beneath them where the tests before took so long.
const LongLease = 3600

// Everything is what an etcd holds, key to lease and value, without the locks that
// service-center takes when it likes.
func Everything(t testing.TB, kv clientv3.KV) map[string]string {
	t.Helper()
	got, err := kv.Get(t.Context(), "/", clientv3.WithRange("0"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, kv := range got.Kvs {
		if !strings.HasPrefix(string(kv.Key), etcdsync.RootPath+"/") {
			out[string(kv.Key)] = fmt.Sprintf("%d %s", kv.Lease, kv.Value)
		}
	}
	return out
}

// Value is what a key holds.
func Value(t testing.TB, kv clientv3.KV, key string) string {
	t.Helper()
	got, err := kv.Get(t.Context(), key)
	if err != nil || len(got.Kvs) != 1 {
		t.Fatal(key, err)
	}
	return string(got.Kvs[0].Value)
}

// Repairer is a store that puts right what a list shows.
type Repairer interface {
	List(ctx context.Context) ([]heartbeat.Listed, heartbeat.Revision, error)
	AwaitRepairs()
}

// Repaired lists a store, and waits until what that shows was put right.
func Repaired(t testing.TB, s Repairer) {
	t.Helper()
	s.AwaitRepairs() // after the list of another test
	if _, _, err := s.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.AwaitRepairs()
}
