package notify

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// store is what the dispatcher needs of the store.
type store interface {
	plugins.Outbox
	Grant(ctx context.Context, seconds int) (heartbeat.LeaseID, error)
	Renew(ctx context.Context, l heartbeat.LeaseID) (int, error)
	Revoke(ctx context.Context, l heartbeat.LeaseID) error
}

// poster attempts deliveries.
type poster interface {
	post(ctx context.Context, d delivery, wall int64) result
}

// dispatcher knows the outbox and all subscriptions, and runs a worker for each that
// this replica sends to.
type dispatcher struct {
	store     store
	poster    poster
	permits   *semaphore
	now       func() (plugins.Instant, int64)
	giveUp    time.Duration
	alone     bool // no other replica reaches the store: no locks are needed
	random    func() float64
	observer  observer
	retention *retention     // nil: there is no limit on what the store retains
	flaps     *plugins.Flaps // guarded by mu
	timeout   time.Duration  // of one notification through a WebSocket, and of a test notification
	origins   []string       // of pages that may open a WebSocket, beside the server's own

	farAway farAway // for those who look
	ready   atomic.Bool
	lease   replicaLease

	mu         sync.Mutex
	events     backlog
	unreadable []string                       // keys of events that could not be read, until that is reported
	seen       heartbeat.Revision             // every write up to it was seen
	observedAt plugins.Instant                // when everything there was had been seen; 0: never
	entries    map[string]*entry              // by the id of the subscription
	index      plugins.FilterIndex[*entry]    // all entries, by their filters
	byOwner    map[owner]map[string]*entry    // all entries, by id
	stopping   map[string]*worker             // workers that are stopping, until they have
	deleted    map[string]bool                // subscriptions deleted here, until the deletion is seen
	lagging    map[*worker]heartbeat.Revision // workers whose cursor needs more than was seen: up to where
	closed     bool
}

// observer is called with what happens, for metrics and the log.
type observer interface {
	// attempt is called after each POST; retry says whether the one before had failed.
	attempt(s *plugins.Subscription, r result, failures int, retry bool)
	lost(s *plugins.Subscription, why stage, events int64)
	// tested is called after each attempt to send a test notification.
	tested(s *plugins.Subscription, r result)
	// unreadable is called with events of the outbox that could not be read.
	unreadable(events int, first string)
	// putOff is called with every change that is put off because its instance flaps.
	putOff()
}

func newDispatcher(s store, p poster, clock func() (plugins.Instant, int64), giveUp time.Duration, alone bool, o observer) *dispatcher {
	return &dispatcher{store: s, poster: p, permits: newSemaphore(0), timeout: 10 * time.Second, now: clock, giveUp: giveUp, alone: alone, random: rand.Float64, observer: o,
		lease: replicaLease{wake: make(chan struct{}, 1)}, flaps: plugins.NewFlaps(0, 0),
		events: newBacklog(), entries: map[string]*entry{}, byOwner: map[owner]map[string]*entry{},
		stopping: map[string]*worker{}, deleted: map[string]bool{}, lagging: map[*worker]heartbeat.Revision{}}
}

// Load implements plugins.OutboxReader.
func (d *dispatcher) Load(all []plugins.OutboxWrite, at heartbeat.Revision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	// A list that is older than what was seen comes from a store that was restored from a
	// backup: what came after it never happened, and the cursors are those of the backup.
	restored := at < d.seen
	if restored {
		for id, en := range d.entries {
			d.stopWorker(id, en)
			en.newest = 0
			en.held, en.lockAt, en.tryAt = false, 0, d.jittered(takeoverJitter)
		}
		d.seen = at
		d.flaps.Reset()
	}
	read := d.listReader(restored)
	d.events = newBacklog()
	listed, locks := map[string]bool{}, map[string]bool{}
	for i := range all { // first, for of the events only those are kept that somebody asks for
		if w := &all[i]; w.Kind == plugins.SubscriptionWritten {
			listed[w.Name] = true
			d.addSubscription(w.Subscription)
		}
	}
	var news []*message
	for i := range all {
		switch w := &all[i]; w.Kind {
		case plugins.EventWritten:
			if m := d.append(w, read); m != nil {
				news = append(news, m)
			}
		case plugins.LockWritten:
			locks[w.Name] = true
			d.lockSeen(w)
		}
	}
	for id, en := range d.entries {
		switch {
		case !listed[id] && (en.sub.At <= at || restored):
			d.removeSubscription(id)
		case !locks[id] && en.held && en.lockAt <= at:
			d.lockSeen(&plugins.OutboxWrite{Name: id, At: at, Gone: true})
		}
	}
	for id := range d.deleted {
		if !listed[id] {
			delete(d.deleted, id)
		}
	}
	d.fanOut(news)
	d.reportUnreadable()
	d.advance(at)
	d.ready.Store(true)
	d.lease.wakeUp()
}

