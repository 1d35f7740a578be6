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

// revoke is etcd's, which takes a while.
func (e *expiring) revoke(_ context.Context, id lease.LeaseID) error {
	time.Sleep(e.revoking)
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, is := e.ends[id]; !is {
		return lease.ErrLeaseNotFound
	}
	delete(e.ends, id)
	e.revoked = append(e.revoked, id)
	return nil
}

func (e *expiring) revocations() []lease.LeaseID {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]lease.LeaseID{}, e.revoked...)
}

// count is how many there are.
func (r *reservations) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.of)
}

// reserving is a lessor over leases of so many seconds that looks after what is reserved, in a bubble.
func reserving(t *testing.T, ttl time.Duration, f func(t *testing.T, e *expiring, c *Client)) {
	synctest.Test(t, func(t *testing.T) {
		e := &expiring{t: t, ttl: ttl, ends: map[lease.LeaseID]time.Time{}}
		l := e.lessor()
		go l.keepReservations(e.revoke)
		defer time.Sleep(2 * idleAfter)
		defer l.close()
		f(t, e, &Client{lessor: l})
	})
}

// etcd would renew it, alone and among others, again and again, also when it was ended.
func TestAReservedLeaseIsRenewedNoMoreFromItsEndOn(t *testing.T) {
	reserving(t, 20*time.Second, func(t *testing.T, e *expiring, c *Client) {
		refused := func() {
			t.Helper()
			holds, is := e.left(1)
			require.True(t, is && holds > 0, "etcd holds it for %v", holds)
			for range 3 {
				_, err := c.RenewLease(t.Context(), 1)
				require.ErrorIs(t, err, heartbeat.ErrLeaseGone)
				_, errs := together(t, c, []heartbeat.LeaseID{1, 2})
				require.ErrorIs(t, errs[0], heartbeat.ErrLeaseGone)
				require.NoError(t, errs[1])
			}
		}
		e.grant(c.lessor, 1)
		time.Sleep(19 * time.Second)
		e.grant(c.lessor, 2)
		c.ReserveLease(t.Context(), 1)
		_, err := c.LeaseAge(t.Context(), 1)
		require.ErrorIs(t, err, errExtended)
		left, err := c.LeaseLeft(1)
		require.NoError(t, err)
		require.Equal(t, time.Second, left, "its life is what it was")
		time.Sleep(left)
		left, err = c.LeaseLeft(1)
		require.NoError(t, err)
		require.Zero(t, left)
		refused()
		c.LeaseEmptied(1)
		time.Sleep(10 * time.Second)
		refused()
		left, err = c.LeaseLeft(1)
		require.NoError(t, err)
		require.Zero(t, left)
		require.Empty(t, e.revocations())
	})
}

func TestWhoIsHeardInTimeKeepsAReservedLease(t *testing.T) {
	reserving(t, 20*time.Second, func(t *testing.T, e *expiring, c *Client) {
		e.grant(c.lessor, 1)
		for range 3 {
			time.Sleep(19 * time.Second)
			c.ReserveLease(t.Context(), 1)
			time.Sleep(time.Second - time.Millisecond)
			_, err := c.RenewLease(t.Context(), 1)
			require.NoError(t, err)
			left, err := c.LeaseLeft(1)
			require.NoError(t, err)
			require.Equal(t, 20*time.Second, left)
			time.Sleep(endedInTime + time.Second)
			require.Zero(t, c.lessor.reserved.count())
			require.Empty(t, e.revocations())
			_, err = c.RenewLease(t.Context(), 1)
			require.NoError(t, err)
		}
		time.Sleep(20 * time.Second)
		holds, _ := e.left(1)
		require.LessOrEqual(t, holds, time.Duration(0), "etcd ends it as any other")
	})
}

// Else the dead would be shown for a whole window more.
func TestWhatIsReservedAndNotEndedIsRevokedSoon(t *testing.T) {
	reserving(t, 20*time.Second, func(t *testing.T, e *expiring, c *Client) {
		const n = 50
		e.revoking = 300 * time.Millisecond
		for id := range lease.LeaseID(n) {
			e.grant(c.lessor, id)
		}
		time.Sleep(19 * time.Second)
		for id := range heartbeat.LeaseID(n) {
			c.ReserveLease(t.Context(), id)
		}
		time.Sleep(time.Second + endedInTime - time.Millisecond)
		require.Empty(t, e.revocations())
		time.Sleep(time.Second + 2*time.Millisecond)
		require.Len(t, e.revocations(), 3*carefulAtOnce)
		time.Sleep(time.Second)
		require.Len(t, e.revocations(), n)
		require.Zero(t, c.lessor.reserved.count())
	})
}

