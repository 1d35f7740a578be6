package notify

import (
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// checkMove says whether every event that a cursor passes was delivered, or may be left out.
func (m *model) checkMove(c *consumer, to plugins.Cursor) {
	if to.After < c.cursor.After {
		m.fail("the cursor of %s goes back", c.sub.ID)
	}
	for _, at := range sortedKeys(m.all) {
		if _, lost := c.lost[at]; at > c.cursor.After && at <= to.After && m.asks(c, m.all[at]) && !c.got[at] && !lost && !m.superseded(c, at) {
			m.fail("%s never gets event %d", c.sub.ID, at)
		}
	}
}

// asks says whether the event matches the subscription, by the filter alone.
func (m *model) asks(c *consumer, e *plugins.Event) bool {
	of, err := e.Subject()
	return err == nil && e.At > c.sub.At && of.AskedBy(&c.sub.Asked)
}

// superseded says whether a later change of state of the same instance is sent, or was;
// where the store retains too much, any later change counts, and of what flaps any of its kind and
// a removal.
func (m *model) superseded(c *consumer, at heartbeat.Revision) bool {
	e := m.all[at]
	for _, later := range m.all {
		if later.At <= at || later.ID != e.ID || !m.asks(c, later) {
			continue
		}
		if m.retention != nil || later.Change == e.Change && (m.flap > 0 || e.Change == heartbeat.StateChanged) || m.flap > 0 && later.Change == heartbeat.Removed {
			return true
		}
	}
	return false
}

// waits says, by the documentation of Cursor, whether an event must be retained.
func (m *model) waits(c *consumer, at heartbeat.Revision) bool {
	if c.cursor.Gone || at <= c.cursor.After {
		return false
	}
	if at <= c.cursor.Passed && !slices.Contains(c.cursor.PutOff, at) && !slices.Contains(c.cursor.Group, at) {
		return false
	}
	if at > c.cursor.Newest || slices.Contains(c.cursor.Group, at) {
		return true
	}
	for _, later := range m.all {
		if later.At > at && later.At <= c.cursor.Newest && later.ID == m.all[at].ID && m.asks(c, later) {
			return false
		}
	}
	return true
}

// lose records which events a queue reports as lost, and checks that they may be.
func (m *model) lose(c *consumer, why stage, lost []*message) {
	for _, e := range lost {
		m.trace("%s loses %d (%d)", c.sub.ID, e.at, why)
		c.lost[e.at] = why
		switch why {
		case stageSuperseded:
			if !m.superseded(c, e.at) {
				m.fail("nothing newer than event %d is sent to %s", e.at, c.sub.ID)
			}
		case stageGivenUp:
			if _, tried := c.tried[e.at]; !tried || m.now-m.made[e.at] < time.Hour {
				m.fail("event %d is given up after %s, attempted: %v", e.at, m.now-m.made[e.at], tried)
			}
		case stageShed:
			if m.retention == nil || m.behind(c) <= m.retention.perSubscription*3/4 {
				m.fail("%s loses event %d, and %d bytes were kept", c.sub.ID, e.at, m.behind(c))
			}
		}
	}
}

// behind is how many bytes the outbox retains for a consumer after its cursor, at most.
func (m *model) behind(c *consumer) (n int64) {
	for at, e := range m.all {
		if at > c.cursor.After && m.asks(c, e) {
			n += int64(e.Size)
		}
	}
	return n
}
