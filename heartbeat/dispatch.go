package heartbeat

import (
	"errors"
	"math"
	"time"
)

// The way from a tick to a claim, which docs/architecture.md draws:
// tick → handleAllDue → handleDue → the queue of claims → claim → runFlow → ClaimFlow.Next.

const (
	// maxPerTick is how many instances a tick hands on; the others wait for the next
	// one. A tick that took a second would pass for a pause.
	maxPerTick = 5000
	// retryDelay is after how long what failed is tried again, but for refutations.
	retryDelay = time.Second
)

// handleAllDue hands what is due to the workers; it says how much was.
func (e *Engine) handleAllDue(now Mono, wall int64) (handled int) {
	credited := e.health.Load().Credited
	for ; handled < maxPerTick; handled++ {
		en, hasToken := e.nextDue(now, credited, wall)
		if en == nil {
			break
		}
		e.handleDue(en, now, wall, hasToken)
	}
	return handled
}

// nextDue takes the next instance that is due. Claims that the rate limit lets through
// come first: it bounds their number.
func (e *Engine) nextDue(now Mono, credited Credit, wall int64) (en *entry, hasToken bool) {
	s := &e.schedule
	if n, _ := s.length(&s.rateLimited); n > 0 && e.claimLimit.take(now) {
		return s.take(&s.rateLimited, anyKey), true
	}
	if en = s.take(&s.due, int64(credited)); en != nil {
		return en, false
	}
	if en = s.take(&s.ends, int64(credited)); en != nil {
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

// handleDue starts the task of an instance that is due. A mass of claims would pass the
// rate limit if they came for another reason than a token: such a claim asks for one.
func (e *Engine) handleDue(en *entry, now Mono, wall int64, hasToken bool) {
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
			if !hasToken && en.claimFlow != nil {
				en.claimFlow.leaveRateLimit()
			}
			en.claiming = true
			e.claims.put(en)
		default: // the worker that is at it schedules it again
			if !en.refuting && !en.claiming {
				e.checkAfter(en, e.Policy.Hold/4-now.Sub(en.refutedAt))
			}
		}
	case suspended:
		e.handleSuspended(en, now, wall)
	}
}

// handleLiving examines the silence of an instance whose lease lives; en.mu is held.
func (e *Engine) handleLiving(en *entry, now Mono) {
	h := e.health.Load()
	at, expires := en.local.expireAt(&e.Policy, h, &en.view.Snapshot)
	switch {
	case en.repairing:
	case expires && h.Credited >= at:
		e.startRepair(en, &ExpireFlow{})
	case en.ending:
		return // the worker schedules it again
	case en.ownerRequests == 0 && (en.local.endDue(now, h, &en.view.Snapshot) || en.local.reserveDue(now, h, &en.view.Snapshot)):
		en.ending = true
		e.ends.put(en)
		return
	default:
		e.keepSilence(en, now, h)
	}
	e.scheduleSilence(en)
}

// scheduleSilence has a living instance examined when its silence may matter; en.mu is held.
func (e *Engine) scheduleSilence(en *entry) {
	now, _ := e.now()
	at, end := en.nextSilenceCheck(now, &e.Policy, e.health.Load())
	if end {
		e.schedule.put(&e.schedule.ends, en, int64(at))
	} else {
		e.schedule.put(&e.schedule.silences, en, int64(at))
	}
}

// beginHold has the claim of an instance that this replica has ended begin its hold with that; en.mu is
// held. If it was heard meanwhile it is looked at as soon as after any end.
func (e *Engine) beginHold(en *entry, t *Txn) {
	if en.claiming || en.claimFlow != nil || en.status != absent {
		return
	}
	now, wall := e.now()
	in := e.input(en, now, wall)
	f := claimAfterEnd(in, t)
	if f == nil {
		return
	}
	en.claimFlow = f
	if w := f.wait(in).Wait; !w.Space && !en.local.fresh(now, &en.view.Record) {
		e.schedule.put(&e.schedule.due, en, int64(w.Until))
	}
}

// keepSilence has the record keep a silence that has lasted; en.mu is held. A replica of
// the previous release would not end it with a heartbeat: beside one, nothing is kept.
func (e *Engine) keepSilence(en *entry, now Mono, h *Health) {
	if en.repairing || !en.local.keepDue(h, &en.view.Record) || !e.Alone && !e.peers.allEndSilences() || !e.silenceLimit.take(now) {
		return
	}
	e.startRepair(en, &SilenceFlow{})
}

// handleSuspended removes what has been SUSPENDED for too long, but not amid a mass of
// ends; en.mu is held.
func (e *Engine) handleSuspended(en *entry, now Mono, wall int64) {
	in, rec := e.input(en, now, wall), &en.view.Record
	removal := e.Policy.removal(rec)
	until, massive := e.massEnd()
	switch {
	case removal == math.MaxInt64 || en.repairing: // never; or the worker schedules it again
	case wall < removal: // the clock was set back
		e.schedule.put(&e.schedule.removals, en, removal)
	case !e.Policy.due(in, rec):
		e.schedule.put(&e.schedule.due, en, int64(en.local.SuspendedSince.Add(e.Policy.observed(rec))))
	case massive:
		e.schedule.put(&e.schedule.due, en, int64(until))
	default:
		e.startRepair(en, &RetentionFlow{})
	}
}

// checkAfter has the instance examined after some credited time; en.mu is held.
func (e *Engine) checkAfter(en *entry, after time.Duration) {
	e.schedule.put(&e.schedule.due, en, int64(e.health.Load().Credited.Add(after)))
}

// checkNow has the next tick examine an instance that is missing and may be refuted. A
// claim goes on waiting for what it waits for: its place in the rate limit is not lost
// either.
func (e *Engine) checkNow(en *entry) {
	now, _ := e.now()
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.status == absent && en.local.fresh(now, &en.view.Record) {
		e.checkAfter(en, 0)
	}
}

// postpone has an absence examined after some credited time, or when the store takes
// writes again if that is what failed; en.mu is held.
func (e *Engine) postpone(en *entry, err error, after time.Duration) {
	if errors.Is(err, ErrFull) && e.health.Load().Full {
		e.schedule.put(&e.schedule.awaitingSpace, en, 0)
		return
	}
	e.checkAfter(en, after)
}

// takeClaimToken takes a token for a claim that is ready, if there is one, and no other
// claim has waited for one for longer.
func (e *Engine) takeClaimToken() bool {
	if n, _ := e.schedule.length(&e.schedule.rateLimited); n > 0 {
		return false
	}
	now, _ := e.now()
	return e.claimLimit.take(now)
}