// A lease that was moved away from is revoked by whoever moved it, and one that cannot be revoked is
// tried again.
func TestAReservationOutlivesNoLease(t *testing.T) {
	reserving(t, 20*time.Second, func(t *testing.T, e *expiring, c *Client) {
		e.grant(c.lessor, 1)
		time.Sleep(19 * time.Second)
		c.ReserveLease(t.Context(), 1)
		c.lessor.forget(1)
		require.NoError(t, e.revoke(t.Context(), 1))
		_, err := c.RenewLease(t.Context(), 1)
		require.ErrorIs(t, err, heartbeat.ErrLeaseGone)
		time.Sleep(20 * time.Second)
		require.Zero(t, c.lessor.reserved.count())
		c.lessor.forget(1)
		require.Nil(t, c.lessor.life(1))
	})
}

// In a mass of deaths etcd must have time for the next ones: of what was ended it revokes nothing by
// itself, and we take a tenth of the time.
func TestEmptyLeasesAreRevokedSlowly(t *testing.T) {
	reserving(t, 20*time.Second, func(t *testing.T, e *expiring, c *Client) {
		const n = 500
		e.revoking = 20 * time.Millisecond
		for id := range lease.LeaseID(n) {
			e.grant(c.lessor, id)
		}
		time.Sleep(19 * time.Second)
		for id := range heartbeat.LeaseID(n) {
			c.ReserveLease(t.Context(), id)
		}
		time.Sleep(time.Second)
		for id := range heartbeat.LeaseID(n) {
			c.LeaseEmptied(id)
		}
		time.Sleep(15 * time.Second)
		require.Empty(t, e.revocations(), "they can wait")
		for last := 0; last < n; {
			time.Sleep(10 * time.Second)
			now := len(e.revocations())
			require.LessOrEqual(t, now-last, int(10*time.Second/(revokeShare*e.revoking))+1)
			if most := int(10 * time.Second / (revokeShare * e.revoking)); last > 0 && now < n {
				require.GreaterOrEqual(t, now-last, most*9/10)
			}
			last = now
			e.mu.Lock()
			for id, end := range e.ends {
				require.Positive(t, time.Until(end), "lease %d was left to etcd", id)
			}
			e.mu.Unlock()
			if last == 0 {
				require.FailNow(t, "nothing is revoked")
			}
		}
		require.Zero(t, c.lessor.reserved.count())
	})
}

// Leases of short lives would have to be renewed again and again.
func TestEmptyLeasesOfShortLivesAreLeftToEtcd(t *testing.T) {
	reserving(t, 4*time.Second, func(t *testing.T, e *expiring, c *Client) {
		const n = 100
		e.revoking = 100 * time.Millisecond
		renewals := atomic.Int64{}
		for id := range lease.LeaseID(n) {
			e.grant(c.lessor, id)
		}
		time.Sleep(3 * time.Second)
		for id := range heartbeat.LeaseID(n) {
			c.ReserveLease(t.Context(), id)
		}
		time.Sleep(time.Second)
		e.between = func() { renewals.Add(1) }
		for id := range heartbeat.LeaseID(n) {
			c.LeaseEmptied(id)
		}
		time.Sleep(3500 * time.Millisecond)
		require.Zero(t, renewals.Load())
		require.NotEmpty(t, e.revocations())
		require.LessOrEqual(t, len(e.revocations()), 3)
		require.Zero(t, c.lessor.reserved.count())
	})
}

// What cannot be reserved is revoked by etcd at its end, as if nobody had asked.
func TestWhatCannotBeReservedIsLeftToEtcd(t *testing.T) {
	untouched := func(t *testing.T, e *expiring, c *Client, id lease.LeaseID) {
		t.Helper()
		before, _ := e.left(id)
		c.ReserveLease(t.Context(), heartbeat.LeaseID(id))
		after, _ := e.left(id)
		require.Equal(t, before, after)
		require.Zero(t, c.lessor.reserved.count())
		require.False(t, c.lessor.isReserved(id))
	}
	reserving(t, 20*time.Second, func(t *testing.T, e *expiring, c *Client) {
		e.ends[1] = time.Now().Add(e.ttl) // of before the start
		untouched(t, e, c, 1)
		e.grant(c.lessor, 2)
		time.Sleep(20*time.Second - nearEnd)
		untouched(t, e, c, 2) // it may have run out
		e.grant(c.lessor, 3)
		e.term.Store(8)
		untouched(t, e, c, 3) // a new leader has extended it
		e.term.Store(7)
		c.lessor.slow.Store(true)
		untouched(t, e, c, 3) // etcd is slow
		c.lessor.slow.Store(false)
		c.ReserveLease(t.Context(), 3)
		require.Equal(t, 1, c.lessor.reserved.count())
	})
	reserving(t, 20*time.Second, func(t *testing.T, e *expiring, c *Client) {
		e.grant(c.lessor, 1)
		for id := range lease.LeaseID(maxReserved) {
			c.lessor.reserved.of[id+10] = &reservation{}
		}
		c.ReserveLease(t.Context(), 1)
		require.EqualValues(t, 1, c.lessor.reserved.refused.Load())
		require.False(t, c.lessor.isReserved(1))
	})
	(&Client{}).ReserveLease(t.Context(), 1) // a cluster
	(&Client{}).LeaseEmptied(1)
}

