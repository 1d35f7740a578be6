package plugins

import (
	"math"
	"slices"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// Waiters say of which events of the outbox somebody is still to be told, as of the one
// revision of the store at which all subscriptions and all cursors were read. Nobody
// needs to be asked what he knows, or to have seen anything: what Waiters say of an
// event stays right whatever is written later, for a cursor only goes forward, and a
// subscription asks for later events only. So any number of replicas may erase.
//
// The zero value: there are no subscriptions. It is not safe for concurrent use.
type Waiters struct {
	least      map[FilterKey]heartbeat.Revision // the least cursor of those who asked for it
	newest     FilterIndex[*newestOnly]         // whose cursor says more than that
	first      heartbeat.Revision               // the least of all
	unreadable heartbeat.Revision               // the least of those of whom something could not be read
	some, bad  bool
}

// newestOnly is a subscription that waits for the newest event of each instance only.
type newestOnly struct {
	asked  *mp1.FilteringCriteria
	cursor Cursor
}

// Add enters a subscription with its cursor. One that is gone waits for nothing.
func (w *Waiters) Add(s *Subscription, c Cursor) {
	if c.Gone {
		return
	}
	if w.least == nil {
		w.least, w.first = map[FilterKey]heartbeat.Revision{}, math.MaxInt64
	}
	w.some, w.first = true, min(w.first, c.After)
	asked := s.Asked.FilteringCriteria
	if c.Newest > c.After {
		w.newest.Add(asked, &newestOnly{asked, c})
		return
	}
	for _, i := range FilterKeysOf(asked) {
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

// For says who waits for each of some events. They are all that the outbox has of one
// instance, in order.
func (w *Waiters) For(events []*Event) []Waiting {
	out := make([]Waiting, len(events))
	after := make([]*mp1.ServiceInfo, len(events)) // nil: it cannot be read
	for i, e := range slices.Backward(events) {
		if w.bad && e.At > w.unreadable {
			out[i] = PerhapsWaits
		}
		if !w.some || e.At <= w.first {
			continue
		}
		info, err := e.Service()
		if err != nil {
			out[i] = PerhapsWaits // a replica of another release may know what it says
			continue
		}
		after[i] = &info
		if w.asked(e, &info) || w.askedNewest(events[i:], after[i:]) {
			out[i] = SomebodyWaits
		}
	}
	return out
}

func (w *Waiters) asked(e *Event, after *mp1.ServiceInfo) bool {
	for i := range MatchingKeys(after) {
		if at, is := w.least[i]; is && at < e.At {
			return true
		}
	}
	return false
}

// askedNewest says whether somebody whose cursor is such waits for the first of some events of an instance.
func (w *Waiters) askedNewest(events []*Event, after []*mp1.ServiceInfo) bool {
	for p := range w.newest.Candidates(after[0]) {
		if p.waits(events, after) {
			return true
		}
	}
	return false
}

func (p *newestOnly) waits(events []*Event, after []*mp1.ServiceInfo) bool {
	at, c := events[0].At, &p.cursor
	switch {
	case at <= c.After || !p.asked.Match(after[0]):
		return false
	case at > c.Newest || slices.Contains(c.Group, at):
		return true
	}
	for i, later := range events[1:] {
		if later.At <= c.Newest && after[i+1] != nil && p.asked.Match(after[i+1]) {
			return false
		}
	}
	return true
}
