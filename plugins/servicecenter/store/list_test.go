package store

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
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
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
				s := &Store{client: etcd.Over(&clientv3.Client{KV: slow}, keys.Cluster, etcdtest.Discard), replicas: newReplicas(), log: plugins.NewLog(logged, "INFO")}
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

// Txn is refused at once: what Tidy erases is no part of these tests.
func (s *slowPages) Txn(context.Context) clientv3.Txn { return refused{} }

type refused struct{ clientv3.Txn }

func (t refused) If(...clientv3.Cmp) clientv3.Txn      { return t }
func (t refused) Then(...clientv3.Op) clientv3.Txn     { return t }
func (t refused) Else(...clientv3.Op) clientv3.Txn     { return t }
func (refused) Commit() (*clientv3.TxnResponse, error) { return nil, errNotHere }