// The call by which a lease is reserved hangs in etcd, or was never made.
func TestAReservationThatHangsHoldsNobodyUp(t *testing.T) {
	reserving(t, 20*time.Second, func(t *testing.T, e *expiring, c *Client) {
		e.grant(c.lessor, 1)
		time.Sleep(19 * time.Second)
		goOn := make(chan struct{})
		e.between = func() { <-goOn }
		began := time.Now()
		c.ReserveLease(t.Context(), 1)
		require.Equal(t, CallTimeout, time.Since(began))
		left, err := c.LeaseLeft(1)
		require.NoError(t, err)
		require.Zero(t, left, "its life is over")
		c.LeaseEmptied(1)
		close(goOn) // now it is extended
		synctest.Wait()
		_, err = c.RenewLease(t.Context(), 1)
		require.ErrorIs(t, err, heartbeat.ErrLeaseGone)
		time.Sleep(20 * time.Second)
		require.Equal(t, []lease.LeaseID{1}, e.revocations())

		e.grant(c.lessor, 2)
		c.lessor.calls = newCalls(0) // nobody is free to make it
		c.ReserveLease(t.Context(), 2)
		time.Sleep(20*time.Second + endedInTime + time.Millisecond)
		require.Zero(t, c.lessor.reserved.count())
	})
}

// After a new leader has extended all leases nobody here knows when they end.
func TestANewLeaderEndsReservations(t *testing.T) {
	reserving(t, 20*time.Second, func(t *testing.T, e *expiring, c *Client) {
		e.grant(c.lessor, 1)
		time.Sleep(19 * time.Second)
		c.ReserveLease(t.Context(), 1)
		e.term.Store(8)
		time.Sleep(30 * time.Second)
		require.Zero(t, c.lessor.reserved.count())
		require.Empty(t, e.revocations())
	})
}

// Renewals, reservations and ends at random, each of which stops at any place: no renewal is answered
// after an end, and no end comes within a life of a renewal that was answered.
func TestReservationsAtRandom(t *testing.T) {
	first := rand.Uint64()
	var ended, late atomic.Int32
	for n := range uint64(200) {
		seed := first + n
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 3))
			var mu sync.Mutex
			upTo := func(most time.Duration) time.Duration {
				mu.Lock()
				defer mu.Unlock()
				if rnd.IntN(3) > 0 {
					return 0
				}
				return time.Duration(rnd.Int64N(int64(most)))
			}
			e := &expiring{t: t, ttl: 3 * time.Second, ends: map[lease.LeaseID]time.Time{}}
			e.between = func() { time.Sleep(upTo(3 * time.Second)) }
			e.after = func() { time.Sleep(upTo(time.Second)) }
			l := e.lessor()
			go l.keepReservations(e.revoke)
			const leases = 4
			var over [leases + 1]atomic.Bool
			var heard [leases + 1]atomic.Int64 // when the last renewal began that was answered
			ctx, stop := context.WithTimeout(t.Context(), 40*time.Second)
			defer stop()
			for id := range lease.LeaseID(leases) {
				e.grant(l, id+1)
				heard[id+1].Store(int64(l.now()))
			}
			var work sync.WaitGroup
			for i := range 3 * leases {
				id := i%leases + 1
				work.Go(func() {
					for ctx.Err() == nil {
						time.Sleep(upTo(6*time.Second) + time.Millisecond)
						began := l.now()
						if _, err := l.renewed(ctx, int64(id)); err != nil {
							continue
						}
						raise(&heard[id], began)
						if over[id].Load() {
							t.Errorf("lease %d is renewed after its end", id)
						}
					}
				})
			}
			for id := 1; id <= leases; id++ {
				work.Go(func() {
					for ctx.Err() == nil {
						time.Sleep(upTo(2*time.Second) + time.Millisecond)
						l.reserve(ctx, lease.LeaseID(id))
					}
				})
				work.Go(func() {
					for ctx.Err() == nil && !over[id].Load() {
						time.Sleep(upTo(time.Second) + time.Millisecond)
						left, err := l.left(lease.LeaseID(id))
						if err != nil || left > 0 {
							continue
						}
						over[id].Store(true)
						if since := l.now() - time.Duration(heard[id].Load()); since < e.ttl {
							t.Errorf("lease %d is ended %v after a heartbeat", id, since)
						}
						if holds, _ := e.left(lease.LeaseID(id)); holds > 0 {
							late.Add(1)
						}
						ended.Add(1)
						if id%2 == 0 {
							l.emptied(lease.LeaseID(id))
						}
					}
				})
			}
			work.Wait()
			time.Sleep(10*time.Second + e.ttl + endedInTime + time.Second)
			for id := range lease.LeaseID(leases) {
				if holds, _ := e.left(id + 1); holds > 0 {
					t.Errorf("etcd holds lease %d for %v", id+1, holds)
				}
			}
			if n := l.reserved.count(); n > 0 {
				t.Errorf("%d are still reserved", n)
			}
			l.close()
			time.Sleep(2 * idleAfter)
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("seed %d: %d were ended, %d of them while etcd held them", first, ended.Load(), late.Load())
	require.Positive(t, late.Load())
}

