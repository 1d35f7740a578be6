package notify

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// The model runs the production queue, backlog, index, ages and waiters of some replicas
// over one linearizable store, and takes one step after the other by chance. Nothing in
// it waits for anything: a watch lags, an eraser deletes long after it has read, a sender
// is replaced at any moment, clocks are set.
type model struct {
	r        *rand.Rand
	at       heartbeat.Revision
	now      heartbeat.Instant
	events   map[heartbeat.Revision]*plugins.Event // the outbox
	all      map[heartbeat.Revision]*plugins.Event // also what was erased
	made     map[heartbeat.Revision]heartbeat.Instant
	subs     map[string]*consumer
	replicas []*modelReplica
	path     []string
	broken   string
	settling bool // consumers answer
}

// consumer is a subscription as the store has it, and what its consumer saw.
type consumer struct {
	sub    *plugins.Subscription
	cursor plugins.Cursor
	by     *modelReplica // who sends; nil: nobody
	q      *queue
	down   bool
	ids    map[heartbeat.Revision]string // under which an event was attempted
	tried  map[heartbeat.Revision]heartbeat.Instant
	got    map[heartbeat.Revision]bool
	last   map[string]heartbeat.Revision // first deliveries, by instance
	moves  int
	posts  int
}

// modelReplica is one mepserver. Of release N − 1 it moves cursors past what does not
// match, and erases what all cursors have passed.
type modelReplica struct {
	name    string
	old     bool
	wall    time.Duration // how far its wall clock is off
	backlog backlog
	seen    heartbeat.Revision
	current heartbeat.Instant
	ages    plugins.Ages
	erasing []heartbeat.Revision // chosen, and not deleted yet
}

func newModel(seed uint64, replicas, old int) *model {
	m := &model{r: rand.New(rand.NewPCG(seed, 10)), at: 10, now: heartbeat.Instant(time.Hour), events: map[heartbeat.Revision]*plugins.Event{},
		all: map[heartbeat.Revision]*plugins.Event{}, made: map[heartbeat.Revision]heartbeat.Instant{}, subs: map[string]*consumer{}}
	for i := range replicas {
		rep := &modelReplica{name: string(rune('A' + i)), old: i < old}
		m.replicas = append(m.replicas, rep)
		m.list(rep)
	}
	return m
}

func (m *model) note(format string, args ...any) {
	m.path = append(m.path, fmt.Sprintf(format, args...))
}

func (m *model) fail(format string, args ...any) {
	if m.broken == "" {
		m.broken = fmt.Sprintf(format, args...)
		m.note("BROKEN: %s", m.broken)
	}
}

// epoch is the true wall time at instant 0.
const epoch = int64(20 * 365 * 24 * time.Hour)

func (m *model) wallOf(r *modelReplica) int64 { return epoch + int64(m.now) + int64(r.wall) }

func key(at heartbeat.Revision) string { return fmt.Sprint("e", at) }

func (m *model) one() *modelReplica { return m.replicas[m.r.IntN(len(m.replicas))] }

// anySub picks one of the subscriptions; nil: there are none.
func (m *model) anySub() *consumer {
	ids := sortedKeys(m.subs)
	if len(ids) == 0 {
		return nil
	}
	return m.subs[ids[m.r.IntN(len(ids))]]
}

