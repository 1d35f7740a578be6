package heartbeat

import "context"

// lane bounds how many flows of one sort talk to the store at once. There is at
// most one flow of a sort per instance, so what waits is bounded too.
type lane chan struct{}

const (
	laneWidth   = 32
	lookupWidth = 8
)

// begin runs work in a goroutine that Run waits for; after Run it does nothing.
func (e *Engine) begin(work func()) bool {
	e.workMu.Lock()
	defer e.workMu.Unlock()
	if e.ctx.Err() != nil {
		return false
	}
	e.work.Go(work)
	return true
}

// stop ends all work and waits for it. The lock keeps work from beginning between
// the two.
func (e *Engine) stop() {
	e.workMu.Lock()
	e.end()
	e.workMu.Unlock()
	e.work.Wait()
}

// spawn runs work in the lane, without making the caller wait.
func (e *Engine) spawn(l lane, work func(ctx context.Context)) {
	e.begin(func() {
		select {
		case l <- struct{}{}:
			defer func() { <-l }()
			work(e.ctx)
		case <-e.ctx.Done():
		}
	})
}

// refute re-arms an instance; en.mu is held. It has a lane of its own and never
// waits for a claim (protocol CE4).
func (e *Engine) refute(en *entry, now Instant) {
	en.refuting, en.refutedAt = true, now
	e.spawn(e.refutes, func(ctx context.Context) {
		e.run(ctx, en, &RefuteFlow{}) // what failed is tried again by the tick
		en.mu.Lock()
		en.refuting = false
		en.mu.Unlock()
	})
}

// adopt renews a lease that another replica moved the instance to; en.mu is held. It
// has a lane of its own: many at once must not delay a refutation.
func (e *Engine) adopt(en *entry) {
	if en.adopting {
		return // whoever does it looks again
	}
	en.adopting = true
	e.spawn(e.adopts, func(ctx context.Context) {
		for l := en.adopted(0); l != 0; l = en.adopted(l) {
			_, _ = e.Store.Renew(ctx, l) // the next heartbeat does it again if this fails
		}
	})
}

// adopted says which lease to adopt after done, if there is still one.
func (en *entry) adopted(done LeaseID) LeaseID {
	en.mu.Lock()
	defer en.mu.Unlock()
	if l := en.view.Record.Lease; l != done && en.view.on(l) {
		return l
	}
	en.adopting = false
	return 0
}

// pursue moves the claim of an absent instance on; en.mu is held.
func (e *Engine) pursue(en *entry, in Input) {
	f := en.claim
	if f == nil {
		f = &ClaimFlow{}
		en.claim = f
	}
	a := f.Next(in, Result{})
	if a.Do == DoWait {
		return
	}
	if a.Do == DoAnswer {
		en.claim = nil
		return
	}
	en.claiming = true
	e.spawn(e.claims, func(ctx context.Context) { e.pursueOn(ctx, en, f, a) })
}

// pursueOn performs a claim's actions until it waits or ends.
func (e *Engine) pursueOn(ctx context.Context, en *entry, f *ClaimFlow, a Action) {
	for a.Do != DoWait && a.Do != DoAnswer {
		if a.Do == DoCommit && e.turn(ctx) {
			if a = e.again(en, f); a.Do != DoCommit {
				continue
			}
		}
		r := e.perform(ctx, en, &a)
		a = e.step(en, f, r)
	}
	en.mu.Lock()
	en.claiming = false
	if a.Do == DoAnswer || !en.view.Absent() { // a new absence gets a new hold
		en.claim = nil
	}
	en.mu.Unlock()
}

func (e *Engine) again(en *entry, f *ClaimFlow) Action {
	now, wall := e.Clock()
	en.mu.Lock()
	defer en.mu.Unlock()
	return f.Again(e.input(en, now, wall))
}

// mend runs a repair or a retention; there is one at a time per instance.
func (e *Engine) mend(en *entry, f Flow) {
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.mending {
		return
	}
	en.mending = true
	e.spawn(e.x, func(ctx context.Context) {
		e.run(ctx, en, f)
		en.mu.Lock()
		en.mending = false
		en.mu.Unlock()
	})
}
