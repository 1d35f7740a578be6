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

// model runs the production queue, backlog, index, ages and cursor set of some replicas
// over one linearizable store, and takes one random step after the other. Nothing in it
// waits for anything: a watch lags, a replica erases long after it has read, a sender is
// replaced at any moment, clocks are set.
type model struct {
	r         *rand.Rand
	at        heartbeat.Revision
	now       plugins.Instant
	events    map[heartbeat.Revision]*plugins.Event // the outbox
	all       map[heartbeat.Revision]*plugins.Event // also what was erased
	made      map[heartbeat.Revision]plugins.Instant
	subs      map[string]*consumer
	replicas  []*modelReplica
	path      []string
	broken    string
	settling  bool       // consumers answer
	retention *retention // nil: what is kept is not bounded

	instances int // there are
	putOff    int // cursors written that say what is put off
	flap      int // changes of an instance that are told at once within flapPeriod; 0: all
}

// flapPeriod is that of models in which instances flap.
const flapPeriod = 10 * time.Minute

// consumer is a subscription as the store has it, and what its consumer saw.
type consumer struct {
	sub    *plugins.Subscription
	cursor plugins.Cursor
	kept   plugins.Cursor // what the previous release keeps of a cursor without knowing it: Passed, PutOff and Group
	by     *modelReplica  // who sends; nil: nobody
	q      *queue
	down   bool
	ids    map[heartbeat.Revision]string // under which an event was attempted
	tried  map[heartbeat.Revision]plugins.Instant
	got    map[heartbeat.Revision]bool
	lost   map[heartbeat.Revision]stage
	last   map[string]heartbeat.Revision // first deliveries, by instance
	moves  int
	posts  int
}

// modelReplica is one mepserver. Of release N − 1 it moves cursors past what does not
// match, and erases what all cursors have passed. It knows nothing of terminations.
type modelReplica struct {
	name    string
	old     bool
	wall    time.Duration // how far its wall clock is off
	backlog backlog
	seen    heartbeat.Revision
	current plugins.Instant
	ages    plugins.Ages
	flaps   *plugins.Flaps
	erasing []heartbeat.Revision // chosen, and not deleted yet
}

func newModel(seed uint64, replicas, old int) *model {
	m := &model{r: rand.New(rand.NewPCG(seed, 10)), at: 10, now: time.Hour, events: map[heartbeat.Revision]*plugins.Event{},
		all: map[heartbeat.Revision]*plugins.Event{}, made: map[heartbeat.Revision]plugins.Instant{}, subs: map[string]*consumer{}, instances: 3}
	for i := range replicas {
		rep := &modelReplica{name: string(rune('A' + i)), old: i < old, flaps: plugins.NewFlaps(0, 0)}
		m.replicas = append(m.replicas, rep)
		m.list(rep)
	}
	return m
}

func (m *model) trace(format string, args ...any) {
	m.path = append(m.path, fmt.Sprintf(format, args...))
}

