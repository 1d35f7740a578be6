package heartbeat

import (
	"context"
	"sync"
	"time"
)

// absenceTTL is how long the store's word that an id does not exist is believed;
// ids are never reused.
const absenceTTL = time.Second

// lookupWait bounds the wait for one of the few lookups: a flood of ids that do not exist
// must not hold up a heartbeat that reached this replica before the watch showed it.
const lookupWait = 2 * time.Second

// find returns the entry of an instance that exists. What this replica does not
// know is confirmed by one read of the store, unless it is the only writer.
func (e *Engine) find(ctx context.Context, id ID) (*entry, error) {
	if en := e.existing(id); en != nil {
		return en, nil
	}
	if !e.ready.Load() {
		return nil, ErrNotReady
	}
	if e.Alone {
		return nil, ErrNotFound
	}
	patience := time.NewTimer(lookupWait)
	defer patience.Stop()
	for {
		if now, _ := e.now(); e.knownAbsent(id, now) {
			return nil, ErrNotFound
		}
		answered, mine := e.beginLookup(id)
		if mine {
			break
		}
		select {
		case <-answered:
		case <-ctx.Done():
			return nil, ErrUnavailable
		case <-patience.C:
			return nil, ErrUnavailable
		}
		if en := e.existing(id); en != nil {
			return en, nil
		}
	}
	defer e.endLookup(id)
	select { // whoever asks for many at once waits here, and nobody else does
	case e.lookupSlots <- struct{}{}:
		defer func() { <-e.lookupSlots }()
	case <-ctx.Done():
		return nil, ErrUnavailable
	case <-patience.C:
		return nil, ErrUnavailable
	}
	now, _ := e.now()
	return e.fetch(ctx, id, now)
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

// beginLookup says whether the store is to be asked for this id by the caller; if somebody does
// already, answered is closed when that has ended. The caller must call asked afterwards.
func (e *Engine) beginLookup(id ID) (answered <-chan struct{}, mine bool) {
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
		e.mu.Lock()
		e.absentIDs[id] = now
		e.mu.Unlock()
		return nil, ErrNotFound
	}
	en := e.ensureEntry(id)
	e.observeSince(en, endedSince(Revision(e.watched.Load()), s.At), observationsOf(id, &s, s.At)...)
	if err := e.awaitReported(ctx, en); err != nil {
		return nil, err
	}
	return en, nil
}

// Refresh asks the store, for a caller to whom ErrStale showed that this replica is
// behind.
func (e *Engine) Refresh(ctx context.Context, id ID) error {
	now, _ := e.now()
	_, err := e.fetch(ctx, id, now)
	return err
}

// knownAbsent says whether the store was asked for this id in vain just now.
func (e *Engine) knownAbsent(id ID, now Mono) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, ok := e.absentIDs[id]
	if ok && now.Sub(at) <= absenceTTL {
		return true
	}
	if len(e.absentIDs) > 4096 {
		clear(e.absentIDs)
	}
	delete(e.absentIDs, id)
	return false
}

// Register enters a record: ID, Owner, Attributes, State (ACTIVE or INACTIVE) and
// Proposed are the caller's; interval and window are negotiated here.
func (e *Engine) Register(ctx context.Context, r Record) (Record, error) {
	_, wall := e.now()
	r.Schema = Schema
	r.Interval = e.Policy.Interval(r.Proposed)
	r.Window = e.Policy.Window(r.Interval)
	r.RegisteredAt = wall
	en := e.lockEntry(e.ensureEntry(r.ID))
	en.registering = true
	en.ownerRequests++
	en.mu.Unlock()
	a := e.serveDetached(ctx, en, &RegisterFlow{Record: r})
	e.endRegistration(en)
	return a.Record, a.Err
}

// endRegistration drops the entry again if it never got a record.
func (e *Engine) endRegistration(en *entry) {
	en.mu.Lock()
	defer en.mu.Unlock()
	en.registering = false
	en.ownerRequests--
	if !en.view.Exists() {
		e.mu.Lock()
		delete(e.entries, en.id)
		e.mu.Unlock()
		en.dropped = true
	}
}

var beatFlows = sync.Pool{New: func() any { return new(BeatFlow) }}

// Beat carries a heartbeat of the instance's owner through. On Response.TellInterval the
// application must be told Response.Record.Interval.
func (e *Engine) Beat(ctx context.Context, id ID) Response {
	en, err := e.find(ctx, id)
	if err != nil {
		return Response{Err: err}
	}
	f := beatFlows.Get().(*BeatFlow)
	defer beatFlows.Put(f)
	*f = BeatFlow{}
	return e.serve(ctx, en, f)
}

// Update carries a PUT through.
func (e *Engine) Update(ctx context.Context, id ID, u Update) (Record, error) {
	en, err := e.find(ctx, id)
	if err != nil {
		return Record{}, err
	}
	en = e.lockEntry(en)
	en.ownerRequests++
	en.mu.Unlock()
	a := e.serveDetached(ctx, en, &UpdateFlow{Update: u})
	en.mu.Lock()
	en.ownerRequests--
	en.mu.Unlock()
	return a.Record, a.Err
}

// Remove deletes the instance for its owner; ifAt, if not 0, is the revision that
// the record must still have.
func (e *Engine) Remove(ctx context.Context, id ID, owner string, ifAt Revision) error {
	en, err := e.find(ctx, id)
	if err != nil {
		return err
	}
	return e.serveDetached(ctx, en, &RemoveFlow{Owner: owner, IfAt: ifAt}).Err
}

// Get returns the record, whatever its state.
func (e *Engine) Get(ctx context.Context, id ID) (Snapshot, error) {
	en, err := e.find(ctx, id)
	if err != nil {
		return Snapshot{}, err
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	return en.view.Snapshot, nil
}

// Hidden says whether discovery must leave an ACTIVE instance out: its projection
// is gone and this replica would claim that, if it can write or not.
func (e *Engine) Hidden(id ID) bool {
	if e.counts[absent].Load() == 0 {
		return false
	}
	en := e.entry(id)
	if en == nil {
		return false
	}
	now, wall := e.now()
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.status != absent {
		return false
	}
	return en.local.hidden(e.input(en, now, wall), &en.view.Record)
}

// moverSlack is how long after a lease was seen to be new its renewals may be those of
// whoever moved or adopted it, which are no heartbeats.
const moverSlack = 3 * time.Second

// LastBeat says when the instance was last heard, in Unix nanoseconds, and never a later
// time: exactly if this replica heard it, or a write of the record kept it. Else the age
// of its lease tells, to a second, where that can be by a heartbeat only; what is left is
// the last heartbeat that is certain, or the registration.
func (e *Engine) LastBeat(ctx context.Context, id ID) (int64, error) {
	en, err := e.find(ctx, id)
	if err != nil {
		return 0, err
	}
	en.mu.Lock()
	rec, last, leasedAt := en.view.Record, en.lastBeat(e.Alone), en.local.leasedAt
	en.mu.Unlock()
	if !rec.Expires() || e.Alone { // alone, nobody else renews
		return last, nil
	}
	_, wall := e.now() // from before the answer, which says how old the lease was later
	age, err := e.Store.Age(ctx, rec.Lease)
	if err != nil || e.health.Load().Credited.Sub(leasedAt) < age+moverSlack {
		return last, nil //nolint:nilerr // the lease is gone, or its age says nothing: the last certain time
	}
	if derived := wall - int64(age); derived > last+int64(time.Second) {
		last = derived
	}
	return last, nil
}
