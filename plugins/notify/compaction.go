package notify

import (
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// supersedeOlder leaves of the changes of state of each instance only the newest pending. It
// must not touch the head, which was attempted and is repeated as it is.
func (q *queue) supersedeOlder() {
	q.keepNewest(func(m *message) bool { return m.change == mp1.StateChanged })
}

// keepNewest leaves, of the pending events for which of holds, only the newest of each
// instance. The store retains the others until the cursor has passed them or leaves them out.
func (q *queue) keepNewest(of func(*message) bool) {
	newer := map[string]bool{}
	var kept, out []*message
	for _, m := range slices.Backward(q.pending) {
		if of(m) {
			if newer[m.instance()] {
				out = append(out, m)
				continue
			}
			newer[m.instance()] = true
		}
		kept = append(kept, m)
	}
	slices.Reverse(kept)
	q.pending = kept
	q.transition(newerEvent, batch{stageQueued, out})
}

// supersedeBy does what supersedeOlder does, for one more event.
func (q *queue) supersedeBy(by *message) {
	if by.change != mp1.StateChanged {
		return
	}
	var out []*message
	q.pending = slices.DeleteFunc(q.pending, func(m *message) bool {
		is := m.change == mp1.StateChanged && m.instance() == by.instance()
		if is {
			out = append(out, m)
		}
		return is
	})
	q.transition(newerEvent, batch{stageQueued, out})
}

// passSuperseded ends with the superseded events that are not after the cursor any more.
func (q *queue) passSuperseded(after heartbeat.Revision) {
	var passed []*message
	q.superseded = slices.DeleteFunc(q.superseded, func(m *message) bool {
		if m.at <= after {
			passed = append(passed, m)
		}
		return m.at <= after
	})
	q.transition(cursorPassed, batch{stageSuperseded, passed})
}

// applyNewest leaves out what the cursor says by Newest, in a queue that starts at that
// cursor: the store may have erased these events. plugins.CursorSet has the same rule.
func (q *queue) applyNewest() {
	upTo := q.cursor.Newest
	if !q.resumed || upTo <= q.cursor.After {
		return
	}
	q.tellNow(func(*message) bool { return true })
	newer := map[string]bool{}
	var kept, out []*message
	for _, m := range slices.Backward(q.pending) {
		id := m.instance()
		if m.at <= upTo && newer[id] && !slices.Contains(q.cursor.Group, m.at) {
			out = append(out, m)
			continue
		}
		newer[id] = newer[id] || m.at <= upTo
		kept = append(kept, m)
	}
	slices.Reverse(kept)
	q.pending = kept
	q.transition(leftOut, batch{stageQueued, out})
}

// enforceLimit reduces what the store retains for this subscription if it is more than the
// limit, or than the dispatcher asked for by shedTo. Only the newest event of each instance
// stays, and if that is not enough, the oldest of these are shed. By its own limit a
// subscription never loses its newest event. The cursor says so before anything else
// happens, and erasing follows the cursor. The head goes on being attempted, unless it is
// itself among the oldest.
func (q *queue) enforceLimit() {
	most := q.limit()
	if q.bytes <= most {
		q.shedTo = 0
		return
	}
	if len(q.cursor.Group) > 0 && q.head == nil || q.seen < q.cursor.Needs() {
		return // not all of its events are here yet
	}
	least := 1
	if q.shedTo != 0 {
		least = 0
	}
	q.shedTo = 0
	q.tellNow(func(*message) bool { return true })
	q.keepNewest(func(*message) bool { return true })
	done := len(q.superseded) > 0
	q.transition(cursorPassed, batch{stageSuperseded, q.superseded})
	q.superseded = nil
	shed := q.shed(most-most/4, least) // less than most, so that it is not done for every event
	if !done && !shed {
		return
	}
	to := q.position()
	if q.head != nil {
		to = q.groupCursor()
	}
	to.Newest = q.seen
	q.setCursor(to)
}

// shed takes out the oldest events, the head as a whole, until no more than so many bytes
// are retained or no more than least pending events are left. false: there was nothing to do.
func (q *queue) shed(most int64, least int) bool {
	if q.bytes <= most || len(q.pending) < least {
		return false
	}
	bytes, n := q.bytes-sizeOf(q.head), 0
	for bytes > most && len(q.pending)-n > least {
		bytes -= int64(q.pending[n].size)
		n++
	}
	head, oldest := q.head, q.pending[:n]
	q.head, q.pending = nil, q.pending[n:]
	q.transition(limitExceeded, batch{q.headStage, head}, batch{stageQueued, oldest})
	return len(head)+n > 0
}

func sizeOf(events []*message) (bytes int64) {
	for _, m := range events {
		bytes += int64(m.size)
	}
	return bytes
}

// oldestAge is for how long the oldest event waits that is to be sent now; 0: there is none.
func (q *queue) oldestAge(now plugins.Instant) time.Duration {
	switch {
	case len(q.head) > 0:
		if m := q.head[0]; now < m.until { // told before its time
			return now - q.headAt
		}
		return q.head[0].waits(now)
	case len(q.pending) > 0:
		return q.pending[0].waits(now)
	}
	return 0
}
