package notify

import (
	"math"
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	window    = 200 * time.Millisecond // from one POST to the next: what comes meanwhile goes together
	maxGroup  = 100                    // events of one POST
	moveAgain = time.Second            // after a cursor could not be written
	never     = heartbeat.Instant(math.MaxInt64)
)

// queue decides for one subscription what is sent next and when. It is told the time
// and the events that match, and does nothing itself: next says what to do, and moved,
// stuck and posted tell how that went. What does not match costs it nothing: the cursor
// stays where the last matching event left it.
type queue struct {
	giveUp time.Duration                // from an event's creation
	random func() float64               // from [0, 1)
	lost   func(why loss, events int64) // told of events that are never delivered; may be nil

	cursor plugins.Cursor // as the store has it
	moving bool           // the cursor must become target before anything else happens
	target plugins.Cursor
	moveAt heartbeat.Instant

	seen heartbeat.Revision // what matches up to there was shown

	head    []*message // what is attempted until it is delivered, unchanged
	tried   bool       // this queue has attempted the head; who had it before does not count
	pending []*message // behind it, in order

	resumed  bool // nothing was composed yet: the first event may have been attempted alone by somebody else
	hung     bool // the last attempt took too long
	failures int  // in a row, of whatever head: the retry clock is the subscription's
	retryAt  heartbeat.Instant
	postedAt heartbeat.Instant // the start of the last POST
	posts    int               // attempts made
}

// loss is why an event is never delivered.
type loss uint8

const (
	givenUp   loss = iota // its time was over
	dropped               // the subscriber answered 410
	collapsed             // a newer change of state of the same instance is told
)

// newQueue starts at a cursor as read from the store.
func newQueue(c plugins.Cursor, giveUp time.Duration, random func() float64, lost func(loss, int64)) *queue {
	return &queue{giveUp: giveUp, random: random, lost: lost, cursor: c, seen: c.After, resumed: true, postedAt: -window}
}

type deed uint8

const (
	doWait deed = iota // until the time, or until an event is added
	doMove             // the cursor, in the store
	doPost
)

type action struct {
	do     deed
	until  heartbeat.Instant
	cursor plugins.Cursor
	events []*message
}

// add takes in an event that matches. What was shown before is ignored.
func (q *queue) add(m *message) {
	if m.at <= q.seen {
		return
	}
	q.seen = m.at
	if q.cursor.Gone || q.moving && q.target.Gone {
		return
	}
	if q.failures > 0 {
		q.supersede(m)
	}
	q.pending = append(q.pending, m)
}

// shown tells that every matching event up to a revision was added.
func (q *queue) shown(upTo heartbeat.Revision) { q.seen = max(q.seen, upTo) }

// next says what to do now.
func (q *queue) next(now heartbeat.Instant) action {
	if q.cursor.Gone && !q.moving {
		return action{until: never}
	}
	if !q.moving && q.head == nil && !q.take(now) {
		return action{until: q.idle()}
	}
	if !q.moving && q.head != nil {
		switch {
		case q.over(now):
			q.lose(givenUp, len(q.head))
			q.pass()
		case now < q.retryAt:
			return action{until: min(q.retryAt, q.end(now))}
		default:
			q.postedAt = now
			q.posts++
			return action{do: doPost, events: q.head}
		}
	}
	if now < q.moveAt {
		return action{until: q.moveAt}
	}
	return action{do: doMove, cursor: q.target}
}

// take makes the next head, if it is time. A group is fixed in the cursor before it
// is attempted; a single event needs no fixing, for it is the first behind the cursor.
func (q *queue) take(now heartbeat.Instant) bool {
	if q.cursor.Group != nil {
		return q.restore()
	}
	n := min(len(q.pending), maxGroup)
	if n == 0 || now < q.ready() {
		return false
	}
	if q.resumed {
		n = 1
	}
	q.resumed, q.tried = false, false
	q.head, q.pending = q.pending[:n:n], q.pending[n:]
	if n > 1 {
		group := make([]heartbeat.Revision, n)
		for i, m := range q.head {
			group[i] = m.at
		}
		q.move(plugins.Cursor{After: q.cursor.After, Group: group})
	}
	return true
}

