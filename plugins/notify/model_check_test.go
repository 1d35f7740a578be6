package notify

import (
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// judgeMove says whether all that a cursor leaves behind was told, or may be left untold.
func (m *model) checkMove(c *consumer, to plugins.Cursor) {
	if to.After < c.cursor.After {
		m.fail("the cursor of %s goes back", c.sub.ID)
	}
	for _, at := range sortedKeys(m.all) {
		if _, lost := c.lost[at]; at > c.cursor.After && at <= to.After && m.asks(c, m.all[at]) && !c.got[at] && !lost && !m.superseded(c, at) {
			m.fail("%s is never told of event %d", c.sub.ID, at)
		}
	}
}

// asks judges by the filter alone.
func (m *model) asks(c *consumer, e *plugins.Event) bool {
	i, err := e.Service()
	return err == nil && e.At > c.sub.At && c.sub.Asked.FilteringCriteria.Match(&i)
}

// superseded: a later change of state of the same instance is told, or was; where the
// store keeps too much, any later change.
func (m *model) superseded(c *consumer, at heartbeat.Revision) bool {
	e := m.all[at]
	for _, later := range m.all {
		if later.At > at && later.ID == e.ID && m.asks(c, later) &&
			(m.retention != nil || e.Change == heartbeat.StateChanged && later.Change == heartbeat.StateChanged) {
			return true
		}
	}
	return false
}

// waits says, by the words of Cursor, whether an event that was asked for must be kept.
func (m *model) waits(c *consumer, at heartbeat.Revision) bool {
	if c.cursor.Gone || at <= c.cursor.After {
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

// lose notes what a queue says is never told, and judges whether it may say so.
func (m *model) lose(c *consumer, why stage, lost []*message) {
	for _, e := range lost {
		m.trace("%s loses %d (%d)", c.sub.ID, e.at, why)
		c.lost[e.at] = why
		switch why {
		case stageSuperseded:
			if !m.superseded(c, e.at) {
				m.fail("nothing newer than event %d is told to %s", e.at, c.sub.ID)
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

// behind is how much the outbox has kept for a consumer behind its cursor, at most.
func (m *model) behind(c *consumer) (n int64) {
	for at, e := range m.all {
		if at > c.cursor.After && m.asks(c, e) {
			n += int64(e.Size)
		}
	}
	return n
}
