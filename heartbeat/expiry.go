package heartbeat

import "time"

// HeldBy is why a replica finds nobody dead at a moment, or removes nobody.
type HeldBy uint8

// What holds back.
const (
	NotHeld      HeldBy = iota
	StoreFull           // the store takes no writes, so that nothing can be written of anybody
	StoreSilent         // the store does not answer
	Disturbed           // heartbeats may have been missed: each silent instance gets its window again
	MassEnd             // very many vanished within a window: nobody is removed
	PeersAwaited        // other replicas have not said yet whether they heard who is silent
	RateLimited         // so many are dead that they are claimed one after the other
)

// Expiry says whether deaths, or removals, are held back here, and by what.
type Expiry struct {
	By       HeldBy
	Doubt    string // of Disturbed: what it was, as Hooks.Disturbed is told
	Services int    // that are concerned, if they can be counted
	Since    int64  // wall clock, Unix nanoseconds; 0: not known
	Until    int64  // the same: it may end earlier, and later by what happens meanwhile; 0: not known
}

// peersSlow is how long claims wait for other replicas before that is said: it takes up to a
// second with every death.
const peersSlow = 3 * time.Second

// doubt is what disturbed this replica last.
type doubt struct {
	reason string
	since  int64 // wall clock: when it began, if it went on
	last   Mono
}

// noteDoubt notes a disturbance for those who ask. What goes on is noted once a second.
func (e *Engine) noteDoubt(reason string) {
	now, wall := e.now()
	d := &doubt{reason: reason, since: wall, last: now}
	if !e.ready.Load() {
		d.reason = "start"
	}
	if was := e.doubt.Load(); was != nil && was.reason == d.reason && now.Sub(was.last) < 3*time.Second {
		d.since = was.since
	}
	e.doubt.Store(d)
}

// heldBack counts what a disturbance holds back.
type heldBack struct {
	services int
	until    int64
}

func (b *heldBack) add(v *Vitals) {
	if v.Held {
		b.services++
		b.until = max(b.until, v.Deadline)
	}
}

// storeSilence is how long the store has answered no pulse, whether they hang or fail at once, and
// whether that is longer than it may take.
func (e *Engine) storeSilence(now Mono) (time.Duration, bool) {
	last := e.answered.Load()
	silence := now.Sub(Mono(last))
	return silence, last != 0 && silence > 2*maxSilence
}

// expiry says what holds back, the gravest first.
func (e *Engine) expiry(held *heldBack, now Mono, wall int64) Expiry {
	h := e.health.Load()
	at := func(c Credit) int64 { return wall + int64(c.Sub(h.Credited)) }
	if silence, silent := e.storeSilence(now); silent {
		return Expiry{By: StoreSilent, Since: wall - int64(silence)}
	}
	if h.Full {
		return Expiry{By: StoreFull, Since: e.fullSince.Load()}
	}
	if d := e.doubt.Load(); d != nil && held.services > 0 {
		return Expiry{By: Disturbed, Doubt: d.reason, Services: held.services, Since: d.since, Until: held.until}
	}
	if n, first := e.schedule.length(&e.schedule.rateLimited); n > 0 {
		return Expiry{By: RateLimited, Services: n, Since: at(Credit(first)), Until: wall + int64(e.claimLimit.takes(n))}
	}
	if n, _ := e.schedule.length(&e.schedule.awaitingPeers); n > 0 {
		if waits := e.peers.waits(h.Credited); waits >= peersSlow {
			return Expiry{By: PeersAwaited, Services: n, Since: wall - int64(waits)}
		}
	}
	if until, massive := e.massEnd(); massive {
		x := Expiry{By: MassEnd, Until: at(until)}
		x.Services, x.Since = e.breaker.ongoing(at)
		return x
	}
	return Expiry{}
}

// waits is since how long claims have waited for other replicas without a break.
func (o *peerExchange) waits(credited Credit) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return credited.Sub(o.waitingSince)
}

// ongoing is how many instances vanished within the window and have not come back, and since
// when.
func (b *breaker) ongoing(at func(Credit) int64) (missing int, since int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ends) > 0 {
		since = at(b.ends[0].at)
	}
	return b.missing, since
}
