package heartbeat

// contradicted says whether something is listed although, by that revision, a newer
// write of it had been seen, or its end. Then the store was restored from a backup, and has
// been written to so often since that its revision alone does not show that.
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

// Restored is to be called when the store was restored from a backup, and must be followed by
// Load. What the store says now has lower revisions than what is known, and would pass for
// old: so the revisions are forgotten.
func (e *Engine) Restored() {
	e.disturb("restored")
	e.watched.Store(0)
	e.sweep.listed(0)
	e.peers.reset()
	for _, en := range e.entriesBut(nil) {
		en.mu.Lock()
		en.view.recordSeen, en.view.projectionSeen = 0, 0
		en.view.ended, en.openSince = 0, 0 // of another history
		en.claimFlow = nil                 // its hold belongs to a revision of another history
		en.mu.Unlock()
	}
	e.schedule.release(&e.schedule.awaitingPeers, e.health.Load().Credited) // they wait for ends of another history
}
