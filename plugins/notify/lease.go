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
	// trustTime is how long after a renewal this replica may send. It must be shorter than
	// the lease: otherwise another replica could have the lock and send at the same time.
	trustTime       = 4 * time.Second
	newJitter       = time.Second            // spreads the replicas' attempts to lock a new subscription
	takeoverJitter  = 500 * time.Millisecond // and to lock one whose sender is gone
	handover        = time.Second            // for a replica that takes a lock from another
	retryPause      = time.Second            // after an attempt to lock failed
	contestedPause  = 100 * time.Millisecond // after it failed because of another lock, while the consumer is connected here
	unreadablePause = 30 * time.Second       // after the cursor could not be read
	maxLockings     = 16                     // attempts to lock at a time
	maxHandover     = 7 * time.Second        // by then a lock is gone with its lease, whatever happened
	// lockPoll is the first pause before a deletion asks again whether a lock is gone, and
	// maxLockPoll the longest: a thousand deletions may wait for a replica that was killed.
	lockPoll    = 20 * time.Millisecond
	maxLockPoll = 500 * time.Millisecond
)

// errNotOurs says that another replica has the lock, or that the lease is gone.
var errNotOurs = errors.New("the lock is not ours")

// replicaLease is the store's lease on which this replica holds its locks, one for each
// subscription that it sends to.
type replicaLease struct {
	current   atomic.Int64  // a heartbeat.LeaseID; 0: there is none
	renewedAt atomic.Int64  // a plugins.Instant: the start of the last renewal that succeeded; 0: none
	wake      chan struct{} // has lockLoop look again
}

func (l *replicaLease) id() heartbeat.LeaseID { return heartbeat.LeaseID(l.current.Load()) }

func (l *replicaLease) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// trustsLease says whether the lease cannot have ended yet, by the monotonic clock. Without
// that no POST may start: another replica may have taken the lock.
func (d *dispatcher) trustsLease(now plugins.Instant) bool {
	if d.alone {
		return true
	}
	at := plugins.Instant(d.lease.renewedAt.Load())
	return at != 0 && now-at < trustTime
}

// run runs the loops until ctx ends. It returns when no POST is under way any more, and
// leaves the rest of the outbox to other replicas or to the next start.
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
	d.closeStreams()
	if l := d.lease.id(); l != 0 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = d.store.Revoke(ctx, l) // it runs out by itself if this fails
	}
}

// renewLoop renews the lease until ctx ends.
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

// renew renews the lease, or grants a new one if there is none.
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

// renewed records that the lease was renewed by a call that began at from. Workers that did
// not trust it any more wait for nothing else, so it wakes them.
func (d *dispatcher) renewed(from plugins.Instant) {
	last := plugins.Instant(d.lease.renewedAt.Swap(int64(from)))
	if now, _ := d.now(); last != 0 && now-last < trustTime {
		return // it was trusted all the time
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, en := range d.entries {
		if en.worker != nil {
			en.worker.wakeUp()
		}
	}
}

// loseLease stops all workers: with the lease all locks of this replica are gone, also those
// whose worker has not started yet.
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
