package notify

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// lockSeen takes in a write of a subscription's lock; d.mu is held.
func (d *dispatcher) lockSeen(w *plugins.OutboxWrite) {
	en := d.entries[w.Name]
	if en == nil || w.At < en.lockAt || w.At == en.lockAt && !w.Gone {
		return // it is older than what is known, or known
	}
	en.lockAt, en.held, en.lease = w.At, !w.Gone, w.Lease
	if w.Gone {
		d.stopWorker(w.Name, en)
		wait := d.jittered(takeoverJitter)
		if en.sub.Asked.ByWebSocket() && en.stream == nil {
			wait += handover // perhaps it was that of a replica to which the consumer is connected
		}
		en.tryAt = max(en.tryAt, wait)
		d.lease.wakeUp()
		return
	}
	if !d.hasLock(en) {
		d.lockTaken(en, w)
		return
	}
	if en.worker == nil && !en.trying && en.connecting == 0 && en.stream == nil {
		now, _ := d.now()
		en.tryAt = max(en.tryAt, now+retryPause)
		go d.unlock(w.Name) // of an attempt that got no response: it is repeated
	}
}

// lockLoop locks the subscriptions that nobody sends to, and starts their workers.
func (d *dispatcher) lockLoop(ctx context.Context) {
	var trying sync.WaitGroup
	defer trying.Wait()
	sem := make(chan struct{}, maxLockings)
	for {
		due, next := d.due()
		for id, en := range due {
			trying.Go(func() {
				sem <- struct{}{}
				defer func() { <-sem }()
				d.lockTried(id, en, d.acquire(ctx, id, en))
			})
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-d.lease.wake:
			t.Stop()
		case <-t.C:
		}
	}
}

// due are the subscriptions to lock now, and how long it is until it must be called again.
func (d *dispatcher) due() (map[string]*entry, time.Duration) {
	now, _ := d.now()
	next := retryPause
	d.mu.Lock()
	defer d.mu.Unlock()
	due := map[string]*entry{}
	if !d.ready.Load() || !d.trustsLease(now) {
		return nil, next
	}
	for id, en := range d.entries {
		switch {
		case en.held && !d.hasLock(en) && !d.takesBack(en), en.trying, en.connecting > 0, en.worker != nil, d.stopping[id] != nil:
		case en.tryAt > now:
			next = min(next, en.tryAt-now)
		default:
			en.trying = true
			due[id] = en
		}
	}
	return due, next
}

// lockTried records how the attempt to lock a subscription ended.
func (d *dispatcher) lockTried(id string, en *entry, err error) {
	now, _ := d.now()
	d.mu.Lock()
	en.trying = false
	switch {
	case err == nil:
	case errors.Is(err, heartbeat.ErrUnusable):
		en.tryAt = now + unreadablePause
	case en.stream != nil && (errors.Is(err, heartbeat.ErrConflict) || errors.Is(err, errNotOurs)):
		en.tryAt = now + contestedPause
	default:
		en.tryAt = now + retryPause
	}
	// A lock that is not here may be that of a connection by now, and so may one that is.
	unlocks := d.entries[id] != en || d.hasLock(en) && en.connecting == 0 && en.stream == nil
	d.mu.Unlock()
	if err != nil && unlocks {
		d.unlock(id)
	}
	d.lease.wakeUp()
}

// acquire locks a subscription and starts its worker.
func (d *dispatcher) acquire(ctx context.Context, id string, en *entry) error {
	on, at := d.lease.id(), heartbeat.Revision(0)
	if !d.alone {
		if on == 0 {
			return errNotOurs // a lock without a lease would never end
		}
		var err error
		if at, err = d.takeLock(ctx, id, en, on); err != nil {
			return err
		}
	}
	c, err := d.store.Cursor(ctx, id)
	if err == nil && !d.startWorker(id, en, c, on, at) {
		err = errNotOurs
	}
	return err
}

// locked records that this replica took a lock on a lease at a revision; d.mu is held.
func (d *dispatcher) locked(en *entry, on heartbeat.LeaseID, at heartbeat.Revision) {
	if at > en.lockAt { // else the watch was faster
		en.lockAt, en.held, en.lease = at, true, on
	}
}

// hasLock says whether this replica has the lock, as far as it has seen; d.mu is held.
func (d *dispatcher) hasLock(en *entry) bool {
	on := d.lease.id()
	return on != 0 && en.held && en.lease == on
}

// stillLocked says whether this replica still has the lock that it took on a lease at a
// revision, as far as it has seen: no later write of the lock, and no other lease. d.mu is
// held.
func (d *dispatcher) stillLocked(en *entry, on heartbeat.LeaseID, at heartbeat.Revision) bool {
	return d.alone || en.lockAt == at && d.lease.id() == on
}

// unlock erases the lock of a subscription if it is on this replica's lease.
func (d *dispatcher) unlock(id string) {
	l := d.lease.id()
	if d.alone || l == 0 {
		return
	}
	_ = d.store.Unlock(context.Background(), id, l) // it ends with the lease if this fails
}

// awaitUnlocked waits until nobody sends to a subscription that was just erased from the
// store; without an error nobody does any more.
func (d *dispatcher) awaitUnlocked(ctx context.Context, id string) error {
	d.mu.Lock()
	if d.entries[id] != nil {
		d.deleted[id] = true
		d.removeSubscription(id)
	}
	w := d.stopping[id]
	d.mu.Unlock()
	if w != nil {
		<-w.done
	}
	if d.alone {
		return nil
	}
	// Another replica erases its lock when its worker has stopped. The lock of one that is
	// dead or cut off ends with its lease, before which it stops sending by its own clock.
	ctx, cancel := context.WithTimeout(ctx, maxHandover)
	defer cancel()
	for wait := lockPoll; ; wait = min(2*wait, maxLockPoll) {
		if locked, err := d.store.Locked(ctx, id); err == nil && !locked {
			return nil
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return heartbeat.ErrUnavailable
		case <-t.C:
		}
	}
}
