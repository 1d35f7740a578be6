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
	ends     [64]leaseEnds
	began    atomic.Int64 // plain calls
	returned atomic.Int64
	slow     atomic.Bool // plain calls do not return
	closed   chan struct{}
}

// leaseEnds knows until when leases live at least, since origin.
type leaseEnds struct {
	mu    sync.RWMutex
	until map[lease.LeaseID]*atomic.Int64 // nanoseconds
	purge int                             // the size at which what has run out is forgotten
}

const (
	// nearEnd: a lease that has less than this left may have run out.
	nearEnd   = 250 * time.Millisecond
	leastSize = 1024
	watchIdle = 50 * time.Millisecond
)

// renewal is a call of a worker; it is used again.
type renewal struct {
	*pendingCall
	id  lease.LeaseID
	ttl int64
	err error
}

func newLessor(most int, renew, careful func(context.Context, lease.LeaseID) (int64, error)) *lessor {
	l := &lessor{calls: newCalls(most), renew: renew, renewChecked: careful, origin: time.Now(), closed: make(chan struct{})}
	l.pool.New = func() any {
		one := new(renewal)
		one.pendingCall = newCall(func(ctx context.Context) { one.ttl, one.err = l.renewChecked(ctx, one.id) })
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
	now   time.Duration
	end   *atomic.Int64 // until when it lives at least; nil: nothing is known
	plain bool          // a plain call will do
}

func (l *lessor) lives(id lease.LeaseID) knownLife {
	k := knownLife{now: time.Since(l.origin), end: l.end(id)}
	k.plain = k.end != nil && k.end.Load() > int64(k.now) && !l.slow.Load()
	return k
}

func (l *lessor) renewBy(ctx context.Context, name lease.LeaseID, k knownLife) (ttl int64, err error) {
	if k.plain {
		l.began.Add(1)
		ttl, err = l.renew(ctx, name)
		l.returned.Add(1)
	} else {
		ttl, err = l.renewByWorker(ctx, name)
	}
	switch until := k.now + time.Duration(ttl)*time.Second - nearEnd; {
	case err == nil && k.end != nil:
		k.end.Store(int64(until)) // if it was forgotten meanwhile, the next renewal is a careful one
	case err == nil:
		l.setEnd(name, k.now, until)
	case errors.Is(err, lease.ErrLeaseNotFound):
		l.forget(name)
	}
	return ttl, err
}

func (l *lessor) renewByWorker(ctx context.Context, id lease.LeaseID) (ttl int64, err error) {
	one := l.pool.Get().(*renewal)
	one.id = id
	if err := l.run(ctx, one.pendingCall, CallTimeout); err != nil {
		return 0, err // one is the worker's for as long as that hangs
	}
	ttl, err = one.ttl, one.err
	l.pool.Put(one)
	return ttl, err
}

func (l *lessor) of(id lease.LeaseID) *leaseEnds { return &l.ends[uint64(id)%uint64(len(l.ends))] }

// end is until when a lease lives at least; nil if nothing is known of it.
func (l *lessor) end(id lease.LeaseID) *atomic.Int64 {
	s := l.of(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.until[id]
}

func (l *lessor) setEnd(id lease.LeaseID, now, until time.Duration) {
	s := l.of(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.until) >= s.purge {
		for old, end := range s.until {
			if end.Load() <= int64(now) {
				delete(s.until, old)
			}
		}
		s.purge = max(leastSize, 2*len(s.until))
	}
	if s.until == nil {
		s.until = map[lease.LeaseID]*atomic.Int64{}
	}
	end := new(atomic.Int64)
	end.Store(int64(until))
	s.until[id] = end
}

func (l *lessor) forget(id lease.LeaseID) {
	s := l.of(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.until, id)
}
