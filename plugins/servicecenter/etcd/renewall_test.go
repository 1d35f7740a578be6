package etcd

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/server/v3/lease"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/test/proxy"
)

// together renews leases together, and returns what each was told.
func together(t testing.TB, s *Client, ids []heartbeat.LeaseID) (ttls []int, errs []error) {
	t.Helper()
	ttls, errs = make([]int, len(ids)), make([]error, len(ids))
	told := make([]int, len(ids))
	s.RenewLeases(t.Context(), ids, func(i, ttl int, err error) { // without a lock: never two at once
		told[i]++
		ttls[i], errs[i] = ttl, err
	})
	for i, n := range told {
		require.Equal(t, 1, n, "answers to renewal %d", i)
	}
	return ttls, errs
}

func TestManyRenewalsTogetherEachGetItsOwnAnswer(t *testing.T) {
	s, _ := clustered(t)
	ids := leases(t, s, 120)
	for i := 0; i < len(ids); i += 7 {
		require.NoError(t, s.RevokeLease(t.Context(), ids[i]))
	}
	var wg sync.WaitGroup
	for range 4 { // beside each other, and beside single ones
		wg.Go(func() {
			for range 5 {
				ttls, errs := together(t, s, ids)
				for i := range ids {
					if i%7 == 0 {
						require.ErrorIs(t, errs[i], heartbeat.ErrLeaseGone, i)
					} else {
						require.NoError(t, errs[i], i)
						require.Equal(t, 600, ttls[i])
					}
				}
			}
		})
	}
	for range 50 {
		_, err := s.RenewLease(t.Context(), ids[1])
		require.NoError(t, err)
	}
	wg.Wait()
	together(t, s, nil)
}

// More than all queues have room for go out as there is room.
func TestMoreRenewalsThanThereIsRoomForAreSentLater(t *testing.T) {
	s, _ := clustered(t)
	few := leases(t, s, 10)
	ids := make([]heartbeat.LeaseID, usualStreams*streamDepth+500)
	for i := range ids {
		ids[i] = few[i%len(few)]
	}
	told := 0
	s.renewals.renewAll(t.Context(), ids, func(i int, ttl int64, err error) { // without the deadline of a heartbeat
		told++
		require.NoError(t, err, i)
		require.Equal(t, int64(600), ttl)
	})
	require.Equal(t, len(ids), told)
}

// As a single one, a renewal among many outlives a cut connection, and a silent store is an
// error at the deadline, which is not that the lease is gone.
func TestManyRenewalsOutliveACutConnection(t *testing.T) {
	s, p := clustered(t)
	ids := leases(t, s, 100)
	stop := make(chan struct{})
	var rounds atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			_, errs := together(t, s, ids)
			require.NoError(t, errors.Join(errs...))
			rounds.Add(1)
		}
	})
	for range 5 {
		before := rounds.Load()
		require.Eventually(t, func() bool { return rounds.Load() > before }, time.Minute, time.Millisecond)
		p.Cut()
	}
	close(stop)
	wg.Wait()

	p.Set(proxy.Blackhole)
	began := time.Now()
	_, errs := together(t, s, ids)
	for _, err := range errs {
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, heartbeat.ErrLeaseGone)
	}
	require.GreaterOrEqual(t, time.Since(began), CallTimeout*9/10, "they were awaited until the deadline")
	p.Set(proxy.Pass)
	require.Eventually(t, func() bool { _, errs := together(t, s, ids); return errors.Join(errs...) == nil }, time.Minute, 10*time.Millisecond)
}

func TestManyRenewalsAreHedgedWithinThePermits(t *testing.T) {
	_, endpoint := etcdtest.Start(t, etcdtest.Plain)
	quiet, good := proxy.Start(t, endpoint[len("http://"):]), proxy.Start(t, endpoint[len("http://"):])
	s, err := open(t, conf.Store{Endpoints: []string{"http://" + quiet.Addr, "http://" + good.Addr}})
	require.NoError(t, err)
	ids := leases(t, s, 200)
	_, errs := together(t, s, ids)
	require.NoError(t, errors.Join(errs...))
	quiet.Set(proxy.Blackhole)
	_, errs = together(t, s, ids)
	require.NoError(t, errors.Join(errs...), "a renewal failed although a member answers")
	require.Empty(t, s.renewals.free, "every permit is given back")
}

// A lease that may have run out must not hold up those that surely live.
func TestAmongManyLeasesThoseThatSurelyLiveComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		l := newLessor(64, func(context.Context, lease.LeaseID) (int64, error) { return 60, nil },
			func(_ context.Context, id lease.LeaseID) (int64, error) {
				if id == 99 {
					<-hang
				}
				return 60, nil
			})
		defer func() {
			close(hang)
			time.Sleep(2 * idleAfter)
		}()
		var ids []heartbeat.LeaseID
		for id := range heartbeat.LeaseID(40) {
			ids = append(ids, id+1)
			if id%2 == 0 {
				_, _ = l.renewed(t.Context(), int64(id+1))
			}
		}
		ids[0] = 99
		began := time.Now()
		var order []int
		l.renewAll(t.Context(), ids, func(i int, _ int64, err error) {
			order = append(order, i)
			if i == 0 {
				require.Error(t, err)
				require.Equal(t, CallTimeout, time.Since(began))
			} else {
				require.NoError(t, err)
				require.Zero(t, time.Since(began))
			}
		})
		require.Len(t, order, 40)
		for k, i := range order[:19] {
			require.Equal(t, 2*(k+1), i, "the plain calls come first, in order")
		}
		require.Zero(t, order[39], "the one that hangs is the last")
	})
}

// A request of many leases has the time of one call as a whole: others may wait for each of them.
func TestManyCarefulRenewalsEndWithinTheTimeOfOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Int32
		c := &Client{lessor: newLessor(64, nil, func(context.Context, lease.LeaseID) (int64, error) {
			begun.Add(1)
			time.Sleep(900 * time.Millisecond)
			return 60, nil
		})}
		ids := make([]heartbeat.LeaseID, 1000)
		for i := range ids {
			ids[i] = heartbeat.LeaseID(i + 1)
		}
		began := time.Now()
		_, errs := together(t, c, ids) // each is told once
		require.Equal(t, CallTimeout, time.Since(began))
		renewed := 0
		for _, err := range errs {
			if err == nil {
				renewed++
				continue
			}
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NotErrorIs(t, err, heartbeat.ErrLeaseGone)
		}
		require.Equal(t, 2*carefulAtOnce, renewed)
		require.EqualValues(t, 3*carefulAtOnce, begun.Load(), "no other was begun")
		time.Sleep(2 * idleAfter)
	})
}