// See implements plugins.OutboxReader.
func (d *dispatcher) See(writes []plugins.OutboxWrite, upTo heartbeat.Revision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.observedAt, _ = d.now()
	now := d.observedAt
	read := func(e *plugins.Event) (*message, error) { return d.newMessage(e, plugins.Age{Since: now}, now) }
	var news []*message
	for i := range writes {
		switch w := &writes[i]; w.Kind {
		case plugins.EventWritten:
			if w.Gone {
				d.events.erase(w.Name)
			} else if m := d.append(w, read); m != nil {
				news = append(news, m)
			}
		case plugins.SubscriptionWritten:
			if w.Gone {
				delete(d.deleted, w.Name)
				d.removeSubscription(w.Name)
			} else {
				d.addSubscription(w.Subscription)
			}
		case plugins.LockWritten:
			d.lockSeen(w)
		}
	}
	d.fanOut(news)
	d.reportUnreadable()
	d.advance(upTo)
}

// advance records how far everything was seen, and wakes the workers that waited for that:
// the events that they need may all have been erased, so that no add wakes them.
func (d *dispatcher) advance(upTo heartbeat.Revision) {
	d.seen = max(d.seen, upTo)
	for w, needs := range d.lagging {
		if d.seen >= needs {
			delete(d.lagging, w)
			w.seenUpTo(d.seen)
		}
	}
}

// append takes an event in; nil: it is there already, it cannot be read, or no subscription asks for it.
// That one is not kept: a subscription that is not known yet is made later, and later events are all that
// it asks for.
func (d *dispatcher) append(w *plugins.OutboxWrite, read func(*plugins.Event) (*message, error)) *message {
	if w.At <= d.events.newest {
		return nil
	}
	if w.Event != nil {
		if m, err := read(w.Event); err == nil {
			if !d.asked(m) {
				d.events.newest = m.at
				return nil
			}
			d.events.add(w.Name, m)
			return m
		}
	}
	if w.At > d.seen { // else it was reported before
		d.unreadable = append(d.unreadable, w.Name)
	}
	return nil
}

// asked says whether any subscription asks for an event; d.mu is held.
func (d *dispatcher) asked(m *message) bool {
	for en := range d.index.Candidates(m.subject()) {
		if en.matches(m) {
			return true
		}
	}
	return false
}

// listReader returns the function that reads the events of a list that is taken in now. An
// event that was seen before keeps its message, with its age and the queues that retain it;
// if nobody asked for it, its instance was judged then, and is not a second time.
// The others were made after observedAt, unless the store was restored.
func (d *dispatcher) listReader(restored bool) func(*plugins.Event) (*message, error) {
	since, seen := d.observedAt, d.seen
	if restored {
		since = 0
	}
	before := make(map[heartbeat.Revision]*message, len(d.events.list))
	for _, m := range d.events.list {
		before[m.at] = m
	}
	now, wall := d.now()
	d.observedAt = now
	return func(e *plugins.Event) (*message, error) {
		if m := before[e.At]; m != nil && m.made == e.Made && m.instance() == string(e.ID) && (m.terminate == nil || m.terminated == e.Owner) {
			return m, nil
		}
		age := plugins.AgeOf(now, wall, e.Made, since)
		if !restored && e.At <= seen {
			return newMessage(e, age)
		}
		return d.newMessage(e, age, now)
	}
}

// reportUnreadable reports the events that could not be read; d.mu is held.
func (d *dispatcher) reportUnreadable() {
	if len(d.unreadable) > 0 {
		d.observer.unreadable(len(d.unreadable), d.unreadable[0])
		d.unreadable = nil
	}
}

// fanOut gives new events to the workers of the subscriptions that they match; d.mu is held.
// A subscription without a worker gets them from the backlog when its worker starts.
func (d *dispatcher) fanOut(news []*message) {
	if len(news) == 1 {
		for en := range d.index.Candidates(news[0].subject()) {
			if en.worker != nil && en.matches(news[0]) {
				en.worker.add(news)
			}
		}
		return
	}
	byEntry := map[*entry][]*message{}
	for _, m := range news {
		for en := range d.index.Candidates(m.subject()) {
			if en.worker != nil && en.matches(m) {
				byEntry[en] = append(byEntry[en], m)
			}
		}
	}
	for en, ms := range byEntry {
		en.worker.add(ms)
	}
}

func (en *entry) matches(m *message) bool { return m.subject().AskedBy(&en.sub.Asked) }

// jittered is a moment up to most ahead, so that replicas do not all try at once; at once if
// there is no other.
func (d *dispatcher) jittered(most time.Duration) plugins.Instant {
	now, _ := d.now()
	if d.alone {
		return now
	}
	return now + time.Duration(d.random()*float64(most))
}
