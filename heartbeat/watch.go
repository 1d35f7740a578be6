package heartbeat

import (
	"context"
	"errors"
	"slices"
)

// observationsOf turns a snapshot read at revision at into observations; what it does not
// show was absent at that revision.
func observationsOf(id ID, s *Snapshot, at Revision) []Observation {
	rec := Observation{ID: id, Revision: at}
	if s.Exists() {
		rec = Observation{ID: id, Revision: s.At, Present: true, Record: s.Record}
	}
	pro := Observation{ID: id, Revision: at, Projected: true}
	if s.Projection.Present() {
		pro = Observation{ID: id, Revision: s.Projection.Revision, Projected: true, Present: true, Lease: s.Projection.Lease}
	}
	return []Observation{rec, pro}
}

// observe takes observations of one instance in, as the watch shows them.
func (e *Engine) observe(en *entry, observations ...Observation) {
	e.observeSince(en, observations[0].Revision, observations...)
}

// observeSince takes observations of one instance in, and starts the task that follows from
// them. What they show as gone had not ended before the revision since.
func (e *Engine) observeSince(en *entry, since Revision, observations ...Observation) {
	en = e.lockEntry(en)
	defer en.mu.Unlock()
	now, _ := e.now()
	lease, state, ended := en.view.Record.Lease, en.view.Record.State, en.view.ended
	was := en.status
	if !en.observe(e.health.Load(), observations...) {
		return
	}
	e.reschedule(en)
	if was == living && en.status == absent && !en.ending { // else the worker that is at it counts it
		e.endsByStore.Add(1)
	}
	e.trackUnsettledEnd(en, now, since)
	if en.view.ended != ended { // a claim must not wait for an end that is known better by now
		e.schedule.move(&e.schedule.awaitingPeers, &e.schedule.due, en, int64(e.health.Load().Credited))
	}
	if state == Active && en.view.Record.State == Suspended && en.local.overruled(&en.view.Record) {
		e.queueNotice(func() { e.Hooks.Overruled(en.id) })
	}
	switch en.taskOnNews(now, lease, en.inProgress) {
	case refuting:
		e.startRefuting(en)
	case adopting:
		if !en.adopting { // else the worker that is at it looks for another lease
			en.adopting = true
			e.adopts.put(en)
		}
	}
}

// lockEntry locks the entry, or the one that took its place.
func (e *Engine) lockEntry(en *entry) *entry {
	for {
		en.mu.Lock()
		if !en.dropped {
			return en
		}
		en.mu.Unlock()
		en = e.ensureEntry(en.id)
	}
}

// Observe takes in what the watch showed up to a revision, in order. It does not
// block. A transaction writes record and projection together, and half of it must not be
// acted upon: all observations of one instance are taken in at once.
func (e *Engine) Observe(observations []Observation, upTo Revision) {
	var order []ID
	of := make(map[ID][]Observation)
	for _, o := range observations {
		if of[o.ID] == nil {
			order = append(order, o.ID)
		}
		of[o.ID] = append(of[o.ID], o)
	}
	for _, id := range order {
		its := of[id]
		en := e.entry(id)
		if en == nil && slices.ContainsFunc(its, func(o Observation) bool { return o.Present }) {
			en = e.ensureEntry(id)
		}
		if en != nil {
			e.observe(en, its...)
		}
	}
	e.advanceWatch(upTo)
}

func (e *Engine) advanceWatch(at Revision) {
	if int64(at) > e.watched.Load() {
		e.watched.Store(int64(at))
	}
	e.sweep.shown(at)
}

// Load lists the store and makes the engine ready; it is also how a replica
// starts anew after its watch lost its place. It returns the revision after which
// the watch must go on.
func (e *Engine) Load(ctx context.Context) (Revision, error) {
	all, at, err := e.list(ctx, func() {
		e.updateHealth(func(h *Health) {
			if h.Disturb(); !h.Loaded {
				h.StartedAt = h.Credited
			}
		})
		e.disturbed("list")
	})
	if err != nil {
		return 0, err
	}
	e.updateHealth(func(h *Health) { h.Loaded = true })
	e.advanceWatch(at)
	if !e.ready.Load() {
		if err := e.publishFirst(ctx, at); err != nil && !errors.Is(err, ErrFull) {
			return 0, err
		}
	}
	e.hooks.drain(ctx) // every response from now on shows what was listed
	e.ready.Store(true)
	for i := range all {
		if all[i].Unlike() {
			e.sweep.retry([]ID{all[i].ID})
		}
	}
	return at, nil
}

// list reads everything and takes it in; before is called between the two.
func (e *Engine) list(ctx context.Context, before func()) ([]Listed, Revision, error) {
	all, at, err := e.Store.List(ctx)
	if err != nil {
		return nil, 0, err
	}
	before()
	if e.contradicted(all, at) {
		e.Hooks.StoreRestored()
	}
	listed := make(map[ID]bool, len(all))
	for i := range all {
		listed[all[i].ID] = true
	}
	gone := e.entriesBut(listed)
	since := e.takeIn(all, at)
	var none Snapshot
	for _, en := range gone {
		e.observeSince(en, since, observationsOf(en.id, &none, at)...)
	}
	e.sweep.listed(at)
	return all, at, nil
}

// takeIn takes in what a list, or a part of one, shows as of a revision. It returns the first
// revision at which what it shows as gone may have ended.
func (e *Engine) takeIn(some []Listed, at Revision) (since Revision) {
	watched := Revision(e.watched.Load())
	if since = endedSince(watched, at); at < watched {
		since = at // a part of a burst, as of less than the watch has shown
	}
	for i := range some {
		l := &some[i]
		if en := e.entry(l.ID); en != nil || l.Exists() {
			e.observeSince(e.ensureEntry(l.ID), since, observationsOf(l.ID, &l.Snapshot, at)...)
		}
	}
	return since
}

// entriesBut are the entries of all instances but those listed.
func (e *Engine) entriesBut(listed map[ID]bool) (out []*entry) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for id, en := range e.entries {
		if !listed[id] {
			out = append(out, en)
		}
	}
	return out
}
