package notify

import (
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// loss is why an event is never delivered.
type loss uint8

const (
	givenUp      loss = iota // its time was over
	consumerGone             // the subscriber answered 410
	superseded               // a newer change of the same instance is told
	overLimit                // more was kept for the subscriber than may be
)

func (q *queue) lose(why loss, events []*message) {
	if q.lost != nil && len(events) > 0 {
		q.lost(why, events)
	}
}

// collapse leaves of the changes of state of each instance the newest. It is done
// behind what was attempted only.
func (q *queue) supersedeOlder() {
	q.keepNewest(func(m *message) bool { return m.change == mp1.StateChanged })
}

// keepNewest leaves of those pending for which of holds the newest of each instance. The
// store keeps the others until the cursor has passed them, or says so.
func (q *queue) keepNewest(of func(*message) bool) {
	newer := map[string]bool{}
	var kept, out []*message
	for _, m := range slices.Backward(q.pending) {
		if of(m) {
			if newer[m.info.SerInstanceID] {
				out = append(out, m)
				continue
			}
			newer[m.info.SerInstanceID] = true
		}
		kept = append(kept, m)
	}
	slices.Reverse(kept)
	q.pending = kept
	q.superseded = append(q.superseded, out...)
	q.lose(superseded, out)
}

// supersede does the same as collapse for one more event.
func (q *queue) supersedeBy(by *message) {
	if by.change != mp1.StateChanged {
		return
	}
	var out []*message
	q.pending = slices.DeleteFunc(q.pending, func(m *message) bool {
		is := m.change == mp1.StateChanged && m.info.SerInstanceID == by.info.SerInstanceID
		if is {
			out = append(out, m)
		}
		return is
	})
	q.superseded = append(q.superseded, out...)
	q.lose(superseded, out)
}

// skipped says whether something was superseded that the cursor does not leave out yet
// and that is older than all that is pending. Whoever took over would begin with it, and
// not with what was attempted first.
func (q *queue) supersededFirst() bool {
	return slices.ContainsFunc(q.superseded, func(m *message) bool { return m.at < q.pending[0].at })
}

// leaveOut applies what the cursor says about the events up to Newest, to a queue that
// starts there: what was left out stays left out. plugins.CursorSet has the same rule.
func (q *queue) applyNewest() {
	upTo := q.cursor.Newest
	if !q.resumed || upTo <= q.cursor.After {
		return
	}
	newer := map[string]bool{}
	var kept, out []*message
	for _, m := range slices.Backward(q.pending) {
		id := m.info.SerInstanceID
		if m.at <= upTo && newer[id] && !slices.Contains(q.cursor.Group, m.at) {
			out = append(out, m)
			continue
		}
		newer[id] = newer[id] || m.at <= upTo
		kept = append(kept, m)
	}
	slices.Reverse(kept)
	q.pending = kept
	q.release(out)
}

// bound keeps the store from keeping more for this subscription than it may, or was asked
// to: of each instance only the newest event, whatever it tells, and if that is not
// enough, not the oldest of these; of what it may itself the newest stays in any case. The cursor says so before anything else happens, and
// erasers follow it. What was attempted last goes on being attempted, unless it is
// itself among the oldest.
func (q *queue) enforceLimit() {
	most := q.limit()
	if q.bytes <= most {
		q.shedTo = 0
		return
	}
	if q.cursor.Group != nil && q.head == nil || q.seen < q.cursor.Newest {
		return // what there is, is not known yet
	}
	least := 1
	if q.shedTo != 0 {
		least = 0
	}
	q.shedTo = 0
	q.keepNewest(func(*message) bool { return true })
	done := len(q.superseded) > 0
	q.release(q.superseded)
	q.superseded = nil
	out := q.shed(most-most/4, least) // less than most, so that it is not done for every event
	if !done && len(out) == 0 {
		return
	}
	q.lose(overLimit, out)
	to := plugins.Cursor{After: q.cursor.After, Newest: q.seen}
	switch {
	case q.head != nil:
		for _, m := range q.head {
			to.Group = append(to.Group, m.at)
		}
	case len(q.pending) > 0:
		to.After = max(to.After, q.pending[0].at-1)
	default:
		to.After = max(to.After, q.seen)
	}
	q.setCursor(to)
}

// shed takes out the oldest, until no more than so many bytes are held, or no more than
// so many events are left.
func (q *queue) shed(most int64, least int) (out []*message) {
	if q.bytes <= most || len(q.pending) < least {
		return nil
	}
	out, q.head = q.head, nil
	q.release(out)
	for q.bytes > most && len(q.pending) > least {
		q.release(q.pending[:1])
		out, q.pending = append(out, q.pending[0]), q.pending[1:]
	}
	return out
}

// oldest is the age of the oldest event that is not delivered; 0: there is none.
func (q *queue) oldestAge(now plugins.Instant) time.Duration {
	switch {
	case len(q.head) > 0:
		return q.head[0].age.At(now)
	case len(q.pending) > 0:
		return q.pending[0].age.At(now)
	}
	return 0
}
