package notify

import (
	"math"
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	window      = 200 * time.Millisecond // from one POST to the next: what comes meanwhile goes together
	maxGroup    = 100                    // events of one POST
	cursorRetry = time.Second            // after a cursor could not be written
	never       = plugins.Instant(math.MaxInt64)
)

// queue decides for one subscription what is sent next and when. It is told the time
// and the events that match, and does nothing itself: next says what to do, and moved,
// stuck and posted tell how that went. What does not match costs it nothing: the cursor
// stays where the last matching event left it.
type queue struct {
	giveUp time.Duration                     // from an event's creation
	random func() float64                    // from [0, 1)
	lost   func(why loss, events []*message) // told of events that are never delivered; may be nil

	cursor        plugins.Cursor // as the store has it
	cursorDue     bool           // the cursor must become target before anything else happens
	nextCursor    plugins.Cursor
	cursorRetryAt plugins.Instant

	seen heartbeat.Revision // what matches up to there was shown

	head      []*message // what is attempted until it is delivered, unchanged
	attempted bool       // this queue has attempted the head; who had it before does not count
	pending   []*message // behind it, in order
	retained             // all that the store keeps for this subscription

	resumed  bool // nothing was composed yet: the first event may have been attempted alone by somebody else
	slow     bool // the last attempt took too long, however it ended
	failures int  // in a row, of whatever head: the retry clock is the subscription's
	retryAt  plugins.Instant
	postedAt plugins.Instant // the start of the last POST
	attempts int             // attempts made
}

// newQueue starts at a cursor as read from the store. all may be nil: nothing is bounded.
func newQueue(c plugins.Cursor, giveUp time.Duration, all *retention, random func() float64, lost func(loss, []*message)) *queue {
	return &queue{giveUp: giveUp, retained: retained{retention: all}, random: random, lost: lost, cursor: c, seen: c.After, resumed: true, postedAt: -window}
}

type actionKind uint8

const (
	waitUntil   actionKind = iota // until the time, or until an event is added
	writeCursor                   // the cursor, in the store
	sendPost
)

type action struct {
	kind   actionKind
	until  plugins.Instant
	cursor plugins.Cursor
	events []*message
}

// add takes in an event that matches. What was shown before is ignored.
func (q *queue) add(m *message) {
	if m.at <= q.seen {
		return
	}
	q.seen = m.at
	if q.closed || q.cursor.Gone || q.cursorDue && q.nextCursor.Gone {
		return
	}
	q.retain(m)
	if q.failures > 0 {
		q.supersedeBy(m)
	}
	q.pending = append(q.pending, m)
}

// shown tells that every matching event up to a revision was added.
func (q *queue) seenUpTo(upTo heartbeat.Revision) { q.seen = max(q.seen, upTo) }

// next says what to do now.
func (q *queue) next(now plugins.Instant) action {
	if q.cursor.Gone && !q.cursorDue {
		return action{until: never}
	}
	if !q.cursorDue {
		q.enforceLimit()
	}
	if !q.cursorDue && q.head == nil && !q.nextGroup(now) {
		return action{until: q.idleUntil()}
	}
	if !q.cursorDue && q.head != nil {
		switch {
		case q.expired(now):
			q.lose(givenUp, q.head)
			q.finishHead()
		case now < q.retryAt:
			return action{until: min(q.retryAt, q.expiresAt(now))}
		default:
			q.postedAt = now
			q.attempts++
			return action{kind: sendPost, events: q.head}
		}
	}
	if now < q.cursorRetryAt {
		return action{until: q.cursorRetryAt}
	}
	return action{kind: writeCursor, cursor: q.nextCursor}
}

// take makes the next head, if it is time. A group is fixed in the cursor before it
// is attempted; a single event needs no fixing, for it is the first behind the cursor.
func (q *queue) nextGroup(now plugins.Instant) bool {
	if q.seen < q.cursor.Newest {
		return false // it is not known yet what is the newest
	}
	q.applyNewest()
	if q.cursor.Group != nil {
		return q.resumeGroup()
	}
	n := min(len(q.pending), maxGroup)
	if n == 0 || now < q.readyAt() {
		return false
	}
	if q.supersededFirst() {
		q.finishHead()
		return true
	}
	if q.resumed {
		n = 1
	}
	q.resumed, q.attempted = false, false
	q.head, q.pending = q.pending[:n:n], q.pending[n:]
	if n > 1 {
		group := make([]heartbeat.Revision, n)
		for i, m := range q.head {
			group[i] = m.at
		}
		q.setCursor(plugins.Cursor{After: q.cursor.After, Group: group})
	}
	return true
}

