package notify

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	leaseSeconds = 5
	renewEvery   = time.Second
	// sure is how long after a renewal this replica may send: less than the lease, so
	// that another one cannot have the lock by then.
	trustTime       = 4 * time.Second
	newJitter       = time.Second            // within which replicas try for a subscription that another one made
	takeoverJitter  = 500 * time.Millisecond // within which they try for one whose sender is gone
	retryPause      = time.Second            // after an attempt failed
	unreadablePause = 30 * time.Second       // after the cursor turned out to be unreadable
	maxLockings     = 16                     // attempts at a time
	maxHandover     = 7 * time.Second        // a lock and its lease are gone by then, whatever happened
	// lockPoll is the first pause in which a deletion asks again whether a lock has gone, and
	// lockPollMost the longest: a thousand deletions may wait for a replica that was killed.
	lockPoll    = 20 * time.Millisecond
	maxLockPoll = 500 * time.Millisecond
)

var errNotOurs = errors.New("the lock is not ours")

// owner is the lease on which this replica holds its locks, one lock a subscription.
type replicaLease struct {
	current   atomic.Int64
	renewedAt atomic.Int64 // the start of the last renewal that succeeded; 0: none
	wake      chan struct{}
}

func (o *replicaLease) id() heartbeat.LeaseID { return heartbeat.LeaseID(o.current.Load()) }

func (o *replicaLease) wakeUp() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// holds judges by the monotonic clock: the lease cannot have ended yet.
func (d *dispatcher) trustsLease(now plugins.Instant) bool {
	if d.alone {
		return true
	}
	at := plugins.Instant(d.lease.renewedAt.Load())
	return at != 0 && now-at < trustTime
}

// run works until ctx ends. It returns when no POST is under way any more, and leaves
// the rest of the outbox to others or to the next start.
func (d *dispatcher) run(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { d.lockLoop(ctx) })
	if d.retention != nil {
		loops.Go(func() { d.shedLoop(ctx) })
	}
	if !d.alone {
		loops.Go(func() { d.renewLoop(ctx) })
	}
	<-ctx.Done()
	loops.Wait()
	d.close()
}

func (d *dispatcher) close() {
	d.mu.Lock()
	d.closed = true
	var stopped sync.WaitGroup
	for _, en := range d.entries {
		if en.worker != nil {
			stopped.Go(en.worker.stop)
		}
	}
	d.mu.Unlock()
	stopped.Wait()
	if l := d.lease.id(); l != 0 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = d.store.Revoke(ctx, l) // it runs out by itself if this fails
	}
}

// keep renews the lease.
func (d *dispatcher) renewLoop(ctx context.Context) {
	t := time.NewTicker(renewEvery)
	defer t.Stop()
	for {
		d.renew(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (d *dispatcher) renew(ctx context.Context) {
	before, _ := d.now()
	if l := d.lease.id(); l != 0 {
		_, err := d.store.Renew(ctx, l)
		if err == nil {
			d.renewed(before)
		}
		if !errors.Is(err, heartbeat.ErrLeaseGone) {
			return
		}
		d.loseLease()
	}
	before, _ = d.now()
	if l, err := d.store.Grant(ctx, leaseSeconds); err == nil {
		d.lease.current.Store(int64(l))
		d.renewed(before)
		d.lease.wakeUp()
	}
}

// renewed notes that the lease was renewed by a call that began at from. Workers that
// found their locks unsure before wait for nothing but this: one waiter for all of them.
func (d *dispatcher) renewed(from plugins.Instant) {
	last := plugins.Instant(d.lease.renewedAt.Swap(int64(from)))
	if now, _ := d.now(); last != 0 && now-last < trustTime {
		return // nobody has found them unsure
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, en := range d.entries {
		if en.worker != nil {
			en.worker.wakeUp()
		}
	}
}

// dispossess: with the lease all locks of this replica went, also those whose worker has
// not begun yet.
func (d *dispatcher) loseLease() {
	d.lease.renewedAt.Store(0)
	gone := heartbeat.LeaseID(d.lease.current.Swap(0))
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, en := range d.entries {
		if en.worker != nil || en.held && en.lease == gone {
			d.stopWorker(id, en)
			en.held, en.tryAt = false, d.jittered(takeoverJitter)
		}
	}
}
