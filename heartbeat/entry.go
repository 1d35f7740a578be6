package heartbeat

import "sync"

// entry is what this replica holds of one instance. What is not said to be guarded by
// another lock is guarded by mu, which is held for no call of the store and of no hook. There is
// one for every instance: TestAnEntryIsSmall says how large it may be.
type entry struct {
	id ID
	mu sync.Mutex
	knowledge

	renewing LeaseID // the renewal in flight that others may join; 0: none
	waiters  []func(Result)
	reads    sharedRead[Snapshot]

	inProgress
	claimFlow *ClaimFlow // the claim that waits, or is under way; nil: none

	registering         bool // it may not be dropped, although it has no record yet
	dropped             bool // it is no longer the engine's entry of its id
	repairing, adopting bool
	status              status
	share               share // of the load
	heard               heardAgents
	trace               trace
	hookProgress
	position queuePosition // guarded by schedule.mu
	vanished vanished      // guarded by breaker.mu
}

func (e *Engine) entry(id ID) *entry {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.entries[id]
}

// ensureEntry returns the entry of id, a new one if need be.
func (e *Engine) ensureEntry(id ID) *entry {
	if en := e.entry(id); en != nil {
		return en
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	en := e.entries[id]
	if en == nil {
		en = &entry{id: id}
		e.entries[id] = en
	}
	return en
}
