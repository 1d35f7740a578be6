package notify

import (
	"math"
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	groupInterval = 200 * time.Millisecond // least time from one POST to the next; events that come meanwhile share a POST
	maxGroup      = 100                    // events of one POST
	cursorRetry   = time.Second            // after a cursor could not be written
	never         = plugins.Instant(math.MaxInt64)
)

// queue decides for one subscription what is sent next and when. It is given the time and
// the events that match, and does nothing itself: next says what to do, and cursorWritten,
// cursorFailed and posted are called with how that went. Events that do not match cost
// nothing: the cursor stays where the last matching event left it.
type queue struct {
	giveUp time.Duration                      // from an event's creation
	random func() float64                     // from [0, 1)
	lost   func(why stage, events []*message) // called with events that are never delivered; may be nil
	// transitioned is called with every transition, if a test sets it.
	transitioned func(from stage, by cause)

	cursor        plugins.Cursor // as the store has it
	cursorDue     bool           // the store must get nextCursor before anything else happens
	nextCursor    plugins.Cursor
	cursorRetryAt plugins.Instant

	seen heartbeat.Revision // every matching event up to it was added

	head      []*message      // the events of the next POST, the same until it is over
	headAt    plugins.Instant // when it was composed; 0: before this sender
	headStage stage           // sending or retrying; attempts of another sender do not count
	pending   []*message      // queued, in order
	putOff    []*message      // queued too, in order, until what they are put off for is over
	putOffAt  plugins.Instant // when the cursor is written although nothing is sent; 0: nothing calls for it
	retained                  // the events that the store retains for this subscription

	before   map[string]struct{} // instances of which the sender before put events off, while resumed
	resumed  bool                // nothing behind the cursor was composed yet: another sender may have attempted the first event there alone
	others   heartbeat.Revision  // another sender may have attempted events up to it, none behind it
	absent   bool                // the consumer must connect before anything can be sent to it
	slow     bool                // the last attempt took too long, however it ended
	failures int                 // in a row, over all POSTs: the consumer fails, and not the POST
	retryAt  plugins.Instant
	postedAt plugins.Instant // the start of the last POST
	attempts int             // attempts made
}

// newQueue starts at a cursor as read from the store. all may be nil: there is no limit on
// what the store retains.
func newQueue(c plugins.Cursor, giveUp time.Duration, all *retention, random func() float64, lost func(stage, []*message)) *queue {
	return &queue{giveUp: min(giveUp, plugins.LongestAge), retained: retained{retention: all}, random: random, lost: lost, cursor: c, seen: c.After, resumed: true, others: math.MaxInt64, postedAt: -groupInterval}
}

// actionKind is what a worker is to do.
type actionKind uint8

const (
	waitUntil   actionKind = iota // for action.until, or until something changes
	writeCursor                   // action.cursor, to the store
	sendPost                      // of action.events
)

// action is what a worker is to do next.
type action struct {
	kind   actionKind
	until  plugins.Instant
	cursor plugins.Cursor
	events []*message
}

// add takes in an event that matches. One that was added before is ignored.
func (q *queue) add(m *message) {
	if m.at <= q.seen {
		return
	}
	q.seen = m.at
	if q.closed || q.cursor.Gone || q.cursorDue && q.nextCursor.Gone {
		return
	}
	if q.cursor.Done(m.at) {
		return
	}
	q.retain(m)
	late := q.delay(m)
	q.noteBefore(m)
	if late {
		return
	}
	if q.failures > 0 {
		q.supersedeBy(m)
	}
	q.pending = append(q.pending, m)
}

// seenUpTo says that every matching event up to a revision was added.
func (q *queue) seenUpTo(upTo heartbeat.Revision) { q.seen = max(q.seen, upTo) }

