package etcd

import (
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/server/v3/lease"
)

// leaseLife is what this process knows of a lease of its embedded etcd, which nobody else renews.
// All moments are nanoseconds since lessor.origin.
//
// etcd says only in whole seconds how long a lease lives, but it renews none that has run out. So
// a lease has run out for certain, and stays so, once atMost is over and no renewal is under way:
// one that began before may have passed etcd's own look at the clock, and go on later.
type leaseLife struct {
	atLeast   atomic.Int64 // it lives until then; 0: nothing is known yet
	atMost    atomic.Int64 // and no longer than that; while nothing is known: since when
	renewals  atomic.Int32 // under way in etcd
	forgotten atomic.Bool  // nobody renews by this value any more: it would not be seen
	reserved  atomic.Bool  // etcd may keep it for longer than atMost: see reservations
}

// begin begins a renewal; false: the lease has run out, or what is known of it was forgotten. etcd
// would renew one that is reserved after atMost, so the clock is read once the renewal counts: either
// that is before atMost, or whoever asks whether the lease has run out sees that it is under way.
func (l *leaseLife) begin(clock func() time.Duration) bool {
	l.renewals.Add(1)
	switch {
	case l.forgotten.Load(), // set before the renewals are counted: one of the two sees the other
		l.reserved.Load() && clock() >= time.Duration(l.atMost.Load()):
		l.renewals.Add(-1)
		return false
	}
	return true
}

// reserve notes that etcd may keep the lease for longer; false: what is known of it was forgotten.
func (l *leaseLife) reserve() bool {
	l.renewals.Add(1)
	defer l.renewals.Add(-1)
	if l.forgotten.Load() {
		return false
	}
	l.reserved.Store(true)
	return true
}

// finish takes in how a renewal ended that returned at now.
func (l *leaseLife) finish(now time.Duration, ttl int64, err error) {
	if err == nil {
		raise(&l.atMost, now+time.Duration(ttl)*time.Second)
	}
	l.renewals.Add(-1)
}

// raise makes a moment a later one.
func raise(at *atomic.Int64, to time.Duration) {
	for old := at.Load(); old < int64(to) && !at.CompareAndSwap(old, int64(to)); old = at.Load() {
	}
}

// over says whether the lease has run out for certain; left is how long it may live else.
func (l *leaseLife) over(now time.Duration) (left time.Duration, over bool) {
	busy := l.renewals.Load() > 0 // before atMost: what a renewal adds there it adds before it ends
	left = time.Duration(l.atMost.Load()) - now
	return left, left <= 0 && !busy
}

// release has nobody renew by this value any more, unless somebody is just at it, or etcd may keep the
// lease although it has run out.
func (l *leaseLife) release() bool {
	if l.reserved.Load() {
		return false
	}
	l.forgotten.Store(true)
	if l.renewals.Load() == 0 && !l.reserved.Load() {
		return true
	}
	l.forgotten.Store(false)
	return false
}

// leaseLives are those of some leases.
type leaseLives struct {
	mu    sync.RWMutex
	of    map[lease.LeaseID]*leaseLife
	purge int // the size at which what has run out is forgotten
}

const (
	leastSize = 1024
	// keepEnded is for how long it is known that a lease has run out: it is ended meanwhile. It is
	// longer than a renewal waits for a worker.
	keepEnded = 5 * time.Second
)

func (l *lessor) part(id lease.LeaseID) *leaseLives { return &l.known[uint64(id)%uint64(len(l.known))] }

// life is what is known of a lease; nil: nothing.
func (l *lessor) life(id lease.LeaseID) *leaseLife {
	s := l.part(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.of[id]
}

// ensure is what is known of a lease, from now on at the latest.
func (l *lessor) ensure(id lease.LeaseID) *leaseLife {
	if known := l.life(id); known != nil {
		return known
	}
	s := l.part(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.of[id]; known != nil {
		return known
	}
	if len(s.of) >= s.purge {
		s.forgetEnded(l.now())
	}
	if s.of == nil {
		s.of = map[lease.LeaseID]*leaseLife{}
	}
	known := new(leaseLife)
	known.atMost.Store(int64(l.now()))
	s.of[id] = known
	return known
}

// forgetEnded forgets leases that ran out a while ago; s.mu is held.
func (s *leaseLives) forgetEnded(now time.Duration) {
	for id, known := range s.of {
		if _, over := known.over(now - keepEnded); over && known.release() {
			delete(s.of, id)
		}
	}
	s.purge = max(leastSize, 2*len(s.of))
}

// forget forgets a lease, unless a renewal of it is under way: then that is done later.
func (l *lessor) forget(id lease.LeaseID) {
	s := l.part(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.of[id]; known != nil && known.release() {
		delete(s.of, id)
	}
}

// granted takes in that a lease was granted by a call from began to now.
func (l *lessor) granted(id lease.LeaseID, ttl int64, began, now time.Duration) {
	known, life := l.ensure(id), time.Duration(ttl)*time.Second
	raise(&known.atMost, now+life)
	known.atLeast.Store(int64(began + life - nearEnd))
}

func (l *lessor) now() time.Duration { return time.Since(l.origin) }
