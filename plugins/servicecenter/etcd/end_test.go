package etcd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/lease"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
)

// expiring is etcd's lessor as far as ends are concerned: a renewal looks first whether the lease has
// run out, and goes on a while later.
type expiring struct {
	t       *testing.T
	mu      sync.Mutex
	ttl     time.Duration
	ends    map[lease.LeaseID]time.Time
	between func() // a renewal's look at the clock and what follows
	after   func() // its end and its reply
	asked   func() // whether it has run out, and what follows
	ended   int

	term     atomic.Uint64
	revoking time.Duration // that a revocation takes
	revoked  []lease.LeaseID
}

func (e *expiring) lessor() *lessor {
	l := newLessor(64, e.renew, e.renew)
	e.term.Store(7)
	l.term, l.opened = e.term.Load, 7
	return l
}

func (e *expiring) grant(l *lessor, id lease.LeaseID) {
	began := l.now()
	e.mu.Lock()
	e.ends[id] = time.Now().Add(e.ttl)
	e.mu.Unlock()
	l.granted(id, int64(e.ttl/time.Second), began, l.now())
}

func (e *expiring) left(id lease.LeaseID) (time.Duration, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	end, is := e.ends[id]
	return time.Until(end), is
}

func (e *expiring) renew(_ context.Context, id lease.LeaseID) (int64, error) {
	if left, is := e.left(id); !is || left <= 0 {
		return 0, lease.ErrLeaseNotFound
	}
	if e.between != nil {
		e.between()
	}
	e.mu.Lock()
	_, is := e.ends[id]
	if is {
		e.ends[id] = time.Now().Add(e.ttl)
	}
	e.mu.Unlock()
	if !is {
		return 0, lease.ErrLeaseNotFound
	}
	if e.after != nil {
		e.after()
	}
	return int64(e.ttl / time.Second), nil
}

// end ends a lease if it has run out for certain, a while after that was asked.
func (e *expiring) end(l *lessor, id lease.LeaseID) (left time.Duration, err error) {
	if left, err = l.left(id); err != nil || left > 0 {
		return left, err
	}
	if e.asked != nil {
		e.asked()
	}
	holds, is := e.left(id)
	if is && holds > 0 {
		e.t.Errorf("lease %d is ended, which would have held for %v", id, holds)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.ends, id)
	e.ended++
	return 0, nil
}

func TestALeaseIsEndedWhenItHasRunOutAndNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &expiring{t: t, ttl: 4 * time.Second, ends: map[lease.LeaseID]time.Time{}}
		l := e.lessor()
		c := &Client{lessor: l}
		e.grant(l, 1)
		left, err := e.end(l, 1)
		require.NoError(t, err)
		require.Equal(t, 4*time.Second, left)
		time.Sleep(3 * time.Second)
		_, err = c.RenewLease(t.Context(), 1)
		require.NoError(t, err)
		for _, wait := range []time.Duration{time.Second, 2900 * time.Millisecond, 99 * time.Millisecond} {
			time.Sleep(wait)
			left, err = e.end(l, 1)
			require.NoError(t, err)
			require.Positive(t, left)
		}
		require.Equal(t, time.Millisecond, left)
		time.Sleep(left)
		left, err = e.end(l, 1)
		require.NoError(t, err)
		require.Zero(t, left)
		require.Equal(t, 1, e.ended)
		_, err = c.RenewLease(t.Context(), 1)
		require.ErrorIs(t, err, heartbeat.ErrLeaseGone)
		_, err = e.end(l, 1)
		require.ErrorIs(t, err, errNotKnown)
		time.Sleep(2 * idleAfter)
	})
}

