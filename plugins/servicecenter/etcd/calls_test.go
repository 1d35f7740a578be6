package etcd

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/lease"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
)

// etcd's lessor waits for the end of a revocation without regard to any context: one
// heartbeat hung for 9.55 s.
func TestACallIsBoundedWhateverHangsInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ever := make(chan struct{})
		const most = 8
		renew := func(_ context.Context, id lease.LeaseID) (int64, error) {
			if id == 0 {
				<-ever
			}
			return int64(id), nil
		}
		l := newLessor(most, renew, renew)
		s := &Client{lessor: l}
		began := time.Now()
		var all sync.WaitGroup
		for range 3 * most {
			all.Go(func() {
				_, err := s.RenewLease(t.Context(), 0)
				require.Error(t, err)
			})
		}
		all.Wait()
		require.LessOrEqual(t, time.Since(began), CallTimeout)
		require.EqualValues(t, most, l.hanging.Load())
		require.LessOrEqual(t, l.working.Load(), int32(most))
		began = time.Now()
		_, err := s.RenewLease(t.Context(), 7)
		require.ErrorIs(t, err, errStuck)
		require.Zero(t, time.Since(began), "all of them hang, and it waited")
		close(ever)
		synctest.Wait()
		require.Zero(t, l.hanging.Load())
		for id := range 100 { // nobody gets another's answer
			ttl, err := s.RenewLease(t.Context(), heartbeat.LeaseID(id+1))
			require.NoError(t, err)
			require.Equal(t, id+1, ttl)
		}
		time.Sleep(2 * idleAfter)
		synctest.Wait()
		require.Zero(t, l.working.Load(), "idle workers stay")
	})
}

// A plain call is made only of a lease that surely lives, while plain calls return.
func TestOnlyALeaseThatSurelyLivesIsRenewedByAPlainCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var plain, careful atomic.Int32
		hang := make(chan struct{})
		l := newLessor(4, func(ctx context.Context, _ lease.LeaseID) (int64, error) {
			plain.Add(1)
			if ctx.Value(hang) != nil {
				<-hang
			}
			return 5, nil
		}, func(_ context.Context, id lease.LeaseID) (int64, error) {
			if careful.Add(1); id == 9 {
				return 0, lease.ErrLeaseNotFound
			}
			return 5, nil
		})
		go l.watch()
		renew := func(id int64, wantPlain, wantCareful int32) {
			t.Helper()
			plain.Store(0)
			careful.Store(0)
			_, _ = l.renewed(t.Context(), id)
			require.Equal(t, []int32{wantPlain, wantCareful}, []int32{plain.Load(), careful.Load()})
		}
		renew(1, 0, 1) // not known
		renew(1, 1, 0)
		time.Sleep(5*time.Second - nearEnd)
		renew(1, 0, 1) // it may have run out
		renew(1, 1, 0)
		l.forget(1)
		renew(1, 0, 1)
		renew(9, 0, 1)
		renew(9, 0, 1) // gone
		go func() { _, _ = l.renewed(context.WithValue(context.Background(), hang, true), 1) }()
		time.Sleep(3 * watchIdle)
		renew(1, 0, 1) // another one does not return
		close(hang)
		time.Sleep(3 * watchIdle)
		renew(1, 1, 0)
		for id := range int64(100_000) {
			l.granted(lease.LeaseID(id), 1, l.now(), l.now())
			if id%1000 == 0 {
				time.Sleep(time.Second)
			}
		}
		kept := 0
		for i := range l.known {
			kept += len(l.known[i].of)
		}
		require.LessOrEqual(t, kept, len(l.known)*leastSize, "leases that ran out are kept")
		l.close()
		time.Sleep(2 * idleAfter)
	})
}

// While some calls hang, others go on; whoever leaves earlier does so at once.
func TestACallThatHangsHarmsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ever := make(chan struct{})
		defer func() {
			close(ever)
			time.Sleep(2 * idleAfter) // the workers end
		}()
		s := newCalls(4)
		hang := func(context.Context) (int, error) { <-ever; return 0, nil }
		for range 3 {
			go func() { _, _ = inTime(t.Context(), s, hang) }()
		}
		synctest.Wait()
		var all sync.WaitGroup
		for n := range 50 {
			all.Go(func() {
				got, err := inTime(t.Context(), s, func(context.Context) (int, error) { time.Sleep(time.Millisecond); return n, nil })
				require.NoError(t, err)
				require.Equal(t, n, got)
			})
		}
		all.Wait()
		ctx, leave := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer leave()
		began := time.Now()
		_, err := inTime(ctx, s, hang)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 100*time.Millisecond, time.Since(began))
	})
}