// The same with etcd: it would renew the lease, and what hangs on it goes soon after all the same.
func TestEtcdKeepsWhatIsReserved(t *testing.T) {
	t.Parallel()
	c, err := Open(t.Context(), Options{DataDir: t.TempDir(), Quota: 1 << 30, Probe: probe, Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard)})
	require.NoError(t, err)
	defer c.Close()
	id, err := c.GrantLease(t.Context(), 4)
	require.NoError(t, err)
	_, err = c.Put(t.Context(), "/on", "", clientv3.WithLease(clientv3.LeaseID(id)))
	require.NoError(t, err)
	time.Sleep(3 * time.Second)
	c.ReserveLease(t.Context(), id)
	require.True(t, c.lessor.isReserved(lease.LeaseID(id)))
	for {
		left, err := c.LeaseLeft(id)
		require.NoError(t, err)
		if left == 0 {
			break
		}
		time.Sleep(left)
	}
	_, err = c.RenewLease(t.Context(), id)
	require.ErrorIs(t, err, heartbeat.ErrLeaseGone)
	require.Eventually(t, func() bool {
		got, err := c.Get(t.Context(), "/on", clientv3.WithCountOnly())
		return err == nil && got.Count == 0
	}, time.Minute, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		res, err := c.Leases(t.Context())
		return err == nil && len(res.Leases) == 0
	}, time.Minute, 10*time.Millisecond)
}

// BenchmarkMass is how long it takes to end what hangs on leases that run out at one moment, and to write
// once more for each, as a claim does.
func BenchmarkMass(b *testing.B) {
	c, err := Open(b.Context(), Options{DataDir: b.TempDir(), Quota: 1 << 30, Probe: probe, Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard)})
	require.NoError(b, err)
	defer c.Close()
	const deaths, ttl, workers = 2000, 10, 64
	all := func(do func(i int)) {
		var next atomic.Int64
		var work sync.WaitGroup
		for range workers {
			work.Go(func() {
				for i := int(next.Add(1)) - 1; i < deaths; i = int(next.Add(1)) - 1 {
					do(i)
				}
			})
		}
		work.Wait()
	}
	for _, reserve := range []bool{false, true, false, true} {
		b.Run(map[bool]string{false: "revoked by etcd", true: "reserved"}[reserve], func(b *testing.B) {
			revoked := 0
			for b.Loop() {
				b.StopTimer()
				var ids [deaths]heartbeat.LeaseID
				key := func(i int) string { return fmt.Sprintf("/mass/%d", ids[i]) }
				all(func(i int) {
					var err error
					ids[i], err = c.GrantLease(context.Background(), ttl)
					require.NoError(b, err)
					_, err = c.Put(context.Background(), key(i), "", clientv3.WithLease(clientv3.LeaseID(ids[i])))
					require.NoError(b, err)
				})
				all(func(i int) { _, _ = c.RenewLease(context.Background(), ids[i]) })
				time.Sleep((ttl - 1) * time.Second)
				if reserve {
					all(func(i int) { c.ReserveLease(context.Background(), ids[i]) })
				}
				all(func(i int) {
					for left, err := c.LeaseLeft(ids[i]); err == nil && left > 0; left, err = c.LeaseLeft(ids[i]) {
						time.Sleep(left)
					}
				})
				b.StartTimer()
				all(func(i int) {
					_, _ = c.Delete(context.Background(), key(i))
					c.LeaseEmptied(ids[i])
					_, _ = c.Put(context.Background(), "/claims", "")
				})
				b.StopTimer()
				res, err := c.Leases(context.Background())
				require.NoError(b, err)
				kept := map[clientv3.LeaseID]bool{}
				for _, is := range res.Leases {
					kept[is.ID] = true
				}
				for _, id := range ids {
					if !kept[clientv3.LeaseID(id)] {
						revoked++
					}
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N)/deaths, "ms/death")
			b.ReportMetric(float64(revoked)/float64(b.N), "revoked-meanwhile")
		})
	}
}