// A lease of before the start was extended by then, a new leader extends all of them, and of a cluster
// nobody knows who else renews: there only etcd ends leases.
func TestWhatNobodyKnowsIsLeftToEtcd(t *testing.T) {
	e := &expiring{t: t, ttl: time.Nanosecond, ends: map[lease.LeaseID]time.Time{1: time.Now()}}
	l := e.lessor()
	_, err := (&Client{lessor: l}).LeaseLeft(1)
	require.ErrorIs(t, err, errNotKnown)
	l.ensure(1) // a renewal of it has not returned
	_, err = (&Client{lessor: l}).LeaseLeft(1)
	require.ErrorIs(t, err, errNotKnown)
	l.granted(1, 0, l.now(), l.now())
	l.opened = 6
	_, err = (&Client{lessor: l}).LeaseLeft(1)
	require.ErrorIs(t, err, errNotKnown)
	_, err = (&Client{}).LeaseLeft(1)
	require.ErrorIs(t, err, errNotKnown)
	l.opened = 7
	left, err := (&Client{lessor: l}).LeaseLeft(1)
	require.NoError(t, err)
	require.Zero(t, left)
}

// A renewal has looked at the clock when the process is stopped, and goes on when the lease should have
// run out long ago.
func TestARenewalThatIsStoppedInTheMiddleKeepsItsLease(t *testing.T) {
	for _, plain := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			e := &expiring{t: t, ttl: 4 * time.Second, ends: map[lease.LeaseID]time.Time{}}
			l := e.lessor()
			e.grant(l, 1)
			if !plain {
				l.forget(1)
				_, _ = l.renewed(t.Context(), 1)
				time.Sleep(4*time.Second - nearEnd)
			}
			goOn := make(chan struct{})
			e.between = func() { <-goOn }
			answer := make(chan error, 1)
			go func() {
				_, err := l.renewed(context.Background(), 1)
				answer <- err
			}()
			time.Sleep(6 * time.Second)
			left, err := e.end(l, 1)
			require.NoError(t, err)
			require.Positive(t, left)
			l.forget(1) // as one that came meanwhile and was told that it is gone
			close(goOn)
			synctest.Wait()
			if err := <-answer; plain {
				require.NoError(t, err)
			} else {
				require.Error(t, err, "nobody waits for so long")
			}
			left, err = e.end(l, 1)
			require.NoError(t, err)
			require.Equal(t, e.ttl, left)
			time.Sleep(left)
			left, err = e.end(l, 1)
			require.NoError(t, err)
			require.Zero(t, left)
			require.Equal(t, 1, e.ended)
			time.Sleep(2 * idleAfter)
		})
	}
}

