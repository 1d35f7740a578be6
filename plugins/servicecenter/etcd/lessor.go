package etcd

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/lease"
)

// lessor renews leases in process, for every heartbeat. A plain call of etcd's lessor can
// hang: it has a renewal of a lease that ran out wait for the end of its revocation, which
// after a pause is one of thousands, and it asks raft for its leadership if that has not
// ticked for a moment. So a plain call is made only of a lease that surely lives, and only
// while such calls return; any other renewal is handed to a worker, for whom nobody waits
// longer than CallTimeout. One case is left: the process is stopped in the middle of a
// plain call, for as long as the lease still had.
type lessor struct {
	*calls
	renew func(context.Context, lease.LeaseID) (int64, error)
	// renewChecked is for a lease that may have run out.
	renewChecked func(context.Context, lease.LeaseID) (int64, error)
	pool         sync.Pool // of *renewal

	origin   time.Time
	known    [64]leaseLives
	began    atomic.Int64 // plain calls
	returned atomic.Int64
	slow     atomic.Bool // plain calls do not return
	closed   chan struct{}
	reserved reservations

	term   func() uint64 // of raft; a new one means that every lease was extended
	opened uint64        // in which the leases are known
}

const (
	// nearEnd: a lease that has less than this left may have run out.
	nearEnd   = 250 * time.Millisecond
	watchIdle = 50 * time.Millisecond
)

// renewal is a call of a worker; it is used again.
type renewal struct {
	*pendingCall
	id    lease.LeaseID
	known *leaseLife
	ttl   int64
	err   error
}

// make makes the renewal.
func (r *renewal) make(ctx context.Context, l *lessor) {
	if !r.known.begin(l.now) {
		r.ttl, r.err = 0, lease.ErrLeaseNotFound
		return
	}
	r.ttl, r.err = l.renewChecked(ctx, r.id)
	r.known.finish(l.now(), r.ttl, r.err)
}

func newLessor(most int, renew, careful func(context.Context, lease.LeaseID) (int64, error)) *lessor {
	l := &lessor{calls: newCalls(most), renew: renew, renewChecked: careful, origin: time.Now(), closed: make(chan struct{})}
	l.reserved.init()
	l.pool.New = func() any {
		one := new(renewal)
		one.pendingCall = newCall(func(ctx context.Context) { one.make(ctx, l) })
		return one
	}
	return l
}

// etcdLessor is the lessor of an embedded etcd. close ends it.
func etcdLessor(s *etcdserver.EtcdServer) *lessor {
	l := newLessor(maxRenewals, s.LeaseRenew, func(ctx context.Context, id lease.LeaseID) (int64, error) {
		left, err := s.LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: int64(id)})
		if err == nil && left.TTL <= 0 {
			return 0, lease.ErrLeaseNotFound // it is being revoked, or about to be
		}
		return s.LeaseRenew(ctx, id)
	})
	l.term, l.opened = s.Term, s.Term()
	go l.watch()
	return l
}

// watch notices when plain calls do not return.
func (l *lessor) watch() {
	t := time.NewTicker(watchIdle)
	defer t.Stop()
	for last := int64(-1); ; {
		select {
		case <-l.closed:
			return
		case <-t.C:
		}
		returned := l.returned.Load()
		l.slow.Store(l.began.Load() > returned && returned == last)
		last = returned
	}
}

func (l *lessor) close() { close(l.closed) }

// renewed renews a lease and returns its time to live in seconds.
func (l *lessor) renewed(ctx context.Context, id int64) (ttl int64, err error) {
	return l.renewBy(ctx, lease.LeaseID(id), l.lives(lease.LeaseID(id)))
}

// knownLife is what is known of a lease at a moment.
type knownLife struct {
	*leaseLife
	now   time.Duration
	plain bool // a plain call will do
}

func (l *lessor) lives(id lease.LeaseID) knownLife {
	k := knownLife{now: l.now(), leaseLife: l.life(id)}
	k.plain = k.leaseLife != nil && k.atLeast.Load() > int64(k.now) && !l.slow.Load()
	return k
}

func (l *lessor) renewBy(ctx context.Context, name lease.LeaseID, k knownLife) (ttl int64, err error) {
	if k.plain {
		if !k.begin(l.now) {
			return 0, lease.ErrLeaseNotFound
		}
		l.began.Add(1)
		ttl, err = l.renew(ctx, name)
		l.returned.Add(1)
		k.finish(l.now(), ttl, err)
	} else {
		k.leaseLife = l.ensure(name)
		ttl, err = l.renewByWorker(ctx, name, k.leaseLife)
	}
	switch {
	case err == nil:
		k.atLeast.Store(int64(k.now + time.Duration(ttl)*time.Second - nearEnd)) // if it was forgotten meanwhile, the next renewal is a careful one
	case errors.Is(err, lease.ErrLeaseNotFound):
		l.forget(name)
	}
	return ttl, err
}

func (l *lessor) renewByWorker(ctx context.Context, id lease.LeaseID, known *leaseLife) (ttl int64, err error) {
	one := l.pool.Get().(*renewal)
	one.id, one.known = id, known
	if err := l.run(ctx, one.pendingCall, CallTimeout); err != nil {
		return 0, err // one is the worker's for as long as that hangs
	}
	ttl, err = one.ttl, one.err
	l.pool.Put(one)
	return ttl, err
}

// errNotKnown says that nobody here knows when a lease runs out.
var errNotKnown = errors.New("it is not known here when the lease runs out")

// left is how long a lease may live yet; 0: it has run out for certain.
func (l *lessor) left(id lease.LeaseID) (time.Duration, error) {
	known := l.life(id)
	if known == nil || known.atLeast.Load() == 0 || l.term() != l.opened {
		return 0, errNotKnown
	}
	if left, over := known.over(l.now()); !over {
		return max(left, time.Millisecond), nil // a renewal that is under way ends soon
	}
	return 0, nil
}
