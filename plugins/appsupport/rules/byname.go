package rules

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

const (
	// maxWorkers is how many applications' names are set at a time. Those that failed before,
	// and those that are only said again, leave some workers to what is new: with a dead driver
	// each takes setTimeout.
	maxWorkers = 8
	maxRepeats = 6
	// appTimeout bounds the work for one application; what is left then is done in another turn.
	appTimeout = 20 * time.Second
	// repeatPace is the least pause between two applications that are only said again.
	repeatPace = 10 * time.Millisecond
	// newWish is how long a rule waits that was changed while its application's names were set
	// in vain.
	newWish = 250 * time.Millisecond
)

// byName has a shared driver serve what is wanted, name by name.
type byName struct {
	reconciler
	by    driver.DNS
	locks nameLocks

	mu               sync.Mutex
	known            map[string]*task
	fresh            []*task // to be done at once
	later            tasks
	running, repeats int
	lead             bool
	nextDrift        plugins.Instant
}

func newByName(r reconciler, by driver.DNS) *byName {
	return &byName{reconciler: r, by: by, locks: nameLocks{held: map[plugins.RuleName]chan struct{}{}}, known: map[string]*task{}}
}

// changed is directory.changed.
func (b *byName) changed(_, now plugins.Rules) {
	if len(unsettled(&now, b.driver)) == 0 {
		return
	}
	b.mu.Lock()
	if b.lead {
		b.urgent(now.App)
	}
	b.mu.Unlock()
	b.signal()
}

// reloaded is directory.reloaded. What changed before the list was shown by no write, so that
// everything is looked at again.
func (b *byName) reloaded() {
	b.mu.Lock()
	b.nextDrift = 0
	b.mu.Unlock()
	b.signal()
}

// urgent has an application's names set as soon as a worker is free; b.mu is held. One whose
// failure was just written down waits for its next turn.
func (b *byName) urgent(app string) {
	t := b.known[app]
	if t == nil {
		t = &task{app: app, place: -1}
		b.known[app] = t
	}
	if t.running {
		t.again = true
		return
	}
	if t.place >= 0 {
		heap.Remove(&b.later, t.place)
	}
	if !t.queued {
		t.queued = true
		b.fresh = append(b.fresh, t)
	}
}

// repeat has everything said again at due; b.mu is held.
func (b *byName) repeat(app string, due plugins.Instant) {
	if b.known[app] != nil {
		b.known[app].verify = true
		return
	}
	t := &task{app: app, due: due, verify: true}
	b.known[app] = t
	heap.Push(&b.later, t)
}

