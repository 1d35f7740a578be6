package heartbeat

// contradicted says whether something is listed although, by that revision, a newer
// write of it had been seen, or its end. The store was restored, and has been written to
// so often since that its revision does not tell.
func (e *Engine) contradicted(all []Listed, at Revision) bool {
	for i := range all {
		l := &all[i]
		en := e.entry(l.ID)
		if en == nil {
			continue
		}
		en.mu.Lock()
		record, projection := en.view.recordSeen, en.view.projectionSeen
		en.mu.Unlock()
		if l.Exists() && l.At < record && record <= at || l.Projection.Present() && l.Projection.Revision < projection && projection <= at {
			return true
		}
	}
	return false
}

// Restored forgets at which revisions things were seen, and must be followed by
// Load: the store went back in time (it was restored from an older snapshot), so
// that what it says now bears lower revisions than what is known.
func (e *Engine) Restored() {
	e.disturb("restored")
	e.watched.Store(0)
	e.peers.reset()
	e.mu.Lock()
	all := make([]*entry, 0, len(e.entries))
	for _, en := range e.entries {
		all = append(all, en)
	}
	e.mu.Unlock()
	for _, en := range all {
		en.mu.Lock()
		en.view.recordSeen, en.view.projectionSeen = 0, 0
		en.view.ended, en.openSince = 0, 0 // of another history
		en.claimFlow = nil                 // its hold belongs to a revision of another history
		en.mu.Unlock()
	}
	e.schedule.release(&e.schedule.awaitingPeers, e.health.Load().Credited) // they wait for ends of another history
}
