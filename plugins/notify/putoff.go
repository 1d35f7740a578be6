package notify

import (
	"cmp"
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// What an instance that flaps has changed is put off (plugins.Flaps): its events are queued, but in no
// POST until that is over, and of each kind of change only the newest is told then. Events of
// others are sent past them, which the cursor says by Passed and PutOff.

const (
	// maxPutOff is how many events of one queue are put off, for the cursor names them all. What
	// finds no room is told at once.
	maxPutOff = 256
	// putOffWrite is how long the cursor says nothing of what is put off while nothing else is sent.
	// Until it does, the store keeps what newer events supersede, and a sender that begins anew
	// knows less of what is put off.
	putOffWrite = 30 * time.Second
)

// delay puts an event off, unless it is to be told at once. Events of its instance must not be told
// after it that happened before: they are superseded, or told at once with it.
func (q *queue) delay(m *message) bool {
	if m.instance() == "" {
		return false
	}
	q.supersedePutOff(m)
	if m.until != 0 && len(q.putOff) < maxPutOff {
		q.putOff = append(q.putOff, m)
		return true
	}
	q.tellNow(func(other *message) bool { return other.instance() == m.instance() })
	return false
}

// supersedePutOff has an event take the place of those that were put off together with it, and one
// that its instance is removed of all that were put off. A queue that begins with
// events that another sender put off leaves the newest of these instances.
func (q *queue) supersedePutOff(by *message) {
	var out []*message
	_, known := q.before[by.instance()]
	drop := func(m *message) bool {
		switch {
		case m.instance() != by.instance() || slices.Contains(q.cursor.Group, m.at):
			return false
		case by.change == mp1.Removed, m.change == by.change && (known || by.until == 0 || m.until == by.until):
			out = append(out, m)
			return true
		}
		return false
	}
	q.putOff = slices.DeleteFunc(q.putOff, drop)
	if known {
		q.pending = slices.DeleteFunc(q.pending, func(m *message) bool { return m.change != mp1.Added && drop(m) })
	}
	q.transition(newerEvent, batch{stageQueued, out})
}

// noteBefore remembers that the sender before put events of an instance off.
func (q *queue) noteBefore(m *message) {
	if !q.resumed || m.at > q.cursor.Passed || m.instance() == "" {
		return
	}
	if q.before == nil {
		q.before = map[string]struct{}{}
	}
	q.before[m.instance()] = struct{}{}
}

// endDelays queues for the next POST what is put off no longer, and what happened to the same
// instances before: its attributes may be put off for longer than its state.
func (q *queue) endDelays(now plugins.Instant) {
	var over map[string]heartbeat.Revision
	for _, m := range q.putOff {
		if m.until <= now {
			if over == nil {
				over = map[string]heartbeat.Revision{}
			}
			over[m.instance()] = m.at
		}
	}
	if over != nil && q.tellNow(func(m *message) bool { return m.at <= over[m.instance()] }) && q.failures > 0 {
		q.supersedeOlder()
	}
}

// tellNow queues for the next POST those of the events that are put off for which of holds; false:
// there are none.
func (q *queue) tellNow(of func(*message) bool) bool {
	if !slices.ContainsFunc(q.putOff, of) {
		return false
	}
	q.putOff = slices.DeleteFunc(q.putOff, func(m *message) bool {
		is := of(m)
		if is {
			q.pending = append(q.pending, m)
		}
		return is
	})
	inOrder(q.pending)
	return true
}

func inOrder(ms []*message) {
	slices.SortFunc(ms, func(a, b *message) int { return cmp.Compare(a.at, b.at) })
}

// all are the events that are queued, in order.
func (q *queue) all() []*message {
	if len(q.putOff) == 0 {
		return q.pending
	}
	all := slices.Concat(q.pending, q.putOff)
	inOrder(all)
	return all
}

// upTo are the revisions of the queued events up to one.
func (q *queue) upTo(at heartbeat.Revision) (out []heartbeat.Revision) {
	for _, m := range q.all() {
		if m.at > at {
			break
		}
		out = append(out, m.at)
	}
	return out
}

// behindPassed is the index of the first pending event behind those of which the cursor says that
// they are put off.
func (q *queue) behindPassed() int {
	i, _ := slices.BinarySearchFunc(q.pending, q.cursor.Passed+1, func(m *message, at heartbeat.Revision) int { return cmp.Compare(m.at, at) })
	return i
}

// position is the cursor that says what is queued, apart from the head.
func (q *queue) position() plugins.Cursor {
	passed := q.seen
	if i := q.behindPassed(); i < len(q.pending) {
		passed = q.pending[i].at - 1
	}
	passed = max(passed, q.cursor.Passed, q.cursor.After)
	putOff := q.upTo(passed)
	if len(putOff) == 0 {
		return plugins.Cursor{After: passed}
	}
	return plugins.Cursor{After: max(putOff[0]-1, q.cursor.After), Passed: passed, PutOff: putOff}
}

// groupCursor is the cursor that names the head as the next POST.
func (q *queue) groupCursor() plugins.Cursor {
	c := plugins.Cursor{After: q.cursor.After}
	for _, m := range q.head {
		c.Group = append(c.Group, m.at)
	}
	passed := max(c.Group[len(c.Group)-1], q.cursor.Passed)
	if c.PutOff = q.upTo(passed); len(c.PutOff) > 0 || q.cursor.Passed > q.cursor.After {
		c.Passed = passed
	}
	return c
}

// mayBeAttempted says whether a sender before this one may have attempted an event alone, and
// sees to it that it can be sent: that is the first event behind those that were put off. If
// an older event of its instance is queued, it was not attempted, for that one would have been sent
// before or with it; and none was that came when this queue was the only one.
func (q *queue) mayBeAttempted() bool {
	var older []*message // and not sent before
	for _, m := range q.all() {
		if m.at <= q.cursor.Passed {
			older = append(older, m)
			continue
		}
		if m.at > q.others || slices.ContainsFunc(older, func(o *message) bool { return o.instance() == m.instance() }) {
			return false
		}
		q.tellNow(func(other *message) bool { return other == m })
		return true
	}
	return false
}

// unsaid says whether events stand before one of which the cursor does not say that they are put
// off, or superseded. A replica that took over would begin with these.
func (q *queue) unsaid(first *message, alone bool) bool {
	if slices.ContainsFunc(q.superseded, func(m *message) bool { return m.at < first.at }) {
		return true
	}
	said := max(q.cursor.After, q.cursor.Passed)
	return alone && slices.ContainsFunc(q.putOff, func(m *message) bool { return m.at > said && m.at < first.at })
}

// putOffDue says whether the cursor must say by now what is put off.
func (q *queue) putOffDue(now plugins.Instant) bool {
	said := max(q.cursor.After, q.cursor.Passed)
	switch news := func(m *message) bool { return m.at > said }; {
	case len(q.putOff) == 0, len(q.superseded) == 0 && !slices.ContainsFunc(q.putOff, news):
		q.putOffAt = 0
	case q.putOffAt == 0:
		q.putOffAt = now + putOffWrite
	case now >= q.putOffAt:
		q.putOffAt = 0
		return true
	}
	return false
}

// putOffUntil is when something must be done about what is put off.
func (q *queue) putOffUntil() plugins.Instant {
	at := never
	for _, m := range q.putOff {
		at = min(at, m.until)
	}
	if q.putOffAt != 0 && len(q.putOff) > 0 {
		at = min(at, q.putOffAt)
	}
	return at
}