// The same with etcd itself: nothing is applied, so that no revocation ends.
func TestNoCallWaitsForAStoreThatAppliesNothing(t *testing.T) {
	t.Parallel()
	none, err := url.Parse("http://127.0.0.1:1")
	require.NoError(t, err)
	cfg := embed.NewConfig()
	cfg.Dir, cfg.TickMs, cfg.ElectionMs, cfg.LogLevel = t.TempDir(), embeddedTickMs, embeddedElectionMs, "panic"
	cfg.ListenClientUrls, cfg.ListenPeerUrls = nil, nil
	cfg.AdvertiseClientUrls, cfg.AdvertisePeerUrls = []url.URL{*none}, []url.URL{*none}
	cfg.InitialCluster = cfg.Name + "=" + none.String()
	e, err := embed.StartEtcd(cfg)
	require.NoError(t, err)
	defer e.Close()
	<-e.Server.ReadyNotify()
	c := v3client.New(e.Server)
	l := etcdLessor(e.Server)
	defer l.close()
	bind(c, newCalls(64), l)
	s := Over(c, probe, etcdtest.Discard)
	s.etcd, s.lessor, s.calls = e, l, newCalls(64)
	s.Gate = quota.NewGate(quota.Config{Limit: 100 << 20, InUse: func() int64 { return 95 << 20 }, Flush: e.Server.Backend().ForceCommit, Refused: func(quota.Class) {}})
	written, ok := s.Gate.Admit(t.Context(), quota.Free, 1000)
	require.True(t, ok)
	written() // and is measured by who comes next
	short, err := s.GrantLease(t.Context(), 1)
	require.NoError(t, err)
	long, err := s.GrantLease(t.Context(), 60)
	require.NoError(t, err)

	applying := e.Server.KV().Write(nil)
	release := sync.OnceFunc(applying.End)
	defer release()
	_, err = s.Get(t.Context(), "/some")
	require.NoError(t, err, "a read needs nothing to be applied")
	put := make(chan error, 1)
	go func() {
		_, err := s.Put(context.Background(), "/some", "value")
		put <- err
	}()
	require.Error(t, <-put) // and the short lease has run out
	var all sync.WaitGroup
	for name, call := range map[string]func() error{
		"renew, expired": func() error { _, err := s.RenewLease(context.Background(), short); return err },
		"renew":          func() error { _, err := s.RenewLease(context.Background(), long); return err },
		"age":            func() error { _, err := s.LeaseAge(context.Background(), long); return err },
		"grant":          func() error { _, err := s.GrantLease(context.Background(), 5); return err },
		"revoke":         func() error { return s.RevokeLease(context.Background(), long) },
		"head":           func() error { _, err := s.Head(context.Background()); return err },
		"full":           func() error { _, err := s.Full(context.Background()); return err },
		"read":           func() error { _, err := s.Get(context.Background(), "/some"); return err },
		"commit": func() error {
			_, err := s.Txn(context.Background()).Then(clientv3.OpPut("/some", "value")).Commit()
			return err
		},
		"a write that is measured first": func() error {
			if _, ok := s.Gate.Admit(context.Background(), quota.Grow, 1000); ok {
				t.Error("it was not refused")
			}
			return nil
		},
		"a foreign one": func() error { _, err := c.KeepAliveOnce(context.Background(), 1<<40); return err },
	} {
		all.Go(func() {
			if err := call(); err == nil {
				t.Logf("%s: answered", name)
			} else if errors.Is(err, heartbeat.ErrFull) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	all.Wait() // each of them comes back
	release()
	require.Eventually(t, func() bool {
		_, err := s.RenewLease(t.Context(), short)
		return errors.Is(err, heartbeat.ErrLeaseGone) && l.hanging.Load() == 0
	}, time.Minute, 20*time.Millisecond)
	_, err = s.RenewLease(t.Context(), long)
	require.True(t, err == nil || errors.Is(err, heartbeat.ErrLeaseGone), "%v", err) // it was revoked, if that was applied in the end
}