// Renewals that stop at any place, and ends at any time: nothing that would have held is ended, however
// late after the question.
func TestRenewalsAndEndsAtRandom(t *testing.T) {
	first, ended := rand.Uint64(), 0
	for n := range uint64(200) {
		seed := first + n
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			var mu sync.Mutex
			upTo := func(most time.Duration) time.Duration {
				mu.Lock()
				defer mu.Unlock()
				if rnd.IntN(3) > 0 {
					return 0
				}
				return time.Duration(rnd.Int64N(int64(most)))
			}
			e := &expiring{t: t, ttl: 2 * time.Second, ends: map[lease.LeaseID]time.Time{}}
			e.between = func() { time.Sleep(upTo(3 * time.Second)) }
			e.after = func() { time.Sleep(upTo(time.Second)) }
			e.asked = func() { time.Sleep(upTo(3 * time.Second)) }
			l := e.lessor()
			const leases = 4
			for id := range lease.LeaseID(leases) {
				e.grant(l, id+1)
			}
			ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
			defer stop()
			var work sync.WaitGroup
			for i := range 12 {
				id := lease.LeaseID(i%leases + 1)
				work.Go(func() {
					for ctx.Err() == nil {
						time.Sleep(upTo(4*time.Second) + time.Millisecond)
						_, _ = l.renewed(ctx, int64(id))
					}
				})
			}
			over := make([]atomic.Bool, leases)
			for i := range leases {
				work.Go(func() {
					for !over[i].Load() {
						time.Sleep(upTo(time.Second) + time.Millisecond)
						left, err := e.end(l, lease.LeaseID(i+1))
						_, is := e.left(lease.LeaseID(i + 1))
						over[i].Store(err == nil && left == 0 || !is || ctx.Err() != nil && err != nil)
					}
				})
			}
			work.Wait()
			ended += e.ended
			time.Sleep(2 * idleAfter)
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	require.Positive(t, ended)
}

// The same with etcd: what hangs on a lease goes with it, at once, and no earlier than the last answer
// to a renewal allows.
func TestEtcdEndsWhatHasRunOut(t *testing.T) {
	t.Parallel()
	c, err := Open(t.Context(), Options{DataDir: t.TempDir(), Quota: 1 << 30, Probe: probe, Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard)})
	require.NoError(t, err)
	defer c.Close()
	const n = 24
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 2))
	var here, all sync.WaitGroup
	var endedHere, early atomic.Int32
	for i := range n {
		id, err := c.GrantLease(t.Context(), 1)
		require.NoError(t, err)
		key := fmt.Sprintf("/on/%d", i)
		_, err = c.Put(t.Context(), key, "", clientv3.WithLease(clientv3.LeaseID(id)))
		require.NoError(t, err)
		waits := make([]time.Duration, 3)
		for k := range waits {
			waits[k] = time.Duration(rnd.Int64N(int64(1100 * time.Millisecond)))
		}
		last := new(atomic.Int64)
		last.Store(time.Now().Add(-time.Second).UnixNano()) // nothing was renewed
		stop := make(chan struct{})
		here.Go(func() {
			defer close(stop)
			for _, w := range waits {
				time.Sleep(w)
				began := time.Now()
				if _, err := c.RenewLease(context.Background(), id); err == nil {
					last.Store(began.UnixNano())
				}
			}
		})
		all.Go(func() {
			for {
				time.Sleep(3 * time.Millisecond)
				left, err := c.LeaseLeft(id)
				if err == nil && left > 0 {
					continue
				}
				if err == nil {
					_, _ = c.Delete(context.Background(), key)
					endedHere.Add(1)
					if time.Since(time.Unix(0, last.Load())) < time.Second {
						early.Add(1)
					}
				}
				break
			}
			<-stop
		})
	}
	here.Wait()
	all.Wait()
	require.Zero(t, early.Load(), "ended within a second of a renewal that was answered")
	require.Positive(t, endedHere.Load())
	require.Eventually(t, func() bool {
		got, err := c.Get(t.Context(), "/on/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		return err == nil && got.Count == 0
	}, time.Minute, 10*time.Millisecond)
}

// BenchmarkEnds is what it costs to take away what hangs on leases: by revoking them, each of which
// etcd follows by a synced commit of its database, and by erasing the keys.
func BenchmarkEnds(b *testing.B) {
	c, err := Open(b.Context(), Options{DataDir: b.TempDir(), Quota: 1 << 30, Probe: probe, Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard)})
	require.NoError(b, err)
	defer c.Close()
	for name, end := range map[string]func(id heartbeat.LeaseID, key string) error{
		"revoked": func(id heartbeat.LeaseID, _ string) error { return c.RevokeLease(b.Context(), id) },
		"erased": func(_ heartbeat.LeaseID, key string) error {
			_, err := c.Txn(b.Context()).If(clientv3.Compare(clientv3.Version(key), ">", 0)).Then(clientv3.OpDelete(key)).Commit()
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			ids := make([]heartbeat.LeaseID, b.N)
			for i := range ids {
				ids[i], err = c.GrantLease(b.Context(), 600)
				require.NoError(b, err)
				_, err = c.Put(b.Context(), fmt.Sprintf("/%s/%d", name, i), "", clientv3.WithLease(clientv3.LeaseID(ids[i])))
				require.NoError(b, err)
			}
			b.ResetTimer()
			var next atomic.Int64
			var work sync.WaitGroup
			for range 64 {
				work.Go(func() {
					for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
						if err := end(ids[i], fmt.Sprintf("/%s/%d", name, i)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			work.Wait()
		})
	}
}
