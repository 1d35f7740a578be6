package etcd

import (
	"container/heap"
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/server/v3/lease"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// reservations are leases that etcd is kept from revoking when they run out, because this process ends
// them itself: etcd follows each revocation by a synced commit of its database, for which everything
// waits that is written meanwhile, and in a mass of deaths that is the next deaths.
//
// A lease is reserved by renewing it in etcd, shortly before it runs out. That takes no write, and
// etcd keeps it for a whole life more. For everybody else its life stays what it was (leaseLife): from its end
// on it is renewed no more, and END takes away what hangs on it. What is not ended soon after is
// revoked at once, as etcd would have done. Empty leases are revoked later, one after the other, and
// kept from etcd until then. What is lost of this etcd revokes by itself.
type reservations struct {
	mu    sync.Mutex
	of    map[lease.LeaseID]*reservation
	due   reservationQueue
	empty []*reservation // those that were looked at, in order
	paced time.Duration  // none of them is revoked before that
	wake  chan struct{}

	refused atomic.Uint64 // there were too many
}

const (
	maxReserved = 50_000
	// endedInTime is how long a lease that has run out is left to its end here.
	endedInTime = 2500 * time.Millisecond
	// extendAhead is how long before etcd would revoke it an empty lease is looked at.
	extendAhead = 2 * time.Second
	// worthExtending: an empty lease of a shorter life is left to etcd, for it would be renewed too often.
	worthExtending = 10 * time.Second
	// Of the time, this part at most goes by with revoking empty leases.
	revokeShare = 10
	revokePause = 5 * time.Millisecond
	// lookAgain is when a lease is looked at again with which somebody is busy.
	lookAgain = 100 * time.Millisecond
)

// reservation is one of them; the mutex of all guards it.
type reservation struct {
	id    lease.LeaseID
	life  *leaseLife
	ttl   time.Duration
	until time.Duration // etcd keeps it no longer than that
	empty bool          // it was ended: nothing hangs on it
	busy  bool          // it is being extended or revoked, and not in the queue
	next  bool          // it stands among those to be revoked
	gone  bool          // it is none any more
	at    time.Duration // when it is looked at
	place int           // in the queue
}

func (r *reservations) init() {
	r.of, r.wake = map[lease.LeaseID]*reservation{}, make(chan struct{}, 1)
}

// reserve has etcd keep a lease that surely lives for longer than it says.
func (l *lessor) reserve(ctx context.Context, id lease.LeaseID) {
	k := l.lives(id)
	if !k.plain || l.term() != l.opened {
		return
	}
	one := l.reserved.begin(id, k.leaseLife)
	if one == nil {
		return
	}
	l.extend(ctx, one, l.renew)
}

// begin notes that a lease is to be extended, before that happens; nil: it is not to be.
func (r *reservations) begin(id lease.LeaseID, life *leaseLife) *reservation {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.of[id]
	switch {
	case one != nil && one.busy:
		return nil
	case one != nil:
		heap.Remove(&r.due, one.place)
	case len(r.of) >= maxReserved:
		r.refused.Add(1)
		return nil
	case !life.reserve():
		return nil
	default:
		one = &reservation{id: id, life: life}
		r.of[id] = one
	}
	one.busy = true
	return one
}

// extend renews a lease in etcd, which is no sign of life. Nobody waits for longer than a call may take.
func (l *lessor) extend(ctx context.Context, one *reservation, renew func(context.Context, lease.LeaseID) (int64, error)) {
	var begun atomic.Bool
	_, err := inTime(ctx, l.calls, func(ctx context.Context) (none struct{}, _ error) {
		if begun.CompareAndSwap(false, true) {
			ttl, err := renew(ctx, one.id)
			l.finishExtending(one, ttl, err)
		}
		return none, nil
	})
	if err != nil && begun.CompareAndSwap(false, true) {
		l.finishExtending(one, 0, err) // it was not begun
	}
}

func (l *lessor) finishExtending(one *reservation, ttl int64, err error) {
	r, now := &l.reserved, l.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		one.ttl = time.Duration(ttl) * time.Second
		one.until = max(one.until, now+one.ttl)
	}
	one.busy = false
	switch {
	case errors.Is(err, lease.ErrLeaseNotFound):
		r.drop(one)
	case one.empty:
		r.lookAt(one, max(one.until-extendAhead, now+lookAgain))
	default:
		r.lookAt(one, time.Duration(one.life.atMost.Load())+endedInTime)
	}
}

