package servicecenter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// slowPages is a store of as many pages for each range, each of which takes so long; of
// every page, the first attempts get no answer.
type slowPages struct {
	clientv3.KV
	pages, silent int
	takes         time.Duration
	asked         map[string]int
}

func (s *slowPages) Get(ctx context.Context, key string, _ ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	if s.asked[key]++; s.asked[key] <= s.silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	n := 1
	if i := len(key) - 1; i >= 3 && key[i] == 0 {
		n, _ = strconv.Atoi(key[i-3 : i])
		n++
	}
	prefix := key
	if n > 1 {
		prefix = key[:len(key)-4]
	}
	return &clientv3.GetResponse{Header: &pb.ResponseHeader{Revision: 7}, More: n < s.pages,
		Kvs: []*mvccpb.KeyValue{{Key: fmt.Appendf(nil, "%s%03d", prefix, n)}}}, nil
}

// A list that took more than 30 s in all never ended: with enough records, or a store
// slow enough, a replica was never ready.
func TestAListThatAdvancesGoesOn(t *testing.T) {
	for name, list := range map[string]func(*Store, context.Context) error{
		"records": func(s *Store, ctx context.Context) error { _, _, err := s.List(ctx); return err },
		"applications": func(s *Store, ctx context.Context) error {
			_, err := s.listApplications(ctx, func([]plugins.Application, heartbeat.Revision) {})
			return err
		},
		"outbox": func(s *Store, ctx context.Context) error { _, err := s.loadOutbox(ctx, noReader{}); return err },
		"tidy":   func(s *Store, ctx context.Context) error { return s.Tidy(ctx, 1, time.Now().UnixNano(), time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := &slowPages{pages: 20, silent: 1, takes: pageTimeout * 9 / 10, asked: map[string]int{}}
				s := &Store{client: &clientv3.Client{KV: slow}, lineage: newLineage(), replicas: newReplicas(), log: plugins.NewLog(logged, "INFO")}
				began := time.Now()
				err := list(s, t.Context())
				if !errors.Is(err, errNotHere) {
					require.NoError(t, err)
				}
				require.Greater(t, time.Since(began), 20*slow.takes)
				slow.silent, slow.asked = pageAttempts, map[string]int{}
				began = time.Now()
				require.ErrorIs(t, list(s, t.Context()), context.DeadlineExceeded, "one page is silent for ever")
				require.Equal(t, pageAttempts*pageTimeout, time.Since(began))
			})
		})
	}
}

var errNotHere = errors.New("not a part of this test")

type noReader struct{ plugins.OutboxReader }

func (noReader) Load([]plugins.OutboxWrite, heartbeat.Revision) {}

// No call may be without an end because nobody set one.
func TestEveryCallHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clientv3.Client{KV: silentKV{}, Lease: silentLease{}}
		bind(c, nil, nil)
		ctx := context.Background()
		for name, call := range map[string]func() error{
			"get":    func() error { _, err := c.Get(ctx, "k"); return err },
			"put":    func() error { _, err := c.Put(ctx, "k", "v"); return err },
			"delete": func() error { _, err := c.Delete(ctx, "k"); return err },
			"do":     func() error { _, err := c.Do(ctx, clientv3.OpGet("k")); return err },
			"txn":    func() error { _, err := c.Txn(ctx).Then(clientv3.OpGet("k")).Commit(); return err },
			"grant":  func() error { _, err := c.Grant(ctx, 5); return err },
			"revoke": func() error { _, err := c.Revoke(ctx, 5); return err },
			"age":    func() error { _, err := c.TimeToLive(ctx, 5); return err },
			"renew":  func() error { _, err := c.KeepAliveOnce(ctx, 5); return err },
		} {
			began := time.Now()
			require.ErrorIs(t, call(), context.DeadlineExceeded, name)
			require.Equal(t, callTimeout, time.Since(began), name)
		}
	})
}

type silentKV struct{ clientv3.KV }

func (silentKV) Get(ctx context.Context, _ string, _ ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silentKV) Put(ctx context.Context, _, _ string, _ ...clientv3.OpOption) (*clientv3.PutResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silentKV) Delete(ctx context.Context, _ string, _ ...clientv3.OpOption) (*clientv3.DeleteResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silentKV) Do(ctx context.Context, _ clientv3.Op) (clientv3.OpResponse, error) {
	<-ctx.Done()
	return clientv3.OpResponse{}, ctx.Err()
}

func (silentKV) Txn(ctx context.Context) clientv3.Txn { return silentTxn{ctx} }

type silentTxn struct{ ctx context.Context }

func (t silentTxn) If(...clientv3.Cmp) clientv3.Txn  { return t }
func (t silentTxn) Then(...clientv3.Op) clientv3.Txn { return t }
func (t silentTxn) Else(...clientv3.Op) clientv3.Txn { return t }
func (t silentTxn) Commit() (*clientv3.TxnResponse, error) {
	<-t.ctx.Done()
	return nil, t.ctx.Err()
}

type silentLease struct{ clientv3.Lease }

func (silentLease) Grant(ctx context.Context, _ int64) (*clientv3.LeaseGrantResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silentLease) Revoke(ctx context.Context, _ clientv3.LeaseID) (*clientv3.LeaseRevokeResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silentLease) TimeToLive(ctx context.Context, _ clientv3.LeaseID, _ ...clientv3.LeaseOption) (*clientv3.LeaseTimeToLiveResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silentLease) KeepAliveOnce(ctx context.Context, _ clientv3.LeaseID) (*clientv3.LeaseKeepAliveResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// Txn is refused at once: what Tidy erases is no part of these tests.
func (s *slowPages) Txn(ctx context.Context) clientv3.Txn { return refused{silentTxn{ctx}} }

type refused struct{ silentTxn }

func (t refused) If(...clientv3.Cmp) clientv3.Txn      { return t }
func (t refused) Then(...clientv3.Op) clientv3.Txn     { return t }
func (refused) Commit() (*clientv3.TxnResponse, error) { return nil, errNotHere }
