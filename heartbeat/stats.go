package heartbeat

import "time"

// Stats is what an engine holds at one moment.
type Stats struct {
	Records, Suspended, Absent int
	Full                       bool
	// Massive: very many instances vanished within the last window, so that no
	// removal is carried out.
	Massive bool

	// Scheduled are the absences and removals that wait for their time, RateLimited the
	// claims that wait for the rate limit, and AwaitingSpace waits for a store that takes
	// writes.
	Scheduled, RateLimited, AwaitingSpace int
	// Late is how long the one that has waited longest has been due, in credited time;
	// more than a few ticks mean that this replica is overloaded.
	Late time.Duration
	// AwaitingPeers are claims that wait for what other replicas have settled, Unsettled the ends
	// of leases that this one has not (some of them may be by now).
	AwaitingPeers, Unsettled int
	// Unpublished is for how long others may have waited for this replica, in credited
	// time, in which it settled and published nothing.
	Unpublished time.Duration
	// Due are the heartbeats that come in a second if every ACTIVE instance keeps its interval.
	// Chosen is the interval of one that is registered now and leaves it to the platform, in
	// seconds. Told are the heartbeats that were answered with an interval.
	Due    float64
	Chosen int
	Told   uint64
	// EndsHere are leases that this replica ended because they had run out, EndsByStore those that
	// ended otherwise, as far as this replica saw it.
	EndsHere, EndsByStore uint64
	// Refutations, Claims, Adoptions, Repairs, Ends and Revocations wait for a worker.
	Refutations, Claims, Adoptions, Repairs, Ends, Revocations int
	// Hooks are calls of hooks that wait; HooksDropped were not made, because too many did.
	Hooks        int
	HooksDropped uint64
}

// Stats counts what the engine holds. Records includes removed instances for a short while.
func (e *Engine) Stats() Stats {
	e.mu.RLock()
	records := len(e.entries)
	e.mu.RUnlock()
	h, q := e.health.Load(), &e.schedule
	s := Stats{
		Records: records, Suspended: int(e.counts[suspended].Load()), Absent: int(e.counts[absent].Load()), Full: h.Full,
		Refutations: e.refutes.length(), Claims: e.claims.length(), Adoptions: e.adopts.length(),
		Repairs: e.repairs.length(), Ends: e.ends.length(), Revocations: e.revokes.length(),
		EndsHere: e.endsHere.Load(), EndsByStore: e.endsByStore.Load(),
		Due: float64(e.load.due.Load()) / million, Chosen: e.Policy.Choose(0, e.load.load()), Told: uint64(e.told.Load()), //nolint:gosec // a count
		Hooks: e.hooks.changes.length() + e.hooks.notices.length(), HooksDropped: e.hooks.notices.dropped(),
	}
	_, s.Massive = e.massEnd()
	var first int64
	if s.Scheduled, first = q.length(&q.due); s.Scheduled > 0 {
		s.Late = max(h.Credited.Sub(Credit(first)), 0)
	}
	removals, _ := q.length(&q.removals)
	s.Scheduled += removals
	s.RateLimited, _ = q.length(&q.rateLimited)
	s.AwaitingSpace, _ = q.length(&q.awaitingSpace)
	s.AwaitingPeers, _ = q.length(&q.awaitingPeers)
	s.Unsettled, s.Unpublished = e.peers.lag(h.Credited)
	return s
}
