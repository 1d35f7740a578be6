package heartbeat

import (
	"errors"
	"math"
	"time"
)

// The way from a tick to a claim, which docs/architecture.md draws:
// tick → attend → claims lane → claim → run → ClaimFlow.Next.

const (
	// mostPerTick is how many instances a tick looks at; the others wait for the next
	// one. A tick that took a second would pass for a pause.
	maxPerTick = 5000
	// again is after how long what failed is tried again, but for refutations.
	retryDelay = time.Second
)

// attendAll hands what is due to the workers.
func (e *Engine) handleAllDue(now Mono, wall int64) (looked int) {
	credited := e.health.Load().Credited
	for ; looked < maxPerTick; looked++ {
		en, turn := e.nextDue(now, credited, wall)
		if en == nil {
			break
		}
		e.handleDue(en, now, wall, turn)
	}
	return looked
}

// nextDue is the next instance to be looked at. Claims whose turn it is come first:
// their number is bounded by their pace.
func (e *Engine) nextDue(now Mono, credited Credit, wall int64) (en *entry, turn bool) {
	s := &e.schedule
	if n, _ := s.length(&s.rateLimited); n > 0 && e.breaker.turn(now) {
		return s.take(&s.rateLimited, anyKey), true
	}
	if en = s.take(&s.due, int64(credited)); en != nil {
		return en, false
	}
	if en = s.take(&s.awaitingPeers, e.peers.settledEnd()); en != nil {
		return en, false
	}
	if en = s.take(&s.removals, wall); en != nil {
		return en, false
	}
	return s.take(&s.silences, int64(credited)), false
}

// attend does what an instance is owed whose time has come. A claim whose turn it is not
// asks for one, whatever it waited for before: else a mass would pass the pace.
func (e *Engine) handleDue(en *entry, now Mono, wall int64, turn bool) {
	en.mu.Lock()
	defer en.mu.Unlock()
	switch en.status {
	case living:
		e.handleLiving(en, now)
	case absent:
		if en.local.probation { // else it is about to be claimed
			e.keepSilence(en, now, e.health.Load())
		}
		switch en.taskWhenDue(now, &e.Policy, en.inProgress) {
		case refuting:
			e.startRefuting(en)
		case claiming:
			if !turn && en.claimFlow != nil {
				en.claimFlow.leaveRateLimit()
			}
			en.claiming = true
			e.claims.put(en)
		default: // a worker that is at it schedules it again
			if !en.inProgress.refuting && !en.inProgress.claiming {
				e.checkAfter(en, e.Policy.Hold/4-now.Sub(en.refutedAt))
			}
		}
	case suspended:
		e.handleSuspended(en, now, wall)
	}
}

// due has the instance looked at again after some credited time; en.mu is held.
func (e *Engine) checkAfter(en *entry, after time.Duration) {
	e.schedule.put(&e.schedule.due, en, int64(e.health.Load().Credited.Add(after)))
}

// lookAgain has the next tick look at an instance that is missing and may be refuted. A
// claim waits on for what it waits for: its place among the turns is not lost either.
func (e *Engine) checkNow(en *entry) {
	now, _ := e.now()
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.status == absent && en.local.fresh(now, &en.view.Record) {
		e.checkAfter(en, 0)
	}
}

// postpone has an absence looked at again after some credited time, or when the store
// takes writes again if that is what failed; en.mu is held.
func (e *Engine) postpone(en *entry, err error, after time.Duration) {
	if errors.Is(err, ErrFull) && e.health.Load().Full {
		e.schedule.put(&e.schedule.awaitingSpace, en, 0)
		return
	}
	e.checkAfter(en, after)
}

// beginRefuting re-arms an instance; en.mu is held.
func (e *Engine) startRefuting(en *entry) {
	now, _ := e.now()
	en.refuting, en.refutedAt = true, now
	e.refutes.put(en)
}

// attendSuspended removes what has been SUSPENDED for too long, but not amid a mass of
// ends; en.mu is held.
func (e *Engine) handleSuspended(en *entry, now Mono, wall int64) {
	in, rec := e.input(en, now, wall), &en.view.Record
	removal := e.Policy.removal(rec)
	until, mass := e.massive()
	switch {
	case removal == math.MaxInt64 || en.repairing: // never; or the worker schedules it again
	case wall < removal: // the clock was set back
		e.schedule.put(&e.schedule.removals, en, removal)
	case !e.Policy.due(in, rec):
		e.schedule.put(&e.schedule.due, en, int64(en.local.SuspendedSince.Add(e.Policy.observed())))
	case mass:
		e.schedule.put(&e.schedule.due, en, int64(until))
	default:
		e.startRepair(en, &RetentionFlow{})
	}
}

// mend runs a repair; there is one, or a removal, at a time per instance.
func (e *Engine) requestRepair(en *entry, f Flow) {
	en.mu.Lock()
	defer en.mu.Unlock()
	if !en.repairing {
		e.startRepair(en, f)
	}
}

func (e *Engine) startRepair(en *entry, f Flow) {
	en.repairing = true
	e.repairs.put(repairJob{en, f})
}

// mending is a repair or a removal to be carried out.
type repairJob struct {
	en *entry
	f  Flow
}

func (e *Engine) repair(m repairJob) {
	en := m.en
	a, _ := e.runFlow(e.ctx, en, m.f)
	en.mu.Lock()
	defer en.mu.Unlock()
	en.repairing = false
	if en.status == suspended && e.Policy.DeregisterAfter > 0 {
		e.postpone(en, a.Response.Err, retryDelay)
	}
}

// refute is the work of one refutation.
func (e *Engine) refute(en *entry) {
	began, _ := e.now()
	a, _ := e.runFlow(e.ctx, en, &RefuteFlow{Careful: en.isCareful()})
	now, _ := e.now()
	e.refutes.adapt(began, now, errors.Is(a.Response.Err, ErrUnavailable))
	en.mu.Lock()
	defer en.mu.Unlock()
	en.refuting, en.unusable = false, errors.Is(a.Response.Err, ErrUnusable)
	if en.status == absent {
		en.careful = true
		e.postpone(en, a.Response.Err, e.Policy.Hold/4)
	}
}

func (en *entry) isCareful() bool {
	en.mu.Lock()
	defer en.mu.Unlock()
	return en.careful
}

// claim carries a claim on to where it waits.
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

// takeTurn says whether a claim that is ready may be made now: not before those that
// have waited for longer.
func (e *Engine) takeClaimToken() bool {
	if n, _ := e.schedule.length(&e.schedule.rateLimited); n > 0 {
		return false
	}
	now, _ := e.now()
	return e.breaker.turn(now)
}

// adopt renews the lease that another replica moved the instance to, and the next one
// if it was moved on meanwhile.
func (e *Engine) adopt(en *entry) {
	for l, n := en.nextAdoption(0), 0; l != 0; l, n = en.nextAdoption(l), n+1 {
		if n == maxRounds {
			en.endAdoption() // the next heartbeat does it
			return
		}
		_, _ = e.Store.Renew(e.ctx, l) // the next heartbeat does it again if this fails
	}
}

// adopted says which lease to adopt after done, if there is still one.
func (en *entry) nextAdoption(done LeaseID) LeaseID {
	en.mu.Lock()
	defer en.mu.Unlock()
	if l := en.view.Record.Lease; l != done && en.view.on(l) {
		return l
	}
	en.adopting = false
	return 0
}

func (en *entry) endAdoption() {
	en.mu.Lock()
	defer en.mu.Unlock()
	en.adopting = false
}
