package heartbeat

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// remembers has the lab's store know what was written: of all it returns what names says.
func (l *lab) remembers(names func() []ID) (asked *[][]ID) {
	asked = new([][]ID)
	l.rev = max(l.rev, 1) // 0 would say that nothing was listed
	l.changes = func(_ Revision, also []ID) ([]Listed, Revision, error) {
		*asked = append(*asked, also)
		var out []Listed
		for _, id := range append(names(), also...) {
			s := l.records[id]
			s.Projection = l.projections[id]
			out = append(out, Listed{ID: id, Snapshot: s})
		}
		return out, l.rev, nil
	}
	return asked
}

// Where the store knows what was written nothing else is listed, and what was is taken in and
// put right like what a list shows.
func TestASweepTakesInWhatWasWritten(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		var written []ID
		asked := l.remembers(func() []ID { return written })
		s := l.addReplica(brisk(10), true)
		time.Sleep(10 * time.Second)
		s.register("changed")
		s.register("gone")
		stop := s.beats(5*time.Second, "changed", "gone")
		defer stop()
		l.mu.Lock()
		lists := l.lists
		replicas := l.replicas
		l.replicas = nil // nothing is shown
		l.rev++
		delete(l.records, "gone")
		delete(l.projections, "gone")
		p := l.projections["changed"]
		p.Differs = true
		l.projections["changed"] = p
		l.projections["orphan"] = Projection{Revision: l.rev}
		written = []ID{"changed", "gone", "orphan", "unknown"}
		l.mu.Unlock()
		time.Sleep(40 * time.Second)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.replicas = replicas
		if l.lists != lists || len(*asked) == 0 {
			t.Errorf("%d lists, %d looks", l.lists-lists, len(*asked))
		}
		if s.Ready() && (s.entry("unknown") != nil || s.entry("gone") != nil && s.entry("gone").view.Exists()) {
			t.Error("it knows what does not exist")
		}
		if l.projections["changed"].Differs || l.projections["orphan"].Present() {
			t.Errorf("%+v", l.projections)
		}
	})
}

// Whatever the history would show only once is asked for again: what a list at the start found,
// and what could not be put right.
func TestWhatIsNotPutRightIsComparedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.records["i"] = Snapshot{At: 1, Record: Record{Schema: Schema, ID: "i", Owner: "app", State: Inactive, Seq: 1}}
		l.rev = 1
		l.full = true
		asked := l.remembers(func() []ID { return nil })
		s := l.addReplica(brisk(10), true)
		time.Sleep(150 * time.Second)
		l.mu.Lock()
		if len(*asked) < 3 || !slices.Equal((*asked)[0], []ID{"i"}) || !slices.Equal((*asked)[2], []ID{"i"}) || l.projections["i"].Present() {
			t.Errorf("%v, present: %t", *asked, l.projections["i"].Present())
		}
		l.full = false
		l.mu.Unlock()
		time.Sleep(150 * time.Second)
		synctest.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.projections["i"].Present() || len((*asked)[len(*asked)-1]) != 0 || !s.Ready() {
			t.Errorf("%v, present: %t", *asked, l.projections["i"].Present())
		}
	})
}

// After a list that fails, and after a restore, everything is listed: nothing that was known
// says from where on to compare.
func TestARestoreLeadsToAList(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		asked := l.remembers(func() []ID { return nil })
		s := l.addReplica(brisk(10), true)
		time.Sleep(50 * time.Second)
		s.Restored()
		l.mu.Lock()
		lists, looks := l.lists, len(*asked)
		l.mu.Unlock()
		s.Sweep()
		time.Sleep(time.Second)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.lists != lists+1 || len(*asked) != looks+1 || looks == 0 { // the look that follows a list
			t.Errorf("%d lists, %d looks", l.lists-lists, len(*asked)-looks)
		}
	})
}