func (m *model) fail(format string, args ...any) {
	if m.broken == "" {
		m.broken = fmt.Sprintf(format, args...)
		m.trace("BROKEN: %s", m.broken)
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
	e := &plugins.Event{At: m.at, ID: m.instance(), Owner: "producer", Change: heartbeat.StateChanged, Made: m.wallOf(m.one()),
		State: []heartbeat.State{heartbeat.Active, heartbeat.Suspended, heartbeat.Inactive}[m.r.IntN(3)]}
	switch n := m.r.IntN(40); {
	case n < 10:
		e.Change = heartbeat.AttributesChanged
	case m.flap > 0 && n < 12:
		e.Change = heartbeat.Removed
	case m.flap > 0 && n < 14:
		e.From = heartbeat.Drained
	}
	e.Attributes = fmt.Sprintf(`{"serName":"n%s"}`, e.ID)
	m.write(e)
	m.trace("event %d of %s: %s", e.At, e.ID, e.State)
}

func (m *model) terminate() {
	m.at++
	e := &plugins.Event{At: m.at, Owner: []string{"app", "another"}[m.r.IntN(2)], Made: m.wallOf(m.one())}
	e.Termination = &plugins.Termination{Action: mp1.Terminating, Timeout: 5, Begun: e.Made}
	m.write(e)
	m.trace("event %d: %s is being terminated", e.At, e.Owner)
}

func (m *model) write(e *plugins.Event) {
	e.Size = 100 + m.r.IntN(400)
	m.events[e.At], m.all[e.At], m.made[e.At] = e, e, m.now
}

func (m *model) instance() heartbeat.ID {
	n := m.r.IntN(m.instances)
	if n < 3 {
		return heartbeat.ID("abc"[n : n+1])
	}
	return heartbeat.ID(fmt.Sprint(n))
}

// last is the newest event of all.
func (m *model) last() (at heartbeat.Revision) {
	for _, e := range m.all {
		at = max(at, e.At)
	}
	return at
}

func (m *model) subscribe() {
	if len(m.subs) >= 5 {
		return
	}
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
	if m.r.IntN(4) == 0 {
		m.subscribeTo(termination("app"))
		return
	}
	m.subscribeTo(mp1.Subscription{FilteringCriteria: c})
}

func (m *model) subscribeTo(c mp1.Subscription) *consumer {
	m.at++
	s := &plugins.Subscription{ID: fmt.Sprint("s", m.at), Owner: "app", At: m.at, Asked: c}
	m.subs[s.ID] = &consumer{sub: s, cursor: plugins.Cursor{After: s.At, At: s.At}, ids: map[heartbeat.Revision]string{}, tried: map[heartbeat.Revision]plugins.Instant{},
		got: map[heartbeat.Revision]bool{}, lost: map[heartbeat.Revision]stage{}, last: map[string]heartbeat.Revision{}}
	m.trace("subscription %s: %+v", s.ID, c)
	return m.subs[s.ID]
}

func (m *model) unsubscribe() {
	if c := m.anySub(); c != nil {
		m.at++
		m.stop(c)
		delete(m.subs, c.sub.ID)
		m.trace("%s is deleted", c.sub.ID)
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
	m.trace("%s lists at %d", r.name, m.at)
}

func (m *model) take(r *modelReplica, e *plugins.Event, age plugins.Age) {
	if r.old && e.Termination != nil {
		return
	}
	msg, err := newMessage(e, age)
	if err != nil {
		m.fail("%v", err)
		return
	}
	if !r.old {
		at := m.now - age.At(m.now)
		if msg.until = r.flaps.See(e, at); msg.until != 0 {
			msg.putOff = msg.until - at
		}
	}
	r.backlog.add(key(e.At), msg)
	for _, id := range sortedKeys(m.subs) {
		if c := m.subs[id]; c.by == r && msg.subject().AskedBy(&c.sub.Asked) {
			c.q.add(msg)
		}
	}
}

// watch gives a replica some more of what was written.
func (m *model) watch(r *modelReplica, upTo heartbeat.Revision) {
	r.current = m.now
	for at := r.seen + 1; at <= upTo; at++ {
		if e := m.all[at]; e != nil {
			m.take(r, e, plugins.Age{Since: m.now})
		}
	}
	r.seen = max(r.seen, upTo)
	for k, msg := range r.backlog.byKey {
		if m.events[msg.at] == nil && msg.at <= r.seen {
			r.backlog.erase(k)
		}
	}
	for _, c := range m.subs {
		if c.by == r {
			c.q.seenUpTo(r.seen)
		}
	}
}

func (m *model) crash(r *modelReplica) {
	for _, c := range m.subs {
		if c.by == r {
			m.stop(c)
		}
	}
	r.current, r.ages, r.erasing, r.flaps = 0, plugins.Ages{}, nil, plugins.NewFlaps(m.flap, flapPeriod)
	m.trace("%s crashes", r.name)
	m.list(r)
}

// stop ends the queue that sends to a subscription.
func (m *model) stop(c *consumer) {
	if c.q != nil {
		c.q.close()
	}
	c.by, c.q = nil, nil
}

// takeOver has a replica send to a subscription, from what the store has; whoever did so
// before has stopped.
func (m *model) takeOver(c *consumer, r *modelReplica) {
	if r.seen < c.sub.At || r.old && c.sub.Asked.OfTermination() {
		return // it does not know of it
	}
	m.stop(c)
	c.by = r
	from := c.cursor
	if r.old {
		from.Newest = 0 // it knows nothing of that
		if c.kept = (plugins.Cursor{}); from.Passed > from.After {
			c.kept, from.Passed, from.PutOff, from.Group = from, 0, nil, nil
		}
	}
	bound := m.retention
	if r.old {
		bound = nil
	}
	c.q = newQueue(from, giveUpAfter, bound, m.r.Float64, func(why stage, lost []*message) { m.lose(c, why, lost) })
	for _, msg := range r.backlog.behind(c.cursor.After, &c.sub.Asked) {
		if msg.until == 0 && slices.Contains(from.PutOff, msg.at) {
			r.flaps.Resume(heartbeat.ID(msg.instance()), msg.change == mp1.AttributesChanged, m.now)
		}
		c.q.add(msg)
	}
	c.q.seenUpTo(r.seen)
	c.q.others = m.at
	c.q.postedAt = m.now - groupInterval
	m.trace("%s sends to %s from %+v", r.name, c.sub.ID, c.cursor)
}

func (m *model) String() string { return strings.Join(m.path, "\n") }