// restore takes up the group that was fixed before a restart or by another replica.
func (q *queue) resumeGroup() bool {
	group := q.cursor.Group
	last := group[len(group)-1]
	if q.seen < last {
		return false // its events are on their way here
	}
	q.resumed, q.attempted = false, false
	rest := q.pending[:0:0]
	for _, m := range q.pending {
		switch {
		case slices.Contains(group, m.at):
			q.head = append(q.head, m)
		case m.at > last:
			rest = append(rest, m)
		default:
			q.superseded = append(q.superseded, m)
		}
	}
	q.pending = rest
	if q.head == nil { // whoever erased them
		q.finishHead()
	}
	return true
}

// ready is when a new head may be made: at once if there was quiet, so that a lone
// event does not wait.
func (q *queue) readyAt() plugins.Instant {
	at := q.retryAt
	if len(q.pending) < maxGroup {
		at = max(at, q.postedAt+window)
	}
	return at
}

// idle is until when there is nothing to do.
func (q *queue) idleUntil() plugins.Instant {
	if q.cursor.Group != nil || len(q.pending) == 0 {
		return never
	}
	return q.readyAt()
}

// over says whether the head is given up: all of it, so that no event is given up early.
func (q *queue) expired(now plugins.Instant) bool {
	return !slices.ContainsFunc(q.head, func(m *message) bool { return !plugins.GivenUp(m.age, now, q.giveUp, q.attempted) })
}

// end is when the head is given up; never: it is to be attempted first.
func (q *queue) expiresAt(now plugins.Instant) plugins.Instant {
	if !q.attempted {
		return never
	}
	left := time.Duration(0)
	for _, m := range q.head {
		left = max(left, m.age.Remaining(now, q.giveUp))
	}
	return now + left
}

// pass ends with the head: the cursor goes up to what is pending.
func (q *queue) finishHead() {
	q.release(q.head)
	q.head = nil
	after := q.seen
	if len(q.pending) > 0 {
		after = q.pending[0].at - 1
	}
	q.setCursor(plugins.Cursor{After: max(after, q.cursor.After)})
}

func (q *queue) setCursor(to plugins.Cursor) {
	to.At = q.cursor.At
	if to.Newest == 0 && !to.Gone && q.cursor.Newest > to.After {
		to.Newest = q.cursor.Newest
	}
	q.cursorDue, q.nextCursor = true, to
	q.releaseUpTo(to.After)
}

// moved tells that the cursor is written.
func (q *queue) cursorWritten(at heartbeat.Revision) {
	q.cursor, q.cursorDue, q.cursorRetryAt = q.nextCursor, false, 0
	q.cursor.At = at
}

// stuck tells that the store did not take the cursor.
func (q *queue) cursorFailed(now plugins.Instant) { q.cursorRetryAt = now + cursorRetry }

// posted tells how the attempt on the head ended.
func (q *queue) posted(r result, now plugins.Instant) {
	q.slow = r.hung() || now-q.postedAt > preemptAfter
	switch {
	case r.delivered():
		q.failures, q.retryAt = 0, 0
		q.finishHead()
	case r.gone():
		q.lose(consumerGone, q.head)
		q.lose(consumerGone, q.pending)
		q.releaseAll()
		q.setCursor(plugins.Cursor{After: max(q.seen, q.cursor.After), Gone: true})
	default:
		q.failures++
		q.attempted = true
		q.retryAt = now + max(backoff(q.failures, q.random()), min(r.retryAfter, maxRetryAfter))
		q.supersedeOlder()
	}
}

// class says by which permits the next attempt is made.
func (q *queue) class() consumerClass {
	if q.slow {
		return slow
	}
	return prompt
}
