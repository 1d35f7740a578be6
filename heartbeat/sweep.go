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

// MostCompared is how many revisions are compared at once. When as many were written they are compared
// without waiting for the next sweep: what a burst writes is never read as a whole.
const MostCompared = 1000

// sweep is where the comparison of records and projections stands.
type sweep struct {
	now  chan struct{} // everything that was written is to be compared
	much chan struct{} // MostCompared revisions are to be
	mu   sync.Mutex
	// upTo is the revision up to which everything was compared, by a list and by what was
	// written since; 0: everything is to be listed.
	upTo  Revision
	again map[ID]struct{} // what was not put right
}

func newSweep() sweep { return sweep{now: make(chan struct{}, 1), much: make(chan struct{}, 1)} }

// Sweep asks for a comparison of records and projections now. It does not wait.
func (e *Engine) Sweep() {
	select {
	case e.sweep.now <- struct{}{}:
	default:
	}
}

// behind says whether as much is to be compared as is compared at once, of a watch that has shown
// everything up to a revision.
func (s *sweep) behind(at Revision) bool {
	since := s.compared()
	return since != 0 && at-since >= MostCompared
}

// shown takes in up to which revision the watch has shown everything.
func (s *sweep) shown(at Revision) {
	if s.behind(at) {
		select {
		case s.much <- struct{}{}:
		default:
		}
	}
}

// sweeps compares records with projections now and then, so that nothing the watch missed is
// lost: what was written since the last time, by the store's own history, or all of it where
// that does not say enough.
func (e *Engine) sweeps(ctx context.Context) {
	t := time.NewTimer(untilSweep())
	defer t.Stop()
	much := e.sweep.much // nil: the last sweep failed, and the next one is not made earlier
	for {
		whole := true
		select {
		case <-ctx.Done():
			return
		case <-e.sweep.now:
		case <-t.C:
		case <-much:
			if whole = false; !e.sweep.behind(Revision(e.watched.Load())) {
				continue // it was compared meanwhile
			}
		}
		if e.ready.Load() {
			much = e.sweep.much
			if e.compare(ctx, whole) != nil {
				much = nil // the pulse finds a store that does not reply
			}
			e.sweep.shown(Revision(e.watched.Load()))
			e.purge()
		}
		if whole {
			t.Reset(untilSweep())
		}
	}
}

func untilSweep() time.Duration {
	return sweepEvery*4/5 + time.Duration(rand.Int64N(int64(sweepEvery)*2/5))
}

// compare takes in what was written since the last comparison, or so much of it as is compared at
// once, or everything.
func (e *Engine) compare(ctx context.Context, whole bool) error {
	var also []ID
	if whole {
		also = e.sweep.besides(e.unknownEnds())
	}
	if since := e.sweep.compared(); since != 0 {
		also, err := e.compareWritten(ctx, since, also, whole)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrForgotten) {
			e.sweep.retry(also)
			return err
		}
	}
	all, at, err := e.list(ctx, func() {}) // it shows what was to be compared besides
	if err != nil {
		e.sweep.listed(0) // the store says only once that a list is due
		return err
	}
	e.inspect(all)
	_, _, err = e.compareSince(ctx, at, nil) // so that the store knows which history it is that goes on from there
	if errors.Is(err, ErrForgotten) {
		e.sweep.listed(0)
		return nil
	}
	return err
}

// compareWritten compares what was written since a revision, so much at a time: all that the watch has
// shown by now, or what is compared at once. It returns those of also that are still to be compared.
func (e *Engine) compareWritten(ctx context.Context, since Revision, also []ID, whole bool) ([]ID, error) {
	for shown := Revision(e.watched.Load()); ; {
		at, goesOn, err := e.compareSince(ctx, since, also)
		if err != nil {
			return also, err
		}
		if !whole || !goesOn || at <= since || at >= shown {
			return nil, nil
		}
		since, also = at, nil
	}
}

// compareSince compares what was written since a revision, as far as that is done at once. goesOn says
// that there was no list meanwhile.
func (e *Engine) compareSince(ctx context.Context, since Revision, also []ID) (at Revision, goesOn bool, err error) {
	some, at, err := e.Store.Changes(ctx, since, also)
	if err != nil {
		return 0, false, err
	}
	if e.contradicted(some, at) {
		e.Hooks.StoreRestored()
	}
	e.takeIn(some, at)
	goesOn = e.sweep.advance(since, at)
	e.inspect(some)
	return at, goesOn, nil
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

// compared is the revision up to which all is compared; 0: a list is due.
func (s *sweep) compared() Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.upTo
}

// besides is what is to be compared whether it was written or not.
func (s *sweep) besides(also []ID) []ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.again {
		also = append(also, id)
	}
	s.again = nil
	slices.Sort(also)
	return slices.Compact(also)
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
// unless there was a list, or is to be one, meanwhile: then it says false.
func (s *sweep) advance(since, at Revision) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.upTo != since {
		return false
	}
	s.upTo = at
	return true
}

// inspect repairs what the sweep found unlike its record.
func (e *Engine) inspect(some []Listed) {
	for i := range some {
		if l := &some[i]; l.Unlike() {
			e.requestRepair(e.ensureEntry(l.ID), &RepairFlow{ID: l.ID, Differs: l.Projection.Revision})
		}
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
