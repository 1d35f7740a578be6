package etcd

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
)

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
			require.Equal(t, CallTimeout, time.Since(began), name)
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
