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
	sure        = 4 * time.Second
	reserveTime = time.Second            // within which replicas try for a subscription that another one made
	takeTime    = 500 * time.Millisecond // within which they try for one whose sender is gone
	takePause   = time.Second            // after an attempt failed
	badPause    = 30 * time.Second       // after the cursor turned out to be unreadable
	takers      = 16                     // attempts at a time
	handoverMax = 7 * time.Second        // a lock and its lease are gone by then, whatever happened
	// lockPoll is the first pause in which a deletion asks again whether a lock has gone, and
	// lockPollMost the longest: a thousand deletions may wait for a replica that was killed.
	lockPoll     = 20 * time.Millisecond
	lockPollMost = 500 * time.Millisecond
)

var errNoLock = errors.New("the lock is not ours")

// owner is the lease on which this replica holds its locks, one lock a subscription.
type owner struct {
	lease   atomic.Int64
	renewed atomic.Int64 // the start of the last renewal that succeeded; 0: none
	kick    chan struct{}
}

func (o *owner) id() heartbeat.LeaseID { return heartbeat.LeaseID(o.lease.Load()) }

func (o *owner) poke() {
	select {
	case o.kick <- struct{}{}:
	default:
	}
}

// holds judges by the monotonic clock: the lease cannot have ended yet.
func (d *dispatcher) holds(now plugins.Instant) bool {
	if d.alone {
		return true
	}
	at := plugins.Instant(d.owner.renewed.Load())
	return at != 0 && now-at < sure
}

// run works until ctx ends. It returns when no POST is under way any more, and leaves
// the rest of the outbox to others or to the next start.
func (d *dispatcher) run(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { d.take(ctx) })
	if d.kept != nil {
		loops.Go(func() { d.relieve(ctx) })
	}
	if !d.alone {
		loops.Go(func() { d.keep(ctx) })
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
	if l := d.owner.id(); l != 0 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = d.store.Revoke(ctx, l) // it runs out by itself if this fails
	}
}

// keep renews the lease.
func (d *dispatcher) keep(ctx context.Context) {
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
	if l := d.owner.id(); l != 0 {
		_, err := d.store.Renew(ctx, l)
		if err == nil {
			d.renewed(before)
		}
		if !errors.Is(err, heartbeat.ErrLeaseGone) {
			return
		}
		d.dispossess()
	}
	before, _ = d.now()
	if l, err := d.store.Grant(ctx, leaseSeconds); err == nil {
		d.owner.lease.Store(int64(l))
		d.renewed(before)
		d.owner.poke()
	}
}

// renewed notes that the lease was renewed by a call that began at from. Workers that
// found their locks unsure before wait for nothing but this: one waiter for all of them.
func (d *dispatcher) renewed(from plugins.Instant) {
	last := plugins.Instant(d.owner.renewed.Swap(int64(from)))
	if now, _ := d.now(); last != 0 && now-last < sure {
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
func (d *dispatcher) dispossess() {
	d.owner.renewed.Store(0)
	gone := heartbeat.LeaseID(d.owner.lease.Swap(0))
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, en := range d.entries {
		if en.worker != nil || en.held && en.lease == gone {
			d.dismiss(id, en)
			en.held, en.tryAt = false, d.soon(takeTime)
		}
	}
}
