package etcd

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/test/proxy"
)

// clustered is a client of an etcd with sockets, behind a link that can be broken.
func clustered(t testing.TB) (*Client, *proxy.Proxy) {
	t.Helper()
	_, endpoint := etcdtest.Start(t, etcdtest.Plain)
	p := proxy.Start(t, endpoint[len("http://"):])
	c, err := open(t, conf.Store{Endpoints: []string{"http://" + p.Addr}})
	require.NoError(t, err)
	return c, p
}

func leases(t testing.TB, s *Client, n int) []heartbeat.LeaseID {
	t.Helper()
	out := make([]heartbeat.LeaseID, n)
	for i := range out {
		l, err := s.GrantLease(t.Context(), 600)
		require.NoError(t, err)
		out[i] = l
	}
	return out
}

func TestRenewalsShareAFewStreamsAndEachGetsItsOwnAnswer(t *testing.T) {
	s, _ := clustered(t)
	ids := leases(t, s, 40)
	gone := leases(t, s, 10)
	for _, l := range gone {
		require.NoError(t, s.RevokeLease(t.Context(), l))
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			for range 40 {
				if i < len(ids) {
					ttl, err := s.RenewLease(t.Context(), ids[i])
					if err != nil || ttl != 600 {
						t.Errorf("lease %d: %d, %v", i, ttl, err)
					}
				} else if _, err := s.RenewLease(t.Context(), gone[i-len(ids)]); !errors.Is(err, heartbeat.ErrLeaseGone) {
					t.Errorf("a lease that is gone: %v", err)
				}
			}
		})
	}
	wg.Wait()
	require.Positive(t, openStreams(s))
}

func openStreams(s *Client) (n int) {
	for _, l := range s.renewals.streams {
		l.mu.Lock()
		if l.open != nil {
			n++
		}
		l.mu.Unlock()
	}
	return n
}

// A cut connection costs nobody a heartbeat: what was in flight goes along a new
// stream. While nothing can be reached there is an error, in bounded time.
func TestRenewalsOutliveCutConnections(t *testing.T) {
	s, p := clustered(t)
	ids := leases(t, s, 8)
	stop := make(chan struct{})
	var done, failed atomic.Int64
	var wg sync.WaitGroup
	for _, l := range ids {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := s.RenewLease(t.Context(), l); err != nil {
					failed.Add(1)
				} else {
					done.Add(1)
				}
			}
		})
	}
	for range 5 {
		before := done.Load()
		require.Eventually(t, func() bool { return done.Load() > before+50 }, time.Minute, time.Millisecond)
		p.Cut()
	}
	close(stop)
	wg.Wait()
	require.Zero(t, failed.Load(), "of %d", done.Load())

	p.Set(proxy.Refuse)
	began := time.Now()
	_, err := s.RenewLease(t.Context(), ids[0])
	require.Error(t, err)
	require.NotErrorIs(t, err, heartbeat.ErrLeaseGone, "no answer is not the answer that it is gone")
	require.GreaterOrEqual(t, time.Since(began), CallTimeout*9/10, "it was tried until the deadline")
	p.Set(proxy.Pass)
	require.Eventually(t, func() bool { _, err := s.RenewLease(t.Context(), ids[0]); return err == nil }, time.Minute, 10*time.Millisecond)
}

// A link that swallows everything ends in an error at the deadline, and the streams
// that were on it are given up.
func TestAHalfOpenLinkIsAnErrorAtTheDeadline(t *testing.T) {
	t.Parallel()
	s, p := clustered(t)
	l := leases(t, s, 1)[0]
	for _, m := range []proxy.Mode{proxy.HalfDown, proxy.HalfUp, proxy.Blackhole} {
		p.Set(m)
		_, err := s.RenewLease(t.Context(), l)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		p.Set(proxy.Pass)
		require.Eventually(t, func() bool { _, err := s.RenewLease(t.Context(), l); return err == nil }, time.Minute, 10*time.Millisecond)
	}
}

// With a second endpoint, a member that is silent costs no heartbeat: the renewal is
// sent along another stream before its deadline.
func TestASilentEndpointIsHedged(t *testing.T) {
	_, endpoint := etcdtest.Start(t, etcdtest.Plain)
	quiet, good := proxy.Start(t, endpoint[len("http://"):]), proxy.Start(t, endpoint[len("http://"):])
	s, err := open(t, conf.Store{Endpoints: []string{"http://" + quiet.Addr, "http://" + good.Addr}})
	require.NoError(t, err)
	ids := leases(t, s, 64)
	for _, l := range ids {
		_, err := s.RenewLease(t.Context(), l)
		require.NoError(t, err)
	}
	quiet.Set(proxy.Blackhole)
	var wg sync.WaitGroup
	for _, l := range ids {
		wg.Go(func() {
			if _, err := s.RenewLease(t.Context(), l); err != nil {
				t.Errorf("a renewal failed although a member answers: %v", err)
			}
		})
	}
	wg.Wait()
}

// A store that is silent as a whole is not asked many times over: what is sent again
// is bounded for all renewals together.
func TestASilentStoreIsNotFloodedWithRenewals(t *testing.T) {
	t.Parallel()
	s, p := clustered(t)
	const n = 200
	l := leases(t, s, 1)[0]
	_, err := s.RenewLease(t.Context(), l)
	require.NoError(t, err)
	p.Set(proxy.Blackhole)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if _, err := s.RenewLease(t.Context(), l); err == nil {
				t.Error("a silent store renewed")
			}
		})
	}
	wg.Wait()
	sent := 0
	for _, stream := range s.renewals.streams {
		stream.mu.Lock()
		sent += stream.waiting.len()
		stream.mu.Unlock()
	}
	require.LessOrEqual(t, sent, 3*n, "a permit that the first gave back at their deadline may serve once more")
	require.Empty(t, s.renewals.free, "every permit is given back")
}

func TestTheEndOfTheStoreEndsItsStreams(t *testing.T) {
	t.Parallel()
	s, p := clustered(t)
	l := leases(t, s, 1)[0]
	p.Set(proxy.Blackhole)
	ended := make(chan error, 1)
	go func() { _, err := s.RenewLease(t.Context(), l); ended <- err }()
	require.Eventually(t, func() bool { return openStreams(s) > 0 }, time.Minute, time.Millisecond)
	s.Close()
	require.Error(t, <-ended)
	require.Zero(t, openStreams(s))
}

// BenchmarkRenewals prints renewals per second of shared streams against a stream
// for each, in one run over one etcd.
func BenchmarkRenewals(b *testing.B) {
	_, endpoint := etcdtest.Start(b, etcdtest.Plain)
	s, err := open(b, conf.Store{Endpoints: []string{endpoint}})
	require.NoError(b, err)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	require.NoError(b, err)
	b.Cleanup(func() { _ = client.Close() })
	ids := leases(b, s, 1000)
	for name, renew := range map[string]func(heartbeat.LeaseID) error{
		"shared streams": func(l heartbeat.LeaseID) error { _, err := s.RenewLease(b.Context(), l); return err },
		"a stream each": func(l heartbeat.LeaseID) error {
			_, err := client.KeepAliveOnce(b.Context(), clientv3.LeaseID(l))
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			var n atomic.Int64
			b.SetParallelism(32)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := renew(ids[int(n.Add(1))%len(ids)]); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "renewals/s")
		})
	}
}