// The store says only once that a list is due: one that fails, and one that is due again right
// behind a list, is made up for by the next sweep.
func TestAListThatIsDueIsNotForgotten(t *testing.T) {
	for name, fails := range map[string]bool{"the list fails": true, "the look behind a list says so": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				l.rev = 1
				due, never := 0, make(chan struct{})
				l.changes = func(Revision, []ID) ([]Listed, Revision, error) {
					if due == 0 {
						return nil, l.rev, nil
					}
					if due--; fails {
						l.held["list"] = never
					}
					return nil, 0, ErrForgotten
				}
				s := l.addReplica(brisk(10), true)
				time.Sleep(10 * time.Second)
				l.mu.Lock()
				if due = 2; fails {
					due = 1
				}
				was := l.lists
				l.mu.Unlock()
				s.Sweep()
				time.Sleep(10 * time.Second)
				l.mu.Lock()
				delete(l.held, "list")
				if due != 0 || fails && l.lists != was {
					t.Errorf("%d lists, %d reasons left", l.lists-was, due)
				}
				was = l.lists
				l.mu.Unlock()
				for range 3 {
					s.Sweep()
					time.Sleep(time.Second)
				}
				l.mu.Lock()
				defer l.mu.Unlock()
				if l.lists != was+1 {
					t.Errorf("%d lists", l.lists-was)
				}
			})
		})
	}
}

// A list shows whatever was to be compared again: when that is so much that the store prefers a
// list, one list is enough.
func TestOneListIsEnoughForAMass(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.rev = 1
		var asked []int
		l.changes = func(_ Revision, also []ID) ([]Listed, Revision, error) {
			asked = append(asked, len(also))
			if len(also) > 5 {
				return nil, 0, ErrForgotten
			}
			return nil, l.rev, nil
		}
		s := l.addReplica(brisk(10), true)
		time.Sleep(10 * time.Second)
		for i := range 10 {
			s.sweep.retry([]ID{ID(fmt.Sprint("i", i))})
		}
		l.mu.Lock()
		was := l.lists
		asked = nil
		l.mu.Unlock()
		for range 3 {
			s.Sweep()
			time.Sleep(time.Second)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.lists != was+1 || !slices.Equal(asked, []int{10, 0, 0, 0}) {
			t.Errorf("%d lists, asked for %v besides", l.lists-was, asked)
		}
	})
}

// By when an end had come that only a read has shown, what is compared must tell.
func TestASweepAsksForEndsThatOnlyAReadHasShown(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), false)
		time.Sleep(10 * time.Second)
		s.register("i")
		en := s.entry("i")
		s.observe(en, Observation{ID: "i", Revision: l.at("i").At + 1, Projected: true})
		en.mu.Lock()
		en.view.ended = unknownEnd
		en.mu.Unlock()
		if got := s.unknownEnds(); !slices.Equal(got, []ID{"i"}) {
			t.Errorf("%v", got)
		}
	})
}

// What a service costs while nothing happens to it is memory: no goroutine, and no list.
func TestServicesThatLiveTakeNoGoroutine(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.remembers(func() []ID { return nil })
		s := l.addReplica(brisk(3600), true)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		before := runtime.NumGoroutine()
		for i := range 500 {
			s.register(ID(fmt.Sprint("i", i)))
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		if got := runtime.NumGoroutine(); got > before+5 {
			t.Errorf("%d goroutines for 500 services", got-before)
		}
		if l.lists != 1 {
			t.Errorf("%d lists", l.lists)
		}
	})
}

// A burst was compared by the next sweep, half a minute later, as a whole: that was a list of everything.
// It is compared a part at a time, as it comes.
func TestABurstIsComparedAsItComes(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.rev = 1
		var from, also []int
		l.changes = func(since Revision, besides []ID) ([]Listed, Revision, error) {
			from, also = append(from, int(since)), append(also, len(besides))
			return nil, min(l.rev, since+MostCompared), nil
		}
		s := l.addReplica(brisk(10), true)
		time.Sleep(time.Second) // less than the time until a sweep
		s.sweep.retry([]ID{"again"})
		l.mu.Lock()
		from, also = nil, nil
		at, lists := l.rev, l.lists
		l.rev += MostCompared - 1
		l.mu.Unlock()
		shows := func(n int) {
			t.Helper()
			l.mu.Lock()
			now := l.rev
			l.mu.Unlock()
			s.Observe(nil, now)
			synctest.Wait()
			l.mu.Lock()
			defer l.mu.Unlock()
			if len(from) != n || l.lists != lists {
				t.Errorf("compared from %v on, %d lists", from, l.lists-lists)
			}
		}
		shows(0)
		l.mu.Lock()
		l.rev++
		l.mu.Unlock()
		shows(1)
		l.mu.Lock()
		l.rev += 3*MostCompared + 7 // at once
		l.mu.Unlock()
		shows(4)
		l.mu.Lock()
		if !slices.Equal(from, []int{int(at), int(at) + MostCompared, int(at) + 2*MostCompared, int(at) + 3*MostCompared}) || slices.Max(also) != 0 {
			t.Errorf("compared from %v on, and %v besides", from, also)
		}
		l.mu.Unlock()
		time.Sleep(40 * time.Second) // the next sweep compares the rest, and what is to be compared besides
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(from) < 5 || from[4] != int(at)+4*MostCompared || also[4] != 1 {
			t.Errorf("compared from %v on, and %v besides", from, also)
		}
	})
}