// next says what to do now.
func (q *queue) next(now plugins.Instant) action {
	if q.cursor.Gone && !q.cursorDue {
		return action{until: never}
	}
	q.endDelays(now)
	if !q.cursorDue {
		q.enforceLimit()
	}
	if !q.cursorDue && q.head == nil && !q.nextGroup(now) {
		return action{until: q.idleUntil()}
	}
	if !q.cursorDue && q.head != nil {
		switch {
		case q.expired(now):
			q.finishHead(expired)
		case q.absent:
			return action{until: q.expiresAt(now)}
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

// nextGroup composes the next POST, if it is time. If a replica took over and composed
// another one, the consumer would get the same events under two webhook-ids. So a group is
// stored in the cursor before its first attempt; a single event is always the first one
// after the cursor.
func (q *queue) nextGroup(now plugins.Instant) bool {
	if q.seen < q.cursor.Newest || q.seen < q.cursor.Passed {
		return false // the newest event of an instance may not be here yet
	}
	q.applyNewest()
	if len(q.cursor.Group) > 0 {
		return q.resumeGroup()
	}
	alone := q.resumed && q.mayBeAttempted()
	if len(q.pending) == 0 {
		if q.putOffDue(now) {
			q.advanceCursor()
		}
		return q.cursorDue
	}
	if now < q.readyAt() {
		return false
	}
	from, n := 0, min(len(q.pending), maxGroup)
	if alone || q.pending[0].terminate != nil { // the body of a termination has room for one
		from, n = q.behindPassed(), 1
	}
	if q.unsaid(q.pending[from], n == 1) {
		q.advanceCursor()
		return true
	}
	if q.resumed = q.resumed && q.pending[from+n-1].at <= q.cursor.Passed; !q.resumed {
		q.before = nil
	}
	if q.head = q.pending[from : from+n : from+n]; from == 0 {
		q.pending = q.pending[n:]
	} else { // what it leaves out is put off no longer, and stays
		q.pending = slices.Concat(q.pending[:from], q.pending[from+n:])
	}
	q.headStage, q.headAt = q.transition(grouped, batch{stageQueued, q.head}), now
	if n > 1 || q.head[0].at <= q.cursor.Passed {
		q.setCursor(q.groupCursor())
	}
	return true
}

// readyAt is when the next POST may be composed: at once if none was sent for a groupInterval, so
// that a single event does not wait.
func (q *queue) readyAt() plugins.Instant {
	at := q.retryAt
	if len(q.pending) < maxGroup {
		at = max(at, q.postedAt+groupInterval)
	}
	return at
}

// idleUntil is until when there is nothing to do.
func (q *queue) idleUntil() plugins.Instant {
	switch {
	case len(q.cursor.Group) > 0 || q.seen < q.cursor.Needs():
		return never
	case len(q.pending) == 0:
		return q.putOffUntil()
	}
	return min(q.readyAt(), q.putOffUntil())
}

// expired says whether the head is given up: only as a whole, so that no event is given up
// before its time.
func (q *queue) expired(now plugins.Instant) bool {
	return !slices.ContainsFunc(q.head, func(m *message) bool { return !plugins.GivenUp(m.age, now, q.giveUp+m.putOff, q.mayGiveUp()) })
}

// mayGiveUp says whether the head may be given up: after an attempt, and where none can be made
// because the consumer is absent.
func (q *queue) mayGiveUp() bool { return q.headStage == stageRetrying || q.absent }

// expiresAt is when the head is given up; never, as long as it was not attempted.
func (q *queue) expiresAt(now plugins.Instant) plugins.Instant {
	if !q.mayGiveUp() {
		return never
	}
	left := time.Duration(0)
	for _, m := range q.head {
		left = max(left, m.age.Remaining(now, q.giveUp+m.putOff))
	}
	return now + left
}

// finishHead ends the next POST for good, by a cause.
func (q *queue) finishHead(by cause) {
	q.transition(by, batch{q.headStage, q.head})
	q.head = nil
	q.advanceCursor()
}

// posted says how the attempt to send the head ended.
func (q *queue) posted(r result, now plugins.Instant) {
	q.slow = r.hung() || now-q.postedAt > preemptAfter
	switch {
	case r.delivered():
		q.failures, q.retryAt = 0, 0
		q.finishHead(acknowledged)
	case r.gone():
		q.transition(refusedAsGone, batch{q.headStage, q.head}, batch{stageQueued, q.pending}, batch{stageQueued, q.putOff})
		q.head, q.pending, q.putOff = nil, nil, nil
		q.setCursor(plugins.Cursor{After: max(q.seen, q.cursor.After), Gone: true})
	default:
		q.failures++
		q.headStage = q.transition(attemptFailed, batch{q.headStage, q.head})
		q.retryAt = now + max(backoff(q.failures, q.random()), min(r.retryAfter, maxRetryAfter))
		q.supersedeOlder()
	}
}

// connected says whether the consumer, which connects by itself, is there now. It decides when
// an attempt is repeated: by connecting again.
func (q *queue) connected(is bool) {
	if q.absent = !is; is {
		q.retryAt = 0
	}
}

// class says by which permits the next attempt is made.
func (q *queue) class() consumerClass {
	if q.slow {
		return slow
	}
	return prompt
}