// restore takes up the group that was fixed before a restart or by another replica.
func (q *queue) restore() bool {
	group := q.cursor.Group
	last := group[len(group)-1]
	if q.seen < last {
		return false // its events are on their way here
	}
	q.resumed, q.tried = false, false
	rest := q.pending[:0:0]
	for _, m := range q.pending {
		switch {
		case slices.Contains(group, m.at):
			q.head = append(q.head, m)
		case m.at > last:
			rest = append(rest, m)
		}
	}
	q.pending = rest
	if q.head == nil { // whoever erased them
		q.pass()
	}
	return true
}

// ready is when a new head may be made: at once if there was quiet, so that a lone
// event does not wait.
func (q *queue) ready() heartbeat.Instant {
	at := q.retryAt
	if len(q.pending) < maxGroup {
		at = max(at, q.postedAt+window)
	}
	return at
}

// idle is until when there is nothing to do.
func (q *queue) idle() heartbeat.Instant {
	if q.cursor.Group != nil || len(q.pending) == 0 {
		return never
	}
	return q.ready()
}

// over says whether the head is given up: all of it, so that no event is given up early.
func (q *queue) over(now heartbeat.Instant) bool {
	return !slices.ContainsFunc(q.head, func(m *message) bool { return !plugins.GivenUp(m.age, now, q.giveUp, q.tried) })
}

// end is when the head is given up; never: it is to be attempted first.
func (q *queue) end(now heartbeat.Instant) heartbeat.Instant {
	if !q.tried {
		return never
	}
	left := time.Duration(0)
	for _, m := range q.head {
		left = max(left, m.age.Left(now, q.giveUp))
	}
	return now + left
}

// pass ends with the head: the cursor goes up to what is pending.
func (q *queue) pass() {
	q.head = nil
	after := q.seen
	if len(q.pending) > 0 {
		after = q.pending[0].at - 1
	}
	q.move(plugins.Cursor{After: max(after, q.cursor.After)})
}

func (q *queue) move(to plugins.Cursor) {
	to.At = q.cursor.At
	q.moving, q.target = true, to
}

// moved tells that the cursor is written.
func (q *queue) moved(at heartbeat.Revision) {
	q.cursor, q.moving, q.moveAt = q.target, false, 0
	q.cursor.At = at
}

// stuck tells that the store did not take the cursor.
func (q *queue) stuck(now heartbeat.Instant) { q.moveAt = now + moveAgain }

// posted tells how the attempt on the head ended.
func (q *queue) posted(r result, now heartbeat.Instant) {
	q.hung = r.hung()
	switch {
	case r.delivered():
		q.failures, q.retryAt = 0, 0
		q.pass()
	case r.gone():
		q.lose(dropped, len(q.head)+len(q.pending))
		q.head, q.pending = nil, nil
		q.move(plugins.Cursor{After: max(q.seen, q.cursor.After), Gone: true})
	default:
		q.failures++
		q.tried = true
		q.retryAt = now + max(backoff(q.failures, q.random()), min(r.retryAfter, maxRetryAfter))
		q.collapse()
	}
}

// lane is among whom the next attempt waits.
func (q *queue) lane() lane {
	if q.hung {
		return slow
	}
	return usual
}

// collapse leaves of the changes of state of each instance the newest. It is done
// behind what was attempted only.
func (q *queue) collapse() {
	newer := map[string]bool{}
	kept := make([]*message, 0, len(q.pending))
	for _, m := range slices.Backward(q.pending) {
		if m.change == mp1.StateChanged {
			if newer[m.info.SerInstanceID] {
				continue
			}
			newer[m.info.SerInstanceID] = true
		}
		kept = append(kept, m)
	}
	q.lose(collapsed, len(q.pending)-len(kept))
	slices.Reverse(kept)
	q.pending = kept
}

// supersede does the same for one more event.
func (q *queue) supersede(by *message) {
	if by.change != mp1.StateChanged {
		return
	}
	n := len(q.pending)
	q.pending = slices.DeleteFunc(q.pending, func(m *message) bool {
		return m.change == mp1.StateChanged && m.info.SerInstanceID == by.info.SerInstanceID
	})
	q.lose(collapsed, n-len(q.pending))
}

func (q *queue) lose(why loss, n int) {
	if q.lost != nil && n > 0 {
		q.lost(why, int64(n))
	}
}

// oldest is the age of the oldest event that is not delivered; 0: there is none.
func (q *queue) oldest(now heartbeat.Instant) time.Duration {
	switch {
	case len(q.head) > 0:
		return q.head[0].age.At(now)
	case len(q.pending) > 0:
		return q.pending[0].age.At(now)
	}
	return 0
}
