package heartbeat

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const sweepEvery = 30 * time.Second // ± 20 %

// sweep is where the comparison of records and projections stands.
type sweep struct {
	now chan struct{}
	mu  sync.Mutex
	// upTo is the revision up to which everything was compared, by a list and by what was
	// written since; 0: everything is to be listed.
	upTo  Revision
	again map[ID]struct{} // what was not put right
}

// Sweep asks for a comparison of records and projections now. It does not wait.
func (e *Engine) Sweep() {
	select {
	case e.sweep.now <- struct{}{}:
	default:
	}
}

// sweeps compares records with projections now and then, so that nothing the watch missed is
// lost: what was written since the last time, by the store's own history, or all of it where
// that does not say enough.
func (e *Engine) sweeps(ctx context.Context) {
	for {
		spread := rand.Int64N(int64(sweepEvery) * 2 / 5)
		t := time.NewTimer(sweepEvery*4/5 + time.Duration(spread))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-e.sweep.now:
			t.Stop()
		case <-t.C:
		}
		if !e.ready.Load() {
			continue
		}
		some, err := e.compare(ctx)
		if err != nil {
			continue // the pulse finds a store that does not reply; the next sweep compares again
		}
		for i := range some {
			e.inspect(&some[i])
		}
		e.purge()
	}
}

// compare takes in what was written since the last comparison, or everything.
func (e *Engine) compare(ctx context.Context) ([]Listed, error) {
	if since, also := e.sweep.next(e.unknownEnds()); since != 0 {
		some, err := e.compareSince(ctx, since, also)
		if err == nil {
			return some, nil
		}
		if !errors.Is(err, ErrForgotten) {
			e.sweep.retry(also)
			return nil, err
		}
	}
	all, at, err := e.list(ctx, func() {}) // it shows what was to be compared besides
	if err != nil {
		e.sweep.listed(0) // the store says only once that a list is due
		return nil, err
	}
	some, err := e.compareSince(ctx, at, nil) // so that the store knows which history it is that goes on from there
	if errors.Is(err, ErrForgotten) {
		e.sweep.listed(0)
	}
	return append(all, some...), nil
}

func (e *Engine) compareSince(ctx context.Context, since Revision, also []ID) ([]Listed, error) {
	some, at, err := e.Store.Changes(ctx, since, also)
	if err != nil {
		return nil, err
	}
	if e.contradicted(some, at) {
		e.Hooks.StoreRestored()
	}
	e.takeIn(some, at)
	e.sweep.advance(since, at)
	return some, nil
}

// unknownEnds are the instances whose end a read has shown, and neither watch nor list: only
// what is compared tells by when they had ended.
func (e *Engine) unknownEnds() (out []ID) {
	for _, en := range e.schedule.absences() {
		en.mu.Lock()
		if en.view.ended == unknownEnd {
			out = append(out, en.id)
		}
		en.mu.Unlock()
	}
	return out
}

// next is from where on to compare, and what besides.
func (s *sweep) next(also []ID) (Revision, []ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.again {
		also = append(also, id)
	}
	s.again = nil
	slices.Sort(also)
	return s.upTo, slices.Compact(also)
}

// retry has instances compared again the next time.
func (s *sweep) retry(ids []ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if s.again == nil {
			s.again = map[ID]struct{}{}
		}
		s.again[id] = struct{}{}
	}
}

// listed notes that all was listed at a revision; 0: that all is to be.
func (s *sweep) listed(at Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.upTo = at
}

// advance notes that all was compared that was written since a revision up to another one,
// unless there was a list, or is to be one, meanwhile.
func (s *sweep) advance(since, at Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.upTo == since {
		s.upTo = at
	}
}

// inspect repairs what the sweep found unlike its record.
func (e *Engine) inspect(l *Listed) {
	if l.Unlike() {
		e.requestRepair(e.ensureEntry(l.ID), &RepairFlow{ID: l.ID, Differs: l.Projection.Revision})
	}
}

// Unlike says whether the projection is not as the record makes it. A silence is refuted or
// claimed, not repaired.
func (l *Listed) Unlike() bool {
	rec, p := &l.Record, l.Projection
	switch {
	case !l.Exists():
		return p.Present()
	case !p.Present():
		return !rec.Expires()
	}
	return p.Differs || p.Lease != rec.Lease
}
