package events

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// feed is what all streams of this replica read: the services, and the newest changes of them. Both
// come from one list and one watch, so that they go together at every revision. It is safe for
// concurrent use, and nobody who reads is waited for.
type feed struct {
	unreadable func(n int) // counts events that could not be read; the store counts such services of a list
	now        func() time.Time
	turns      *turns // of those who read

	mu       sync.RWMutex
	loaded   bool
	restored bool // what is loaded next is of another history
	// lost is the newest revision of a history that ended: this one may give the same to other changes.
	lost     heartbeat.Revision
	epoch    int // grows when streams have to begin anew
	services map[heartbeat.ID]*item
	ring     ring
	flaps    *plugins.Flaps
	more     chan struct{} // closed, and replaced, with every change
	// ahead are the services of which the engine knows a state that the watch has not shown yet.
	ahead map[heartbeat.ID]mp1.State

	making   sync.Mutex // held while a snapshot is made
	snapshot *snapshot  // the newest; guarded by mu
}

func newFeed(now func() time.Time, flaps *plugins.Flaps, unreadable func(int)) *feed {
	return &feed{now: now, flaps: flaps, turns: newTurns(), unreadable: unreadable, more: make(chan struct{}), services: map[heartbeat.ID]*item{}, ring: ring{most: mostBytes}, ahead: map[heartbeat.ID]mp1.State{}}
}

// ready says whether there is something to read.
func (f *feed) ready() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.loaded
}

// Restored implements plugins.HistoryReader.
func (f *feed) Restored() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.restored = true
	f.lost = max(f.lost, f.ring.newest())
}

// Load implements plugins.HistoryReader.
func (f *feed) Load(h *plugins.History) {
	services := make(map[heartbeat.ID]*item, len(h.Services))
	bad := 0
	for _, e := range h.Services {
		services[e.ID] = listedItem(e)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.loaded || f.restored || h.Floor > f.ring.newest() || h.At < f.ring.newest() {
		f.begin(h)
	} else {
		bad += f.add(h.Events)
	}
	f.services, f.loaded, f.restored = services, true, false
	for id := range f.ahead {
		f.caughtUp(id)
	}
	f.reported(bad)
	f.wake()
}

// begin forgets what was known, and takes in the changes of a list; f.mu is held. What a service
// was before the first of its changes is not known.
func (f *feed) begin(h *plugins.History) {
	f.epoch++
	f.snapshot = nil
	f.ring.clear(h.Floor, f.now().UnixNano())
	f.flaps.Reset()
	f.services = map[heartbeat.ID]*item{}
	first := map[heartbeat.ID]bool{}
	for _, e := range h.Events {
		_, known := first[e.ID]
		first[e.ID] = true
		f.reported(f.addOne(e, known))
	}
}

// See implements plugins.HistoryReader.
func (f *feed) See(events []*plugins.Event, _ heartbeat.Revision) {
	if len(events) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reported(f.add(events))
	f.wake()
}

// add takes in the changes that are not known yet; f.mu is held. It returns how many could not be
// read.
func (f *feed) add(events []*plugins.Event) (bad int) {
	for _, e := range events {
		bad += f.addOne(e, true)
	}
	return bad
}

func (f *feed) addOne(e *plugins.Event, known bool) (bad int) {
	switch {
	case e == nil:
		return 1
	case e.At <= f.ring.newest():
		return 0
	}
	n, err := newEntry(e, f.services[e.ID], known)
	if err != nil { // nobody is shown the service; but that the engine knows of it is not to be waited for
		f.services[e.ID] = listedItem(e)
		if e.Change == heartbeat.Removed {
			delete(f.services, e.ID)
		}
		f.caughtUp(e.ID)
		return 1
	}
	n.putOff = f.putOff(e)
	if n.after == nil {
		delete(f.services, e.ID)
	} else {
		f.services[e.ID] = n.after
	}
	f.ring.add(n)
	f.caughtUp(e.ID)
	return 0
}

// putOff says until when subscribers are not told of an event; f.mu is held. Moments are by the wall
// clock of whoever made the event, so that all replicas and the next start show the same.
func (f *feed) putOff(e *plugins.Event) plugins.Flapping {
	at := plugins.Instant(min(e.Made, f.now().UnixNano()))
	if f.flaps.See(e, at) == 0 {
		return plugins.Flapping{}
	}
	flapping, _ := f.flaps.Of(e.ID, at)
	return flapping
}

func (f *feed) reported(bad int) {
	if bad > 0 {
		f.unreadable(bad)
	}
}

// wake has all readers look again; f.mu is held.
func (f *feed) wake() {
	close(f.more)
	f.more = make(chan struct{})
	f.turns.wake()
}

// cursor is how far a stream is.
type cursor struct {
	epoch int
	next  uint64 // the number of the change that it shows next
}

// progress is what a stream finds in the feed.
type progress int

const (
	current progress = iota // what there is, which may be nothing
	behind                  // what it needs next is gone
	anew                    // it is of another history
)

// read returns the changes that follow in a stream, at most so many, and advances it. at is the id
// from which the stream goes on.
func (f *feed) read(c *cursor, most int) (some []*entry, at heartbeat.Revision, p progress) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if c.epoch != f.epoch {
		return nil, 0, anew
	}
	some, ok := f.ring.from(c.next, most)
	if !ok {
		return nil, 0, behind
	}
	c.next += uint64(len(some))
	at = f.ring.newest()
	if len(some) > 0 {
		at = some[len(some)-1].at
	}
	return some, at, current
}

