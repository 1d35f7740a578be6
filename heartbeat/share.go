package heartbeat

import "context"

// renew merges the renewals of one lease that are in flight together. It belongs to
// the engine, not to the caller that happened to be first: that one may go away.
func (e *Engine) renew(ctx context.Context, en *entry, l LeaseID) Result {
	en.mu.Lock()
	if l != 0 && en.renewing == l {
		c := make(chan Result, 1)
		en.waiters = append(en.waiters, c)
		en.mu.Unlock()
		select {
		case r := <-c:
			return r
		case <-ctx.Done():
			return Result{Outcome: Unavailable}
		}
	}
	mine := en.renewing == 0
	if mine {
		en.renewing = l
	}
	en.mu.Unlock()

	began, _ := e.Clock()
	ttl, err := e.Store.Renew(e.ctx, l)
	r := Result{Outcome: e.outcome(e.ctx, DoRenew, err), TTL: ttl, Lease: l}
	if now, _ := e.Clock(); now-began > maxSilence {
		e.doubt("renewal")
	}
	if !mine {
		return r
	}
	en.mu.Lock()
	waiters := en.waiters
	en.renewing, en.waiters = 0, nil
	en.mu.Unlock()
	for _, c := range waiters {
		c <- r
	}
	return r
}

// sharedRead is a read that has not begun yet; whoever asks before it begins may
// have its answer.
type sharedRead struct {
	done     chan struct{}
	snapshot Snapshot
	err      error
}

// read reads record and projection. Of one instance one read is in flight: whoever
// asks meanwhile shares the next one, for an answer counts only if its read began
// after the question (protocol CE5).
func (e *Engine) read(ctx context.Context, en *entry) (Snapshot, error) {
	en.mu.Lock()
	if en.reading {
		if en.nextRead == nil {
			en.nextRead = &sharedRead{done: make(chan struct{})}
		}
		r := en.nextRead
		en.mu.Unlock()
		select {
		case <-r.done:
			return r.snapshot, r.err
		case <-ctx.Done():
			return Snapshot{}, ctx.Err()
		}
	}
	en.reading = true
	en.mu.Unlock()
	s, err := e.Store.Read(ctx, en.id)
	if next := en.followed(); next != nil && !e.begin(func() { e.readOn(en, next) }) {
		e.readOn(en, next) // stopped: they learn of it here
	}
	return s, err
}

// readOn reads for those who waited, until nobody waits.
func (e *Engine) readOn(en *entry, r *sharedRead) {
	for ; r != nil; r = en.followed() {
		r.snapshot, r.err = e.Store.Read(e.ctx, en.id)
		close(r.done)
	}
}

// followed ends a read; it returns the one that was asked for meanwhile.
func (en *entry) followed() *sharedRead {
	en.mu.Lock()
	defer en.mu.Unlock()
	next := en.nextRead
	en.nextRead, en.reading = nil, next != nil
	return next
}
