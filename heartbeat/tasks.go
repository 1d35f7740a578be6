package heartbeat

import "errors"

// startRefuting has a worker re-arm an instance; en.mu is held.
func (e *Engine) startRefuting(en *entry) {
	now, _ := e.now()
	en.refuting, en.refutedAt = true, now
	e.refutes.put(en)
}

// refute is a worker's part of one refutation.
func (e *Engine) refute(en *entry) {
	began, _ := e.now()
	en.mu.Lock()
	f := &RefuteFlow{Careful: en.careful}
	en.mu.Unlock()
	a, _ := e.runFlow(e.ctx, en, f)
	err := a.Response.Err
	now, _ := e.now()
	e.refutes.adapt(began, now, errors.Is(err, ErrUnavailable))
	en.mu.Lock()
	defer en.mu.Unlock()
	en.refuting, en.unusable = false, errors.Is(err, ErrUnusable)
	if en.status == absent {
		en.careful = true
		e.postpone(en, err, e.Policy.Hold/4)
	}
}

// claim is a worker's part of a claim: it carries it on to where it waits.
func (e *Engine) claim(en *entry) {
	en.mu.Lock()
	f := en.claimFlow
	if f == nil {
		f = &ClaimFlow{}
		en.claimFlow = f
	}
	en.mu.Unlock()
	a, _ := e.runFlow(e.ctx, en, f)
	en.mu.Lock()
	defer en.mu.Unlock()
	en.claiming = false
	switch {
	case en.status != absent:
		en.claimFlow = nil // a new absence gets a new hold
	case en.claimFlow != f, a.Wait.Settled != 0 && a.Wait.Settled != en.view.ended: // the store was restored, or the end is known better by now
		e.checkAfter(en, Tick)
	case a.Do == DoToken:
		e.schedule.put(&e.schedule.rateLimited, en, int64(e.health.Load().Credited))
	case a.Do == DoWait && a.Wait.Space:
		e.schedule.put(&e.schedule.awaitingSpace, en, 0)
	case a.Do == DoWait && a.Wait.Settled != 0:
		e.schedule.put(&e.schedule.awaitingPeers, en, int64(a.Wait.Settled))
		e.peers.noteWaitingClaim(a.Wait.Settled)
	case a.Do == DoWait:
		e.schedule.put(&e.schedule.due, en, int64(a.Wait.Until))
	case a.Response.Err == nil: // it was heard, or the watch is behind
		en.claimFlow = nil
		e.checkAfter(en, Tick)
	default:
		en.claimFlow = nil
		e.postpone(en, a.Response.Err, e.Policy.Hold/4)
	}
}

// endLease is a worker's part of the end of a lease. Where nobody knows when the lease may have run
// out that is asked again later; by then the store has ended it by itself.
func (e *Engine) endLease(en *entry) {
	began, _ := e.now()
	f := &EndFlow{}
	a, _ := e.runFlow(e.ctx, en, f)
	now, _ := e.now()
	failed := a.Response.Err != nil
	if f.step == endAsk { // a lease that is reserved says nothing of how fast the store writes
		e.ends.adapt(began, now, failed)
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	en.ending = false
	after := max(f.left, shortTick)
	if failed {
		after = retryDelay
	}
	if !f.ended && (en.status == absent || en.status == suspended) {
		e.endsByStore.Add(1)
	}
	en.local.askEndAt = e.health.Load().Credited.Add(after)
	if en.status == living {
		e.scheduleSilence(en)
	}
}

// repairJob is a repair, a removal or a write of a silence.
type repairJob struct {
	en   *entry
	flow Flow
}

// requestRepair has a worker run a repair. There is one at a time per instance: while one
// is under way, another is left to the next sweep.
func (e *Engine) requestRepair(en *entry, f Flow) {
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.repairing {
		e.sweep.retry([]ID{en.id})
		return
	}
	e.startRepair(en, f)
}

func (e *Engine) startRepair(en *entry, f Flow) {
	en.repairing = true
	e.repairs.put(repairJob{en, f})
}

// repair is a worker's part of one.
func (e *Engine) repair(job repairJob) {
	en := job.en
	a, _ := e.runFlow(e.ctx, en, job.flow)
	en.mu.Lock()
	defer en.mu.Unlock()
	en.repairing = false
	if _, ok := job.flow.(*RepairFlow); ok && a.Response.Err != nil {
		e.sweep.retry([]ID{en.id})
	}
	if en.status == suspended && e.Policy.removes(&en.view.Record) {
		e.postpone(en, a.Response.Err, retryDelay)
	}
}

// adopt renews the lease that another replica moved the instance to, and the next one if it
// was moved on meanwhile. Whoever moved it may crash before it renews that lease itself. What
// fails here, or goes on for too long, the next heartbeat does.
func (e *Engine) adopt(en *entry) {
	done := LeaseID(0)
	for range maxRounds {
		if done = en.nextAdoption(done); done == 0 {
			return
		}
		_, _ = e.Store.Renew(e.ctx, done)
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	en.adopting = false
}

// nextAdoption is the lease to adopt after done; 0 ends the adoption.
func (en *entry) nextAdoption(done LeaseID) LeaseID {
	en.mu.Lock()
	defer en.mu.Unlock()
	if l := en.view.Record.Lease; l != done && en.view.on(l) {
		return l
	}
	en.adopting = false
	return 0
}
