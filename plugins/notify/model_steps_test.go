package notify

import (
	"slices"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// send carries out what the queue of a subscription wants next.
func (m *model) send(c *consumer) (acted bool) {
	if c.by == nil {
		m.takeOver(c, m.one())
		return false
	}
	a := c.q.next(m.now)
	switch a.kind {
	case sendPost:
		m.post(c, a.events)
	case writeCursor:
		m.move(c, a.cursor)
	default:
		return m.oldAdvance(c)
	}
	return true
}

// oldAdvance is what release N − 1 does with events that do not match.
func (m *model) oldAdvance(c *consumer) bool {
	q := c.q
	if !c.by.old || q.cursorDue || q.head != nil || len(q.pending) > 0 || q.cursor.Group != nil || c.by.backlog.newest <= q.cursor.After || q.cursor.Gone {
		return false
	}
	q.seenUpTo(c.by.backlog.newest)
	q.advanceCursor()
	return true
}

func (m *model) post(c *consumer, events []*message) {
	id := compose(c.sub, events).id
	if len(events) > 1 && c.sub.Asked.OfTermination() {
		m.fail("%d terminations in one POST", len(events))
	}
	c.posts++
	c.q.postedAt = m.now
	reached := !c.down
	answered := reached && (m.settling || m.r.IntN(8) > 0)
	m.trace("POST %s to %s by %s: reached %v, answered %v", id, c.sub.ID, c.by.name, reached, answered)
	for _, e := range events {
		// The previous release may fix a group with what a cursor left out, and an eraser that
		// had read that cursor erase it; and it begins at the first event that is put off.
		if was := c.ids[e.at]; was != "" && was != id && !((m.retention != nil || m.flap > 0) && m.replicas[0].old) {
			m.fail("event %d is attempted as %s, and was as %s", e.at, id, was)
		}
		c.ids[e.at] = id
		if _, before := c.tried[e.at]; !before {
			c.tried[e.at] = m.now
		}
		if !e.subject().AskedBy(&c.sub.Asked) || e.at <= c.sub.At {
			m.fail("event %d is not for %s", e.at, c.sub.ID)
		}
		if reached && !c.got[e.at] {
			if c.last[e.instance()] > e.at && !(m.flap > 0 && m.replicas[0].old) {
				m.fail("event %d of %s comes first after %d", e.at, e.instance(), c.last[e.instance()])
			}
			c.got[e.at], c.last[e.instance()] = true, e.at
		}
	}
	r := result{outcome: timedOut}
	if answered {
		r = result{}
	}
	c.q.posted(r, m.now)
}

// move writes a cursor, or does so without an answer, or does not.
func (m *model) move(c *consumer, to plugins.Cursor) {
	outcome := m.r.IntN(10)
	if outcome == 0 {
		m.trace("the cursor of %s is not written", c.sub.ID)
		c.q.cursorFailed(m.now)
		return
	}
	if to.At != c.cursor.At {
		m.fail("%s moves a cursor that it does not know", c.sub.ID)
	}
	m.checkMove(c, to)
	m.at++
	to.At = m.at
	if c.cursor = to; c.by.old {
		c.cursor = c.withKept()
	}
	c.moves++
	if len(to.PutOff) > 0 {
		m.putOff++
	}
	m.trace("cursor of %s: %+v", c.sub.ID, to)
	if outcome == 1 { // the answer is lost: whoever reads it again finds it moved, and stops
		m.stop(c)
		return
	}
	c.q.cursorWritten(m.at)
}

// withKept is the cursor of a consumer to which one of the previous release sends, as others read it.
func (c *consumer) withKept() plugins.Cursor {
	out, kept := c.cursor, &c.kept
	if kept.Passed <= out.After {
		return out
	}
	passed := func(at heartbeat.Revision) bool { return at <= out.After }
	out.Passed, out.PutOff = kept.Passed, slices.DeleteFunc(slices.Clone(kept.PutOff), passed)
	if out.Group == nil {
		out.Group = slices.DeleteFunc(slices.Clone(kept.Group), passed)
	}
	return out
}

// choose has a replica read the store, at one revision, and choose what to erase.
func (m *model) choose(r *modelReplica) {
	w, made := &plugins.CursorSet{}, map[string]int64{}
	least := m.at
	for _, c := range m.subs {
		w.Add(c.sub, c.cursor)
		if !c.cursor.Gone && !c.sub.Asked.OfTermination() {
			least = min(least, c.cursor.After)
		}
	}
	for at, e := range m.events {
		made[key(at)] = e.Made
	}
	ages := r.ages.Listed(m.now, m.wallOf(r), made)
	r.erasing = nil
	waiting := m.waiting(w)
	for _, at := range sortedKeys(m.events) {
		waiting := waiting[at]
		switch {
		case r.old && m.events[at].Termination != nil:
			continue // it does not look there
		case r.old:
			if waiting = plugins.StillPending; at <= least {
				waiting = plugins.NotPending
			}
		}
		if plugins.Erasable(waiting, ages[key(at)], m.now, giveUpAfter) {
			r.erasing = append(r.erasing, at)
		}
	}
}

// waiting asks which events are pending, instance by instance, as erasing does.
func (m *model) waiting(w *plugins.CursorSet) map[heartbeat.Revision]plugins.Pending {
	of, out := map[string][]*plugins.Event{}, map[heartbeat.Revision]plugins.Pending{}
	for _, at := range sortedKeys(m.events) {
		e := m.events[at]
		subject := string(e.ID)
		if e.Termination != nil {
			subject = "termination of " + e.Owner
		}
		of[subject] = append(of[subject], e)
	}
	for _, events := range of {
		for i, waits := range w.Pending(events) {
			out[events[i].At] = waits
		}
	}
	return out
}

// erase deletes what was chosen then, whatever was written since.
func (m *model) erase(r *modelReplica) {
	for _, at := range r.erasing {
		e := m.events[at]
		if e == nil {
			continue // another one was faster
		}
		for _, c := range m.subs {
			// The previous release forgets what a cursor left out: what was counted as lost may
			// be pending again, in vain. So may what was sent past what is put off.
			_, lost := c.lost[at]
			again := m.replicas[0].old && (lost || m.flap > 0 && (c.got[at] || m.superseded(c, at)))
			if m.asks(c, e) && m.waits(c, at) && !again {
				m.fail("event %d is erased, and %s waits for it", at, c.sub.ID)
			}
		}
		if m.now-m.made[at] < plugins.OutboxAge {
			m.fail("event %d is erased after %s", at, m.now-m.made[at])
		}
		delete(m.events, at)
		m.at++
		m.trace("%s erases %d", r.name, at)
	}
	r.erasing = nil
}
