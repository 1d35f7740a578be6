package plugins

import (
	"math"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// Waiters say of which events of the outbox somebody is still to be told, as of the one
// revision of the store at which all subscriptions and all cursors were read. Nobody
// needs to be asked what he knows, or to have seen anything: what Waiters say of an
// event stays right whatever is written later, for a cursor only goes forward, and a
// subscription asks for later events only. So any number of replicas may erase.
//
// The zero value: there are no subscriptions. It is not safe for concurrent use.
type Waiters struct {
	least      map[Interest]heartbeat.Revision // the least cursor of those who asked for it
	first      heartbeat.Revision              // the least of all
	unreadable heartbeat.Revision              // the least of those of whom something could not be read
	some, bad  bool
}

// Add enters a subscription with its cursor. One that is gone waits for nothing.
func (w *Waiters) Add(s *Subscription, c Cursor) {
	if c.Gone {
		return
	}
	if w.least == nil {
		w.least, w.first = map[Interest]heartbeat.Revision{}, math.MaxInt64
	}
	w.some, w.first = true, min(w.first, c.After)
	for _, i := range InterestsOf(s.Asked.FilteringCriteria) {
		if at, is := w.least[i]; !is || c.After < at {
			w.least[i] = c.After
		}
	}
}

// AddUnreadable enters a subscription of which something cannot be read: it may wait for
// whatever came after a revision.
func (w *Waiters) AddUnreadable(after heartbeat.Revision) {
	if !w.bad || after < w.unreadable {
		w.unreadable = after
	}
	w.bad = true
}

// For says who waits for an event.
func (w *Waiters) For(e *Event) Waiting {
	perhaps := w.bad && e.At > w.unreadable
	if w.some && e.At > w.first {
		i, err := e.Service()
		perhaps = perhaps || err != nil // a replica of another release may know what it says
		if err == nil && w.asked(e, InterestsIn(&i)) {
			return SomebodyWaits
		}
	}
	if perhaps {
		return PerhapsWaits
	}
	return NobodyWaits
}

func (w *Waiters) asked(e *Event, in func(func(Interest) bool)) bool {
	for i := range in {
		if at, is := w.least[i]; is && at < e.At {
			return true
		}
	}
	return false
}
