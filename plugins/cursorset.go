package plugins

import (
	"math"
	"slices"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// CursorSet holds all subscriptions and their cursors as they were at one revision of the
// store, and says which events of the outbox are still pending. An event that was not
// pending then never becomes pending again, whatever is written later: a cursor only goes
// forward, and a new subscription gets later events only. So any number of replicas may
// erase events at the same time without agreeing on anything.
//
// The zero value holds no subscriptions. It is not safe for concurrent use.
type CursorSet struct {
	least      map[FilterKey]heartbeat.Revision // the lowest cursor of the subscriptions with that key
	partly     FilterIndex[*partly]             // subscriptions whose cursor has a Newest behind its Passed
	putOff     map[heartbeat.Revision][]*partly // other subscriptions that put an event off, or have it in the next POST
	first      heartbeat.Revision               // the lowest cursor of the subscriptions to services
	unreadable heartbeat.Revision               // the lowest cursor of those that could not be read
	some, bad  bool                             // whether first and unreadable are set
}

// partly is a subscription to which not all events behind its cursor are still to be sent: up to
// Cursor.Newest only the newest of each instance, or the newest termination of its application,
// and up to Cursor.Passed only what is put off.
type partly struct {
	asked  *mp1.Subscription
	cursor Cursor
}

// Add enters a subscription with its cursor. For one that is gone nothing is pending.
func (w *CursorSet) Add(s *Subscription, c Cursor) {
	if c.Gone {
		return
	}
	if w.least == nil {
		w.least, w.first = map[FilterKey]heartbeat.Revision{}, math.MaxInt64
	}
	asked := &s.Asked
	if !asked.OfTermination() { // whose cursors may stay for months where they began
		w.some, w.first = true, min(w.first, c.After)
	}
	all := max(c.After, c.Passed) // behind it everything is still to be sent
	if c.Newest > all {
		w.partly.Add(asked, &partly{asked, c})
		return
	}
	for _, i := range FilterKeysOf(asked) {
		if at, is := w.least[i]; !is || all < at {
			w.least[i] = all
		}
	}
	if all > c.After {
		w.addPutOff(&partly{asked, c})
	}
}

// addPutOff enters what is still to be sent up to Cursor.Passed.
func (w *CursorSet) addPutOff(p *partly) {
	if w.putOff == nil {
		w.putOff = map[heartbeat.Revision][]*partly{}
	}
	for _, named := range [][]heartbeat.Revision{p.cursor.PutOff, p.cursor.Group} {
		for _, at := range named {
			if at <= p.cursor.Passed {
				w.putOff[at] = append(w.putOff[at], p)
			}
		}
	}
}

// AddUnreadable enters a subscription that cannot be read, or whose cursor cannot: every
// event after the given revision may be pending for it.
func (w *CursorSet) AddUnreadable(after heartbeat.Revision) {
	if !w.bad || after < w.unreadable {
		w.unreadable = after
	}
	w.bad = true
}

// Pending says of each event whether it is still to be sent to a subscription. events are
// all that the outbox has of one instance, or of the terminations of one application, in
// order.
func (w *CursorSet) Pending(events []*Event) []Pending {
	out := make([]Pending, len(events))
	after := make([]Subject, len(events)) // zero: it cannot be read
	for i, e := range slices.Backward(events) {
		if !e.Told() {
			continue
		}
		if w.bad && e.At > w.unreadable {
			out[i] = MaybePending
		}
		if e.Termination == nil && (!w.some || e.At <= w.first) {
			continue
		}
		subject, err := e.Subject()
		if err != nil {
			out[i] = MaybePending // a replica of another release may know what it says
			continue
		}
		after[i] = subject
		if w.behind(e, subject) || w.behindPartly(events[i:], after[i:]) {
			out[i] = StillPending
		}
	}
	return out
}

// behind says whether a subscription that the event concerns has a cursor before it.
func (w *CursorSet) behind(e *Event, of Subject) bool {
	for i := range MatchingKeys(of) {
		if at, is := w.least[i]; is && at < e.At {
			return true
		}
	}
	return false
}

// behindPartly says the same of the subscriptions that do not get all events behind their cursors,
// for the first of some events of an instance.
func (w *CursorSet) behindPartly(events []*Event, after []Subject) bool {
	for _, p := range w.putOff[events[0].At] {
		if p.pending(events, after) {
			return true
		}
	}
	for p := range w.partly.Candidates(after[0]) {
		if p.pending(events, after) {
			return true
		}
	}
	return false
}

func (p *partly) pending(events []*Event, after []Subject) bool {
	at, c := events[0].At, &p.cursor
	switch {
	case c.Done(at) || !after[0].AskedBy(p.asked):
		return false
	case at > c.Newest || slices.Contains(c.Group, at):
		return true
	}
	for i, later := range events[1:] {
		if later.At <= c.Newest && after[i+1].AskedBy(p.asked) {
			return false
		}
	}
	return true
}
