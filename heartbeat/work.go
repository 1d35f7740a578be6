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
	mostPerTick = 5000
	// again is after how long what failed is tried again, but for refutations.
	again = time.Second
)

// attendAll hands what is due to the workers.
func (e *Engine) attendAll(now Instant, wall int64) (looked int) {
	credited := e.gate.Load().Credited
	for ; looked < mostPerTick; looked++ {
		en, turn := e.nextDue(now, credited, wall)
		if en == nil {
			break
		}
		e.attend(en, now, wall, turn)
	}
	return looked
}

// nextDue is the next instance to be looked at. Claims whose turn it is come first:
// their number is bounded by their pace.
func (e *Engine) nextDue(now, credited Instant, wall int64) (en *entry, turn bool) {
	s := &e.schedule
	if n, _ := s.size(&s.turns); n > 0 && e.breaker.turn(now) {
		return s.take(&s.turns, anyKey), true
	}
	if en = s.take(&s.due, int64(credited)); en != nil {
		return en, false
	}
	if en = s.take(&s.peers, e.others.ready()); en != nil {
		return en, false
	}
	if en = s.take(&s.removals, wall); en != nil {
		return en, false
	}
	return s.take(&s.silences, int64(credited)), false
}

// attend does what an instance is owed whose time has come. A claim whose turn it is not
// asks for one, whatever it waited for before: else a mass would pass the pace.
func (e *Engine) attend(en *entry, now Instant, wall int64, turn bool) {
	en.mu.Lock()
	defer en.mu.Unlock()
	switch en.standing {
	case living:
		e.attendLiving(en, now)
	case absent:
		if en.local.probation { // else it is about to be claimed
			e.keepSilence(en, now, e.gate.Load())
		}
		switch en.attend(now, &e.Policy, en.underway) {
		case refuting:
			e.beginRefuting(en)
		case claiming:
			if !turn && en.claimed != nil && en.claimed.step == stepTurn {
				en.claimed.step = stepHold
			}
			en.claiming = true
			e.claims.put(en)
		default: // a worker that is at it schedules it again
			if !en.underway.refuting && !en.underway.claiming {
				e.due(en, e.Policy.Hold/4-(now-en.refutedAt))
			}
		}
	case suspended:
		e.attendSuspended(en, now, wall)
	}
}

// due has the instance looked at again after some credited time; en.mu is held.
func (e *Engine) due(en *entry, after Instant) {
	e.schedule.put(&e.schedule.due, en, int64(e.gate.Load().Credited+after))
}

// lookAgain has the next tick look at an instance that is missing and may be refuted. A
// claim waits on for what it waits for: its place among the turns is not lost either.
func (e *Engine) lookAgain(en *entry) {
	now, _ := e.Clock()
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.standing == absent && en.local.fresh(now, &en.view.Record) {
		e.due(en, 0)
	}
}

// postpone has an absence looked at again after some credited time, or when the store
// takes writes again if that is what failed; en.mu is held.
func (e *Engine) postpone(en *entry, err error, after Instant) {
	if errors.Is(err, ErrFull) && e.gate.Load().Full {
		e.schedule.put(&e.schedule.room, en, 0)
		return
	}
	e.due(en, after)
}

// beginRefuting re-arms an instance; en.mu is held.
func (e *Engine) beginRefuting(en *entry) {
	now, _ := e.Clock()
	en.refuting, en.refutedAt = true, now
	e.refutes.put(en)
}

// attendSuspended removes what has been SUSPENDED for too long, but not amid a mass of
// ends; en.mu is held.
func (e *Engine) attendSuspended(en *entry, now Instant, wall int64) {
	in, rec := e.input(en, now, wall), &en.view.Record
	removal := e.Policy.removal(rec)
	until, mass := e.massive()
	switch {
	case removal == math.MaxInt64 || en.mending: // never; or the worker schedules it again
	case wall < removal: // the clock was set back
		e.schedule.put(&e.schedule.removals, en, removal)
	case !e.Policy.due(in, rec):
		e.schedule.put(&e.schedule.due, en, int64(en.local.SuspendedSince+e.Policy.observed()))
	case mass:
		e.schedule.put(&e.schedule.due, en, int64(until))
	default:
		e.beginMending(en, &RetentionFlow{})
	}
}

