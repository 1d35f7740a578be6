package heartbeat

import (
	"context"
	"sync"
	"time"
)

// Register enters a record: ID, Owner, Agents, Attributes, State (ACTIVE or INACTIVE) and
// Proposed are the caller's; interval and window are negotiated here. It fails with
// ErrTaken or ErrFull, when nothing was written, or with ErrUnavailable, when it may have
// been.
func (e *Engine) Register(ctx context.Context, r Record) (Record, error) {
	_, wall := e.now()
	r.Schema = Schema
	r.Interval = e.Policy.negotiate(r.Proposed, 0, e.load.load())
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

// Beat carries a heartbeat of the instance's owner through; agent is the one that sent it, ""
// if it did not say. On Response.TellInterval the application must be told
// Response.Record.Interval. Response.Err is ErrNotReady, ErrNotFound, ErrInactive,
// ErrNoLiveness, ErrFull or ErrUnavailable; the heartbeat is evidence all the same, if the
// instance exists.
func (e *Engine) Beat(ctx context.Context, id ID, agent string) Response {
	en, err := e.find(ctx, id)
	if err != nil {
		return Response{Err: err}
	}
	f := beatFlows.Get().(*BeatFlow)
	defer beatFlows.Put(f)
	*f = BeatFlow{Agent: agent}
	a := e.serve(ctx, en, f)
	e.countBeat(&a)
	return a
}

// countBeat counts a heartbeat that was answered.
func (e *Engine) countBeat(a *Response) {
	if a.Err != nil {
		return
	}
	e.beats.Add(1)
	if a.TellInterval {
		e.told.Add(1)
	}
}

// Update carries a PUT of the owner through, and returns the record as it is then. It fails
// with ErrNotReady, ErrNotFound, ErrNotOwner, ErrStale, ErrOnlyPlatform (for
// SUSPENDED), ErrTaken, ErrFull or ErrUnavailable, when it may have been written.
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

// Remove deletes the instance for its owner. It fails with ErrNotReady, ErrNotFound,
// ErrNotOwner, ErrStale, ErrKept, ErrFull or ErrUnavailable, when it may have been removed.
func (e *Engine) Remove(ctx context.Context, id ID, r Removal) error {
	en, err := e.find(ctx, id)
	if err != nil {
		return err
	}
	return e.serveDetached(ctx, en, &RemoveFlow{Removal: r}).Err
}

// Drain drains an instance for an administrator, or undrains it, and returns the record as it is
// then. It fails with ErrNotReady, ErrNotFound, ErrNotDrained, ErrFull or ErrUnavailable, when
// it may have been written.
func (e *Engine) Drain(ctx context.Context, id ID, d DrainRequest) (Record, error) {
	en, err := e.find(ctx, id)
	if err != nil {
		return Record{}, err
	}
	a := e.serveDetached(ctx, en, &DrainFlow{Request: d})
	return a.Record, a.Err
}

// Get returns the record, whatever its state. It fails with ErrNotReady, ErrNotFound or
// ErrUnavailable.
func (e *Engine) Get(ctx context.Context, id ID) (Snapshot, error) {
	en, err := e.find(ctx, id)
	if err != nil {
		return Snapshot{}, err
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	return en.view.Snapshot, nil
}

// Hidden says whether discovery must leave an instance out that Changed reported last as
// ACTIVE: its projection is gone, and this replica would claim that if it could write, or it is
// SUSPENDED or gone and Changed has yet to report that.
func (e *Engine) Hidden(id ID) bool {
	if e.counts[absent].Load() == 0 && e.unreported.Load() == 0 {
		return false
	}
	en := e.entry(id)
	if en == nil {
		return false
	}
	now, wall := e.now()
	en.mu.Lock()
	defer en.mu.Unlock()
	switch {
	case en.queued && (en.status == suspended || !en.view.Exists()):
		return true
	case en.status != absent:
		return false
	}
	return en.local.hidden(e.input(en, now, wall), &en.view.Record)
}

// moverSlack is how long after a lease was seen to be new it may have been renewed by
// whoever moved or adopted it, which is no heartbeat.
const moverSlack = 3 * time.Second

// LastBeat is the time of the last heartbeat, in Unix nanoseconds, and never a later one:
// the exact time if this replica received it, or a write of the record kept it; else the
// age of the lease, to a second, where only a heartbeat can have renewed it; else the last
// heartbeat that is certain, or the registration.
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
	_, wall := e.now() // from before the reply, which says how old the lease was later
	age, err := e.Store.Age(ctx, rec.Lease)
	if err != nil || e.health.Load().Credited.Sub(leasedAt) < age+moverSlack {
		return last, nil //nolint:nilerr // the lease is gone, or its age says nothing: the last certain time
	}
	if derived := wall - int64(age); derived > last+int64(time.Second) {
		last = derived
	}
	return last, nil
}