// A sweep compares all that was written, however much, and asks for what is to be compared besides once.
func TestASweepComparesPartAfterPart(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.rev = 1
		var from, also []int
		fails := false
		l.changes = func(since Revision, besides []ID) ([]Listed, Revision, error) {
			from, also = append(from, int(since)), append(also, len(besides))
			if fails {
				return nil, 0, ErrUnavailable
			}
			return nil, min(l.rev, since+MostCompared), nil
		}
		s := l.addReplica(brisk(10), true)
		time.Sleep(time.Second)
		s.sweep.retry([]ID{"again"})
		l.mu.Lock()
		at := l.rev
		from, also, fails = nil, nil, true
		l.rev += 2*MostCompared + 7
		now := l.rev
		l.mu.Unlock()
		for range 3 { // the store does not reply: the next sweep asks again, and not whoever shows something
			s.Observe(nil, now)
			synctest.Wait()
		}
		l.mu.Lock()
		if !slices.Equal(from, []int{int(at)}) {
			t.Errorf("compared from %v on", from)
		}
		from, also, fails = nil, nil, false
		l.mu.Unlock()
		s.Sweep()
		synctest.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		if !slices.Equal(from, []int{int(at), int(at) + MostCompared, int(at) + 2*MostCompared}) || !slices.Equal(also, []int{1, 0, 0}) {
			t.Errorf("compared from %v on, and %v besides", from, also)
		}
	})
}

// A sweep looked at every entry, and meanwhile nobody could look for one: of 100,000 services it held up
// all requests.
func TestWhoIsGoneIsForgottenWithoutALookAtAll(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.remembers(func() []ID { return nil })
		s := l.addReplica(brisk(10), true)
		time.Sleep(10 * time.Second)
		s.register("gone")
		s.register("back")
		s.register("lives")
		for _, id := range []ID{"gone", "back"} {
			if err := s.Remove(t.Context(), id, Removal{Owner: "app"}); err != nil {
				t.Fatal(err)
			}
		}
		held := s.entry("gone")
		s.register("back")
		held.mu.Lock() // somebody is at it
		s.purge()
		held.mu.Unlock()
		if s.entry("gone") == nil || len(s.departed.ids) != 1 {
			t.Errorf("%v", s.departed.ids)
		}
		watched := s.watched.Swap(0) // what was shown of it before it went may still come
		s.purge()
		if s.entry("gone") == nil || len(s.departed.ids) != 1 {
			t.Errorf("%v", s.departed.ids)
		}
		s.watched.Store(watched)
		s.purge()
		if s.entry("gone") == nil || len(s.departed.ids) != 1 {
			t.Errorf("a part of what was written, as of before it went, would bring it back: %v", s.departed.ids)
		}
		s.sweep.listed(Revision(watched))
		s.purge()
		if s.entry("gone") != nil || s.entry("back") == nil || s.entry("lives") == nil || len(s.departed.ids) != 0 {
			t.Errorf("%v", s.departed.ids)
		}
	})
}

// What a part of a burst shows as gone may have ended by then, also where the watch, which has shown more,
// missed that: its end is open from there on.
func TestAPartOfABurstOpensNoEndBehindItself(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		s := l.addReplica(brisk(10), false)
		s.watched.Store(1000)
		for at, want := range map[Revision]Revision{400: 400, 999: 999, 1000: 1001, 1200: 1001} {
			if got := s.takeIn(nil, at); got != want {
				t.Errorf("of what is gone as of %d the end may be %d, not %d", at, got, want)
			}
		}
	})
}