// mend runs a repair; there is one, or a removal, at a time per instance.
func (e *Engine) mend(en *entry, f Flow) {
	en.mu.Lock()
	defer en.mu.Unlock()
	if !en.mending {
		e.beginMending(en, f)
	}
}

func (e *Engine) beginMending(en *entry, f Flow) {
	en.mending = true
	e.repairs.put(mending{en, f})
}

// mending is a repair or a removal to be carried out.
type mending struct {
	en *entry
	f  Flow
}

func (e *Engine) repair(m mending) {
	en := m.en
	a, _ := e.run(e.ctx, en, m.f)
	en.mu.Lock()
	defer en.mu.Unlock()
	en.mending = false
	if en.standing == suspended && e.Policy.DeregisterAfter > 0 {
		e.postpone(en, a.Answer.Err, again)
	}
}

// refute is the work of one refutation.
func (e *Engine) refute(en *entry) {
	began, _ := e.Clock()
	a, _ := e.run(e.ctx, en, &RefuteFlow{Careful: en.isCareful()})
	now, _ := e.Clock()
	e.refutes.ended(began, now, errors.Is(a.Answer.Err, ErrUnavailable))
	en.mu.Lock()
	defer en.mu.Unlock()
	en.refuting, en.unusable = false, errors.Is(a.Answer.Err, ErrUnusable)
	if en.standing == absent {
		en.careful = true
		e.postpone(en, a.Answer.Err, e.Policy.Hold/4)
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
	f := en.claimed
	if f == nil {
		f = &ClaimFlow{}
		en.claimed = f
	}
	en.mu.Unlock()
	a, _ := e.run(e.ctx, en, f)
	en.mu.Lock()
	defer en.mu.Unlock()
	en.claiming = false
	switch {
	case en.standing != absent:
		en.claimed = nil // a new absence gets a new hold
	case en.claimed != f, a.Wait.Settled != 0 && a.Wait.Settled != en.view.ended: // the store was restored, or the end is known better by now
		e.due(en, Tick)
	case a.Do == DoTurn:
		e.schedule.put(&e.schedule.turns, en, int64(e.gate.Load().Credited))
	case a.Do == DoWait && a.Wait.Room:
		e.schedule.put(&e.schedule.room, en, 0)
	case a.Do == DoWait && a.Wait.Settled != 0:
		e.schedule.put(&e.schedule.peers, en, int64(a.Wait.Settled))
		e.others.waits(a.Wait.Settled)
	case a.Do == DoWait:
		e.schedule.put(&e.schedule.due, en, int64(a.Wait.Until))
	case a.Answer.Err == nil: // it was heard, or the watch is behind
		en.claimed = nil
		e.due(en, Tick)
	default:
		en.claimed = nil
		e.postpone(en, a.Answer.Err, e.Policy.Hold/4)
	}
}

// takeTurn says whether a claim that is ready may be made now: not before those that
// have waited for longer.
func (e *Engine) takeTurn() bool {
	if n, _ := e.schedule.size(&e.schedule.turns); n > 0 {
		return false
	}
	now, _ := e.Clock()
	return e.breaker.turn(now)
}

// adopt renews the lease that another replica moved the instance to, and the next one
// if it was moved on meanwhile.
func (e *Engine) adopt(en *entry) {
	for l, n := en.adopted(0), 0; l != 0; l, n = en.adopted(l), n+1 {
		if n == maxRounds {
			en.adoptedAll() // the next heartbeat does it
			return
		}
		_, _ = e.Store.Renew(e.ctx, l) // the next heartbeat does it again if this fails
	}
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

func (en *entry) adoptedAll() {
	en.mu.Lock()
	defer en.mu.Unlock()
	en.adopting = false
}