// drop forgets a reservation, of a lease that etcd keeps no longer than its life; r.mu is held.
func (r *reservations) drop(one *reservation) {
	delete(r.of, one.id)
	one.gone = true
	one.life.reserved.Store(false)
}

// lookAt puts a reservation into the queue; r.mu is held.
func (r *reservations) lookAt(one *reservation, at time.Duration) {
	one.at = at
	heap.Push(&r.due, one)
	if one.place == 0 {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// emptied notes that nothing hangs any more on a lease that has run out.
func (l *lessor) emptied(id lease.LeaseID) {
	r := &l.reserved
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.of[id]
	if one == nil {
		return
	}
	one.empty = true
	if !one.busy {
		heap.Remove(&r.due, one.place)
		r.lookAt(one, one.until-extendAhead)
	}
}

func (l *lessor) isReserved(id lease.LeaseID) bool {
	known := l.life(id)
	return known != nil && known.reserved.Load()
}

// keepReservations looks at each lease when that is due, until the lessor is closed.
func (l *lessor) keepReservations(revoke func(context.Context, lease.LeaseID) error) {
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	for {
		work, wait := l.dueReservations(revoke)
		if len(work) > 0 {
			atOnce(len(work), func(n int) answer {
				work[n]()
				return answer{n: n}
			}, func(answer) {})
			wait = 0
		}
		t.Reset(wait)
		select {
		case <-l.closed:
			return
		case <-l.reserved.wake:
		case <-t.C:
		}
	}
}

// dueReservations is what is to be done now, or else when it is to be looked again.
func (l *lessor) dueReservations(revoke func(context.Context, lease.LeaseID) error) (work []func(), wait time.Duration) {
	r, now, extended := &l.reserved, l.now(), l.term() != l.opened
	r.mu.Lock()
	defer r.mu.Unlock()
	if one := r.nextEmpty(now); one != nil {
		work = append(work, func() { l.revokeReserved(one, revoke, true) })
	}
	for len(r.due) > 0 && len(work) < carefulAtOnce {
		one := r.due[0]
		if one.at > now {
			break
		}
		heap.Pop(&r.due)
		_, over := one.life.over(now)
		ended := time.Duration(one.life.atMost.Load())
		switch inTime := ended + endedInTime; {
		case extended, now >= one.until, ended >= one.until: // it was renewed since
			r.drop(one)
		case !over:
			r.lookAt(one, max(inTime, now+lookAgain))
		case one.empty && !one.next:
			one.next = true
			r.empty = append(r.empty, one)
			r.lookAt(one, one.until-extendAhead/2)
		case one.empty && one.ttl >= worthExtending:
			one.busy = true
			work = append(work, func() { l.extend(context.Background(), one, l.renewChecked) })
		case one.empty:
			r.lookAt(one, one.until)
		case now >= inTime:
			one.busy = true
			work = append(work, func() { l.revokeReserved(one, revoke, false) })
		default:
			r.lookAt(one, inTime)
		}
	}
	wait = time.Hour
	if len(r.due) > 0 {
		wait = min(wait, max(r.due[0].at-now, 0))
	}
	if len(r.empty) > 0 {
		wait = min(wait, max(r.paced-now, 0))
	}
	return work, wait
}

// nextEmpty is the empty lease to be revoked now; r.mu is held.
func (r *reservations) nextEmpty(now time.Duration) *reservation {
	for len(r.empty) > 0 && now >= r.paced {
		one := r.empty[0]
		r.empty[0], r.empty = nil, r.empty[1:]
		if one.busy { // it is being extended, and is looked at again
			one.next = false
		} else if !one.gone {
			heap.Remove(&r.due, one.place)
			r.paced, one.busy, one.next = math.MaxInt64, true, false
			return one
		}
	}
	if len(r.empty) == 0 {
		r.empty = nil // a mass leaves no memory behind
	}
	return nil
}

// revokeReserved revokes a lease that has run out, and what hangs on it.
func (l *lessor) revokeReserved(one *reservation, revoke func(context.Context, lease.LeaseID) error, paced bool) {
	ctx, cancel := context.WithTimeout(context.Background(), CallTimeout)
	defer cancel()
	began := l.now()
	err := Translate(revoke(ctx, one.id))
	r, now := &l.reserved, l.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if paced {
		r.paced = now + max((revokeShare-1)*(now-began), revokePause)
	}
	one.busy = false
	if err == nil || errors.Is(err, heartbeat.ErrLeaseGone) {
		r.drop(one)
		return
	}
	r.lookAt(one, now+time.Second)
}