// await has a stream wait for its next turn: until there is news, if it has shown all there is.
func (f *feed) await(c *cursor, w *waiter) {
	f.mu.RLock()
	defer f.mu.RUnlock() // until then nothing is added, and nobody woken
	if c.epoch == f.epoch && c.next == f.ring.next() {
		f.turns.park(w)
	} else {
		f.turns.want(w)
	}
}

// resume is where a stream goes on that has shown everything up to a revision. ok is false if it
// has to begin anew. later, unless it is nil, is closed when the answer may be another one: this
// replica has not seen that revision yet.
func (f *feed) resume(at heartbeat.Revision) (c cursor, ok bool, later <-chan struct{}) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	switch {
	case f.lost != 0 && at <= f.lost: // 0 is where a store without changes is
		return c, false, nil
	case at > f.ring.newest():
		return c, false, f.more
	}
	next, ok := f.ring.after(at)
	return cursor{f.epoch, next}, ok, nil
}

// snapshot are all services at a revision. It is shared by all streams that begin with it.
type snapshot struct {
	at    heartbeat.Revision
	from  cursor  // where the changes behind it begin
	items []*item // by their ids
	made  time.Time
}

// A snapshot of many services is used for so long before another one is made, for streams that
// begin at the same time: what has changed since then follows it.
const (
	many        = 1000
	snapshotAge = time.Second / 2
)

// usable says whether a stream may begin with a snapshot; f.mu is held.
func (f *feed) usable(s *snapshot, now time.Time) bool {
	switch {
	case s == nil || s.from.epoch != f.epoch:
		return false
	case s.from.next == f.ring.next():
		return true
	}
	return len(s.items) >= many && s.from.next >= f.ring.first && now.Sub(s.made) < snapshotAge
}

// begins returns all services, as new as a stream needs them that begins now.
func (f *feed) begins() *snapshot {
	f.making.Lock()
	defer f.making.Unlock()
	now := f.now()
	f.mu.RLock()
	s := f.snapshot
	if f.usable(s, now) {
		f.mu.RUnlock()
		return s
	}
	s = &snapshot{at: f.ring.newest(), from: cursor{f.epoch, f.ring.next()}, made: now, items: make([]*item, 0, len(f.services))}
	for _, it := range f.services {
		s.items = append(s.items, it)
	}
	f.mu.RUnlock()
	slices.SortFunc(s.items, func(a, b *item) int { return cmp.Compare(a.of.ID, b.of.ID) })
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshot = s
	return s
}

// kept is how many changes the ring has.
func (f *feed) kept() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.ring.entries)
}
