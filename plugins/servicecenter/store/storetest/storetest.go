// Package storetest registers services in a store, for the adapter's tests. It must not
// know the adapter, whose packages it tests.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

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
	NewID(ctx context.Context, owner string, info mp1.ServiceInfo) (heartbeat.ID, error)
	Grant(ctx context.Context, seconds int) (heartbeat.LeaseID, error)
	Commit(ctx context.Context, t *heartbeat.Txn) (heartbeat.Revision, error)
}

// NewRecord is a record that was not committed yet.
func NewRecord(t testing.TB, s Store, owner string) heartbeat.Record {
	t.Helper()
	id, err := s.NewID(t.Context(), owner, Info(t))
	if err != nil {
		t.Fatal(err)
	}
	return heartbeat.Record{Schema: heartbeat.Schema, ID: id, Owner: owner, Attributes: Attributes, State: heartbeat.Active, Interval: 30, Window: 60, Proposed: 30, RegisteredAt: 1e18}
}

// Register commits a record on a lease of a minute, as a registration does, once.
func Register(t testing.TB, s Store, owner string) (heartbeat.Record, heartbeat.Revision) {
	t.Helper()
	r := NewRecord(t, s, owner)
	l, err := s.Grant(t.Context(), 60)
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