func sortedKeys[K ~string | ~int64, V any](of map[K]V) []K {
	out := make([]K, 0, len(of))
	for k := range of {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// The steps.

func (m *model) commit() {
	m.at++
	e := &plugins.Event{At: m.at, ID: heartbeat.ID(string("abc"[m.r.IntN(3)])), Owner: "producer", Change: heartbeat.StateChanged, Made: m.wallOf(m.one()),
		State: []heartbeat.State{heartbeat.Active, heartbeat.Suspended, heartbeat.Inactive}[m.r.IntN(3)]}
	if m.r.IntN(4) == 0 {
		e.Change = heartbeat.AttributesChanged
	}
	e.Attributes = fmt.Sprintf(`{"serName":"n%s"}`, e.ID)
	e.Size = 100 + m.r.IntN(400)
	m.events[e.At], m.all[e.At], m.made[e.At] = e, e, m.now
	m.note("event %d of %s: %s", e.At, e.ID, e.State)
}

func (m *model) subscribe() {
	if len(m.subs) >= 5 {
		return
	}
	m.at++
	s := &plugins.Subscription{ID: fmt.Sprint("s", m.at), Owner: "app", At: m.at}
	c := &mp1.FilteringCriteria{}
	switch m.r.IntN(4) {
	case 0:
		c.SerNames = []string{"na", "nb"}[:1+m.r.IntN(2)]
	case 1:
		c.SerInstanceIDs = []string{"c"}
	case 2:
		c = nil
	}
	if c != nil && m.r.IntN(2) == 0 {
		c.States = []mp1.State{mp1.Suspended}
	}
	s.Asked.FilteringCriteria = c
	m.subs[s.ID] = &consumer{sub: s, cursor: plugins.Cursor{After: s.At, At: s.At}, ids: map[heartbeat.Revision]string{}, tried: map[heartbeat.Revision]heartbeat.Instant{},
		got: map[heartbeat.Revision]bool{}, last: map[string]heartbeat.Revision{}}
	m.note("subscription %s: %+v", s.ID, c)
}

func (m *model) unsubscribe() {
	if c := m.anySub(); c != nil {
		m.at++
		delete(m.subs, c.sub.ID)
		m.note("%s is deleted", c.sub.ID)
	}
}

// list has a replica load everything anew; it may be a start.
func (m *model) list(r *modelReplica) {
	r.backlog, r.seen = newBacklog(), m.at
	for _, at := range sortedKeys(m.events) {
		e := m.events[at]
		m.take(r, e, plugins.AgeOf(m.now, m.wallOf(r), e.Made, r.current))
	}
	r.current = m.now
	m.note("%s lists at %d", r.name, m.at)
}

func (m *model) take(r *modelReplica, e *plugins.Event, age plugins.Age) {
	msg, err := newMessage(e, age)
	if err != nil {
		m.fail("%v", err)
		return
	}
	r.backlog.add(key(e.At), msg)
	for _, id := range sortedKeys(m.subs) {
		if c := m.subs[id]; c.by == r && c.sub.Asked.FilteringCriteria.Match(&msg.info) {
			c.q.add(msg)
		}
	}
}

// watch shows a replica some more of what was written.
func (m *model) watch(r *modelReplica, upTo heartbeat.Revision) {
	r.current = m.now
	for at := r.seen + 1; at <= upTo; at++ {
		if e := m.all[at]; e != nil {
			m.take(r, e, plugins.Age{Known: m.now})
		}
	}
	r.seen = max(r.seen, upTo)
	for k, msg := range r.backlog.byKey {
		if m.events[msg.at] == nil && msg.at <= r.seen {
			r.backlog.erase(k)
		}
	}
}

func (m *model) crash(r *modelReplica) {
	for _, c := range m.subs {
		if c.by == r {
			c.by, c.q = nil, nil
		}
	}
	r.current, r.ages, r.erasing = 0, plugins.Ages{}, nil
	m.note("%s crashes", r.name)
	m.list(r)
}

// takeOver has a replica send to a subscription, from what the store has; whoever did so
// before has stopped.
func (m *model) takeOver(c *consumer, r *modelReplica) {
	if r.seen < c.sub.At {
		return // it does not know of it
	}
	c.by = r
	c.q = newQueue(c.cursor, giveUpAfter, m.r.Float64, nil)
	for _, msg := range r.backlog.behind(c.cursor.After, c.sub.Asked.FilteringCriteria) {
		c.q.add(msg)
	}
	c.q.shown(r.seen)
	c.q.postedAt = m.now - window
	m.note("%s sends to %s from %+v", r.name, c.sub.ID, c.cursor)
}

// send carries out what the queue of a subscription wants next.
func (m *model) send(c *consumer) (acted bool) {
	if c.by == nil {
		m.takeOver(c, m.one())
		return false
	}
	a := c.q.next(m.now)
	switch a.do {
	case doPost:
		m.post(c, a.events)
	case doMove:
		m.move(c, a.cursor)
	default:
		return m.oldAdvance(c)
	}
	return true
}

// oldAdvance is what release N − 1 does with events that do not match.
func (m *model) oldAdvance(c *consumer) bool {
	q := c.q
	if !c.by.old || q.moving || q.head != nil || len(q.pending) > 0 || q.cursor.Group != nil || c.by.backlog.newest <= q.cursor.After || q.cursor.Gone {
		return false
	}
	q.shown(c.by.backlog.newest)
	q.pass()
	return true
}

func (m *model) post(c *consumer, events []*message) {
	id := compose(c.sub, events).id
	c.posts++
	c.q.postedAt = m.now
	reached := !c.down
	answered := reached && (m.settling || m.r.IntN(8) > 0)
	m.note("POST %s to %s by %s: reached %v, answered %v", id, c.sub.ID, c.by.name, reached, answered)
	for _, e := range events {
		if was := c.ids[e.at]; was != "" && was != id {
			m.fail("event %d is attempted as %s, and was as %s", e.at, id, was)
		}
		c.ids[e.at] = id
		if _, before := c.tried[e.at]; !before {
			c.tried[e.at] = m.now
		}
		if !c.sub.Asked.FilteringCriteria.Match(&e.info) || e.at <= c.sub.At {
			m.fail("event %d is not for %s", e.at, c.sub.ID)
		}
		if reached && !c.got[e.at] {
			if c.last[e.info.SerInstanceID] > e.at {
				m.fail("event %d of %s comes first after %d", e.at, e.info.SerInstanceID, c.last[e.info.SerInstanceID])
			}
			c.got[e.at], c.last[e.info.SerInstanceID] = true, e.at
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
		m.note("the cursor of %s is not written", c.sub.ID)
		c.q.stuck(m.now)
		return
	}
	if to.At != c.cursor.At {
		m.fail("%s moves a cursor that it does not know", c.sub.ID)
	}
	m.judgeMove(c, to)
	m.at++
	to.At = m.at
	c.cursor = to
	c.moves++
	m.note("cursor of %s: %+v", c.sub.ID, to)
	if outcome == 1 { // the answer is lost: whoever reads it again finds it moved, and stops
		c.by, c.q = nil, nil
		return
	}
	c.q.moved(m.at)
}

// judgeMove says whether all that a cursor leaves behind was told, or may be left untold.
func (m *model) judgeMove(c *consumer, to plugins.Cursor) {
	if to.After < c.cursor.After {
		m.fail("the cursor of %s goes back", c.sub.ID)
	}
	for _, at := range sortedKeys(m.all) {
		if at <= c.cursor.After || at > to.After || !m.asks(c, m.all[at]) || c.got[at] || m.superseded(c, at) {
			continue
		}
		tried, was := c.tried[at]
		if !was || m.now-tried < 0 || m.now-m.made[at] < time.Hour {
			m.fail("%s is never told of event %d", c.sub.ID, at)
		}
	}
}

// asks judges by the filter alone.
func (m *model) asks(c *consumer, e *plugins.Event) bool {
	i, err := e.Service()
	return err == nil && e.At > c.sub.At && c.sub.Asked.FilteringCriteria.Match(&i)
}

// superseded: a later change of state of the same instance is told, or was.
func (m *model) superseded(c *consumer, at heartbeat.Revision) bool {
	e := m.all[at]
	for _, later := range m.all {
		if later.At > at && later.ID == e.ID && e.Change == heartbeat.StateChanged && later.Change == heartbeat.StateChanged && m.asks(c, later) {
			return true
		}
	}
	return false
}

// choose has an eraser read the store, at one revision, and choose.
func (m *model) choose(r *modelReplica) {
	w, made := &plugins.Waiters{}, map[string]int64{}
	least := m.at
	for _, c := range m.subs {
		w.Add(c.sub, c.cursor)
		if !c.cursor.Gone {
			least = min(least, c.cursor.After)
		}
	}
	for at, e := range m.events {
		made[key(at)] = e.Made
	}
	ages := r.ages.Listed(m.now, m.wallOf(r), made)
	r.erasing = nil
	for _, at := range sortedKeys(m.events) {
		waiting := w.For(m.events[at])
		if r.old {
			if waiting = plugins.SomebodyWaits; at <= least {
				waiting = plugins.NobodyWaits
			}
		}
		if plugins.Erasable(waiting, ages[key(at)], m.now, giveUpAfter) {
			r.erasing = append(r.erasing, at)
		}
	}
}

// erase deletes what was chosen then, whatever was written since.
func (m *model) erase(r *modelReplica) {
	for _, at := range r.erasing {
		e := m.events[at]
		if e == nil {
			continue // another one was faster
		}
		for _, c := range m.subs {
			if !c.cursor.Gone && at > c.cursor.After && m.asks(c, e) {
				m.fail("event %d is erased, and %s waits for it", at, c.sub.ID)
			}
		}
		if m.now-m.made[at] < plugins.OutboxAge {
			m.fail("event %d is erased after %s", at, m.now-m.made[at])
		}
		delete(m.events, at)
		m.at++
		m.note("%s erases %d", r.name, at)
	}
	r.erasing = nil
}

func (m *model) String() string { return strings.Join(m.path, "\n") }
