package heartbeat

import (
	"context"
	"time"
)

const (
	// absenceTTL is how long a read that found no such id is believed; ids are never
	// reused. At most maxAbsentIDs are remembered.
	absenceTTL   = time.Second
	maxAbsentIDs = 4096
	// lookupWait bounds the wait for one of the few lookups: a flood of ids that do not
	// exist must not hold up for longer a heartbeat that reached this replica before the
	// watch showed its instance.
	lookupWait = 2 * time.Second
)

// find returns the entry of an instance that exists. That one does not exist here is
// confirmed by one read of the store, unless this replica is the only writer.
func (e *Engine) find(ctx context.Context, id ID) (*entry, error) {
	if en, err := e.findHere(id); en != nil || err != nil {
		return en, err
	}
	timeout := time.NewTimer(lookupWait)
	defer timeout.Stop()
	for {
		if now, _ := e.now(); e.knownAbsent(id, now) {
			return nil, ErrNotFound
		}
		ended, mine := e.beginLookup(id)
		if mine {
			break
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return nil, ErrUnavailable
		case <-timeout.C:
			return nil, ErrUnavailable
		}
		if en := e.existing(id); en != nil {
			return en, nil
		}
	}
	defer e.endLookup(id)
	select { // whoever asks for many ids at once waits here, and nobody else does
	case e.lookupSlots <- struct{}{}:
		defer func() { <-e.lookupSlots }()
	case <-ctx.Done():
		return nil, ErrUnavailable
	case <-timeout.C:
		return nil, ErrUnavailable
	}
	now, _ := e.now()
	return e.fetch(ctx, id, now)
}

// findHere is find as far as the store need not be asked: without an entry and an error it must.
func (e *Engine) findHere(id ID) (*entry, error) {
	if en := e.existing(id); en != nil {
		return en, nil
	}
	if !e.ready.Load() {
		return nil, ErrNotReady
	}
	if now, _ := e.now(); e.Alone || e.knownAbsent(id, now) {
		return nil, ErrNotFound
	}
	return nil, nil
}

// existing is the entry of an instance that is known to exist; nil: none is.
func (e *Engine) existing(id ID) *entry {
	en := e.entry(id)
	if en == nil {
		return nil
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	if !en.view.Exists() {
		return nil
	}
	return en
}

// beginLookup begins a lookup of this id for the caller, who must call endLookup
// afterwards; if one is under way already, ended is closed when that has ended.
func (e *Engine) beginLookup(id ID) (ended <-chan struct{}, mine bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.lookingUp[id]; c != nil {
		return c, false
	}
	e.lookingUp[id] = make(chan struct{})
	return nil, true
}

func (e *Engine) endLookup(id ID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.lookingUp[id])
	delete(e.lookingUp, id)
}

// fetch reads an instance from the store and takes it in.
func (e *Engine) fetch(ctx context.Context, id ID, now Mono) (*entry, error) {
	s, err := e.Store.Read(ctx, id)
	if err != nil {
		return nil, ErrUnavailable
	}
	if !s.Exists() {
		e.noteAbsent(id, now)
		return nil, ErrNotFound
	}
	en := e.ensureEntry(id)
	e.observeSince(en, endedSince(Revision(e.watched.Load()), s.At), observationsOf(id, &s, s.At)...)
	if err := e.awaitReported(ctx, en); err != nil {
		return nil, err
	}
	return en, nil
}

// Refresh reads the instance from the store, for a caller to whom ErrStale showed that this
// replica is behind. It fails with ErrNotFound or ErrUnavailable.
func (e *Engine) Refresh(ctx context.Context, id ID) error {
	now, _ := e.now()
	_, err := e.fetch(ctx, id, now)
	return err
}

// noteAbsent remembers that the store has no such id.
func (e *Engine) noteAbsent(id ID, now Mono) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.absentIDs) >= maxAbsentIDs {
		clear(e.absentIDs)
	}
	e.absentIDs[id] = now
}

// knownAbsent says whether a read found just now that there is no such id.
func (e *Engine) knownAbsent(id ID, now Mono) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	at, ok := e.absentIDs[id]
	return ok && now.Sub(at) <= absenceTTL
}
