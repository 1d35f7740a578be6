package notify

import (
	"slices"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// advanceCursor has the cursor written that is just before the first event that is pending.
func (q *queue) advanceCursor() { q.setCursor(q.position()) }

// setCursor has a cursor written before anything else happens.
func (q *queue) setCursor(to plugins.Cursor) {
	to.At = q.cursor.At
	if to.Newest == 0 && !to.Gone && q.cursor.Newest > to.After {
		to.Newest = q.cursor.Newest
	}
	q.cursorDue, q.nextCursor = true, to
	q.passSuperseded(max(to.After, to.Passed))
}

// cursorWritten says that the store has nextCursor, at a revision.
func (q *queue) cursorWritten(at heartbeat.Revision) {
	q.cursor, q.cursorDue, q.cursorRetryAt = q.nextCursor, false, 0
	q.cursor.At = at
}

// cursorFailed says that the store does not have nextCursor.
func (q *queue) cursorFailed(now plugins.Instant) { q.cursorRetryAt = now + cursorRetry }

// resumeGroup composes the POST that the cursor names, which was stored before a restart or
// by another replica.
func (q *queue) resumeGroup() bool {
	group := q.cursor.Group
	last := group[len(group)-1]
	if q.seen < last {
		return false // its events are on their way here
	}
	if q.resumed = q.cursor.Passed > q.cursor.After; !q.resumed { // else it may have what was put off alone
		q.before = nil
	}
	var left []*message
	others := func(m *message) bool {
		switch {
		case slices.Contains(group, m.at):
			q.head = append(q.head, m)
		case m.at > max(last, q.cursor.Passed):
			return false
		case m.at <= q.cursor.Passed: // it is put off
			return false
		default:
			left = append(left, m)
		}
		return true
	}
	q.pending = slices.DeleteFunc(q.pending, others)
	q.putOff = slices.DeleteFunc(q.putOff, others)
	inOrder(q.head)
	q.transition(ungrouped, batch{stageQueued, left})
	if q.head == nil { // all of its events were erased
		q.advanceCursor()
		return true
	}
	q.headStage = q.transition(grouped, batch{stageQueued, q.head})
	return true
}
