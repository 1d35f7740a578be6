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
	lockPoll    = 20 * time.Millisecond
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
func (d *dispatcher) holds(now heartbeat.Instant) bool {
	if d.alone {
		return true
	}
	at := heartbeat.Instant(d.owner.renewed.Load())
	return at != 0 && now-at < sure
}

// run works until ctx ends. It returns when no POST is under way any more, and leaves
// the rest of the outbox to others or to the next start.
func (d *dispatcher) run(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { d.take(ctx) })
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
func (d *dispatcher) renewed(from heartbeat.Instant) {
	last := heartbeat.Instant(d.owner.renewed.Swap(int64(from)))
	if now, _ := d.now(); last != 0 && now-last < sure {
		return // nobody has found them unsure
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, en := range d.entries {
		if en.worker != nil {
			en.worker.look()
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

// lockSeen follows what is known about a lock; d.mu is held.
func (d *dispatcher) lockSeen(w *plugins.OutboxWrite) {
	en := d.entries[w.Name]
	if en == nil || w.At < en.lockAt {
		return
	}
	en.lockAt, en.held, en.lease = w.At, !w.Gone, w.Lease
	if w.Gone {
		d.dismiss(w.Name, en)
		en.tryAt = max(en.tryAt, d.soon(takeTime))
		d.owner.poke()
		return
	}
	if w.Lease == d.owner.id() && en.worker == nil && !en.trying {
		go d.unlock(w.Name) // taken by an attempt that got no answer: it is tried again
	}
}

// take starts workers for the subscriptions that nobody sends to.
func (d *dispatcher) take(ctx context.Context) {
	var trying sync.WaitGroup
	defer trying.Wait()
	lane := make(chan struct{}, takers)
	for {
		due, next := d.due()
		for id, en := range due {
			trying.Go(func() {
				lane <- struct{}{}
				defer func() { <-lane }()
				d.tried(id, en, d.acquire(ctx, id, en))
			})
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-d.owner.kick:
			t.Stop()
		case <-t.C:
		}
	}
}

// due are the subscriptions to try for now, and when to look again.
func (d *dispatcher) due() (map[string]*entry, time.Duration) {
	now, _ := d.now()
	next := takePause
	d.mu.Lock()
	defer d.mu.Unlock()
	due := map[string]*entry{}
	if !d.ready.Load() || !d.holds(now) {
		return nil, next
	}
	for id, en := range d.entries {
		switch {
		case en.held, en.trying, en.worker != nil, d.leaving[id] != nil:
		case en.tryAt > now:
			next = min(next, en.tryAt-now)
		default:
			en.trying = true
			due[id] = en
		}
	}
	return due, next
}

func (d *dispatcher) tried(id string, en *entry, err error) {
	now, _ := d.now()
	d.mu.Lock()
	en.trying = false
	switch {
	case errors.Is(err, heartbeat.ErrUnusable):
		en.tryAt = now + badPause
	case err != nil:
		en.tryAt = now + takePause
	}
	d.mu.Unlock()
	if err != nil {
		d.unlock(id)
	}
	d.owner.poke()
}

// acquire takes the lock of a subscription and starts its worker.
func (d *dispatcher) acquire(ctx context.Context, id string, en *entry) error {
	on, at := d.owner.id(), heartbeat.Revision(0)
	if !d.alone {
		if on == 0 {
			return errNoLock // on no lease it would never end
		}
		var err error
		if at, err = d.store.Lock(ctx, id, on); err != nil {
			return err
		}
		d.mu.Lock()
		if at > en.lockAt {
			en.lockAt, en.held, en.lease = at, true, on
		}
		d.mu.Unlock()
	}
	c, err := d.store.Cursor(ctx, id)
	if err == nil && !d.start(id, en, c, on, at) {
		err = errNoLock
	}
	return err
}

// has says whether this replica still has the lock that it took on a lease, as far as it
// knows: nothing newer was seen of it, and the lease has not been replaced. d.mu is held.
func (d *dispatcher) has(en *entry, on heartbeat.LeaseID, at heartbeat.Revision) bool {
	return d.alone || en.lockAt == at && d.owner.id() == on
}

// unlock gives a lock back if this replica has it.
func (d *dispatcher) unlock(id string) {
	l := d.owner.id()
	if d.alone || l == 0 {
		return
	}
	_ = d.store.Unlock(context.Background(), id, l) // it goes with the lease if this fails
}

// drop ends a subscription that was just erased from the store. When it returns
// without an error, nobody sends to it any more.
func (d *dispatcher) drop(ctx context.Context, id string) error {
	d.mu.Lock()
	if d.entries[id] != nil {
		d.deleted[id] = true
		d.leave(id)
	}
	w := d.leaving[id]
	d.mu.Unlock()
	if w != nil {
		<-w.done
	}
	if d.alone {
		return nil
	}
	// Whoever held the lock gives it back when its worker has stopped; of a replica that
	// is dead or cut off it ends with the lease, before which it stops by its own clock.
	ctx, cancel := context.WithTimeout(ctx, handoverMax)
	defer cancel()
	for {
		if locked, err := d.store.Locked(ctx, id); err == nil && !locked {
			return nil
		}
		t := time.NewTimer(lockPoll)
		select {
		case <-ctx.Done():
			t.Stop()
			return heartbeat.ErrUnavailable
		case <-t.C:
		}
	}
}