// run tells the driver what is new, what failed, and everything at the start and from time to
// time.
func (b *byName) run(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	for ctx.Err() == nil {
		wait := leadEvery
		if b.loaded.Load() {
			b.follow()
			for t := b.next(); t != nil; t = b.next() {
				work.Go(func() { b.done(t, b.do(ctx, t)) })
			}
			wait = b.wait()
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-b.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// follow takes over the driver, or leaves it to another replica, and has everything said again
// when it is time.
func (b *byName) follow() {
	lead := b.leads()
	now, _ := b.clock()
	b.mu.Lock()
	taken := lead && !b.lead
	if b.lead = lead; !lead {
		b.fresh, b.later, b.known = nil, nil, map[string]*task{}
	}
	anew := taken || b.nextDrift == 0 // nothing is known of what changed before
	drift := lead && (anew || now >= b.nextDrift)
	if drift {
		b.nextDrift = now + driftEvery // before the documents are read: they may be listed again meanwhile
	}
	b.mu.Unlock()
	switch {
	case !lead:
		b.report.leave()
		return
	case !drift:
		return
	}
	docs := b.all()
	pace := max(repeatPace, driftEvery/time.Duration(max(len(docs), 1)*2))
	if taken {
		pace = repeatPace
	}
	b.report.forget(docs)
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range docs {
		t := b.known[docs[i].App]
		failing := t != nil && t.failures > 0 && !t.running // it has its next turn
		open := len(unsettled(&docs[i], b.driver)) > 0
		if open && anew && !failing {
			b.urgent(docs[i].App)
		}
		if open || len(active(&docs[i])) > 0 {
			b.repeat(docs[i].App, now+plugins.Instant(i)*pace)
		}
	}
}

// next is a task that may run now; nil: none.
func (b *byName) next() *task {
	now, _ := b.clock()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.running >= maxWorkers:
		return nil
	case len(b.fresh) > 0:
		t := b.fresh[0]
		b.fresh = b.fresh[1:]
		t.queued, t.running = false, true
		b.running++
		return t
	case len(b.later) > 0 && b.later[0].due <= now && b.repeats < maxRepeats:
		t := heap.Pop(&b.later).(*task)
		t.running = true
		b.running++
		b.repeats++
		t.due = -1 // it counts as a repeat
		return t
	}
	return nil
}

// wait is how long there is nothing to do, unless something changes.
func (b *byName) wait() time.Duration {
	now, _ := b.clock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.later) > 0 && b.repeats < maxRepeats {
		return min(leadEvery, max(b.later[0].due-now, time.Millisecond))
	}
	return leadEvery
}

// do sets the names of one application, the new ones first, and says whether all of it is done.
func (b *byName) do(ctx context.Context, t *task) bool {
	ctx, cancel := context.WithTimeout(ctx, appTimeout)
	defer cancel()
	doc := b.peek(t.app)
	all := unsettled(&doc, b.driver)
	b.mu.Lock()
	verify, since := t.verify, t.since
	t.verify = false
	b.mu.Unlock()
	if verify {
		all = append(all, active(&doc)...)
	}
	results := map[plugins.RuleName]result{}
	complete, failed := true, false
	for _, n := range all {
		if _, twice := results[n]; twice {
			continue
		}
		if ctx.Err() != nil || !b.has(t) {
			complete = false
			break
		}
		sent, err := b.set(ctx, t.app, n)
		now, _ := b.clock()
		results[n] = result{sent: sent, err: err, lost: since != 0 && now-since >= lostAfter}
		failed = failed || err != nil && !refused(err)
	}
	b.mu.Lock()
	t.verify = t.verify || verify && (failed || !complete)
	b.mu.Unlock()
	writing, cancelWriting := context.WithTimeout(context.WithoutCancel(ctx), appTimeout)
	defer cancelWriting()
	written := b.has(t) && b.settle(writing, t.app, results) == nil
	return complete && !failed && written
}

// has says whether a task is this replica's still. Once another has taken over, it is the
// other's calls that count: they may have come later.
func (b *byName) has(t *task) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known[t.app] == t
}

// set has the driver serve what is wanted of a name, and returns the rules of the application as
// they were then.
func (b *byName) set(ctx context.Context, app string, n plugins.RuleName) (sent plugins.Rules, err error) {
	unlock := b.locks.lock(ctx, n)
	if unlock == nil {
		return b.peek(app), context.Cause(ctx)
	}
	defer unlock()
	call, cancel := context.WithTimeout(ctx, setTimeout)
	defer cancel()
	sent, records := b.records(app, n)
	err = b.by.Set(call, n.Name, n.Type, records)
	switch {
	case refused(err): // which is no failure of the driver
		b.report.word(n.Name, nil)
	case ctx.Err() == nil || err == nil:
		b.report.word(n.Name, err)
	}
	return sent, err
}

// done takes in how a task went.
func (b *byName) done(t *task, ok bool) {
	now, _ := b.clock()
	b.mu.Lock()
	b.running--
	due := t.due < 0
	if due {
		b.repeats--
	}
	t.running, t.due = false, 0
	again := t.again
	t.again = false
	switch {
	case b.known[t.app] != t: // another replica has taken over meanwhile
	case ok && again:
		t.failures, t.since = 0, 0
		b.urgent(t.app)
	case ok:
		delete(b.known, t.app)
	default:
		if due || t.failures == 0 { // what is tried early, for it was changed, makes nothing wait longer
			t.failures++
		}
		if t.since == 0 {
			t.since = now
		}
		t.due = now + backoff(t.failures)
		if again && b.asked(t.app) {
			t.due = now + newWish
		}
		heap.Push(&b.later, t)
	}
	b.mu.Unlock()
	b.signal()
}

// asked says whether a rule of an application waits for the driver's first word.
func (b *byName) asked(app string) bool {
	doc := b.peek(app)
	return waits(doc.DNS...)
}

// records are those that a name is to have, whoever has it, and the rules of one application at
// the same moment.
func (d *directory) records(app string, n plugins.RuleName) (own plugins.Rules, all []driver.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for owner := range d.owners[n] {
		r := d.get(owner)
		all = append(all, wanted(&r, n)...)
	}
	return d.get(app), all
}
