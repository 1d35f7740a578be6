package rules

import (
	"context"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

const (
	// maxWorkers is how many applications' names are set at a time. Those that failed before,
	// and those that are only set again, leave some workers to what is new: with a dead driver
	// each takes setTimeout.
	maxWorkers        = 8
	maxDelayedWorkers = 6
	// appTimeout bounds the work for one application; what is left then is done when its task
	// runs again.
	appTimeout = 20 * time.Second
	// minResyncInterval is the least pause between two applications that are only set again.
	minResyncInterval = 10 * time.Millisecond
	// rerunDelay is how long a rule waits that was changed while its application's names were set
	// in vain.
	rerunDelay = 250 * time.Millisecond
)

// byName has a shared driver serve what is wanted, name by name.
type byName struct {
	reconciler
	dns   driver.DNS
	locks nameLocks

	mu             sync.Mutex
	tasks          map[string]*task // by application
	runnable       []*task          // to be run at once
	delayed        taskHeap
	running        int // workers
	runningDelayed int // those of them that run a delayed task
	leading        bool
	nextResync     plugins.Instant
}

func newByName(r reconciler, dns driver.DNS) *byName {
	return &byName{reconciler: r, dns: dns, locks: nameLocks{held: map[plugins.RuleName]chan struct{}{}}, tasks: map[string]*task{}}
}

// changed is directory.changed.
func (b *byName) changed(_, now plugins.Rules) {
	if len(unsettled(&now, b.driver)) == 0 {
		return
	}
	b.mu.Lock()
	if b.leading {
		b.enqueue(now.App)
	}
	b.mu.Unlock()
	b.signal()
}

// reloaded is directory.reloaded. What changed before the list was shown by no write, so that
// everything is looked at again.
func (b *byName) reloaded() {
	b.mu.Lock()
	b.nextResync = 0
	b.mu.Unlock()
	b.signal()
}

// run has the driver serve what is new, what failed, and everything at the start and from time to
// time.
func (b *byName) run(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	for ctx.Err() == nil {
		wait := leadEvery
		if b.loaded.Load() {
			b.updateLead()
			for t := b.next(); t != nil; t = b.next() {
				work.Go(func() { b.finish(t, b.runTask(ctx, t)) })
			}
			wait = b.wait()
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-b.signals:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// updateLead takes over the driver, or leaves it to another replica, and has everything set again
// when it is time.
func (b *byName) updateLead() {
	lead := b.leads()
	now, _ := b.clock()
	b.mu.Lock()
	taken := lead && !b.leading
	if b.leading = lead; !lead {
		b.runnable, b.delayed, b.tasks = nil, nil, map[string]*task{}
	}
	anew := taken || b.nextResync == 0 // nothing is known of what changed before
	resync := lead && (anew || now >= b.nextResync)
	if resync {
		b.nextResync = now + resyncEvery // before the documents are read: they may be listed again meanwhile
	}
	b.mu.Unlock()
	switch {
	case !lead:
		b.report.reset()
		return
	case !resync:
		return
	}
	docs := b.all()
	interval := max(minResyncInterval, resyncEvery/time.Duration(max(len(docs), 1)*2))
	if taken {
		interval = minResyncInterval
	}
	b.report.forgetUnused(docs)
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range docs {
		t := b.tasks[docs[i].App]
		failing := t != nil && t.failures > 0 && !t.running // it has its next run
		open := len(unsettled(&docs[i], b.driver)) > 0
		if open && anew && !failing {
			b.enqueue(docs[i].App)
		}
		if open || len(active(&docs[i])) > 0 {
			b.scheduleResync(docs[i].App, now+plugins.Instant(i)*interval)
		}
	}
}

// runTask sets the names of one application, the new ones first, and says whether all of it is
// done.
func (b *byName) runTask(ctx context.Context, t *task) bool {
	ctx, cancel := context.WithTimeout(ctx, appTimeout)
	defer cancel()
	doc := b.peek(t.app)
	all := unsettled(&doc, b.driver)
	b.mu.Lock()
	resync, since := t.resync, t.since
	t.resync = false
	b.mu.Unlock()
	if resync {
		all = append(all, active(&doc)...)
	}
	results := map[plugins.RuleName]result{}
	complete, failed := true, false
	for _, n := range all {
		if _, twice := results[n]; twice {
			continue
		}
		if ctx.Err() != nil || !b.isCurrent(t) {
			complete = false
			break
		}
		sent, err := b.setName(ctx, t.app, n)
		now, _ := b.clock()
		results[n] = result{sent: sent, err: err, lost: since != 0 && now-since >= lostAfter}
		failed = failed || err != nil && !refused(err)
	}
	b.mu.Lock()
	t.resync = t.resync || resync && (failed || !complete)
	b.mu.Unlock()
	writing, cancelWriting := context.WithTimeout(context.WithoutCancel(ctx), appTimeout)
	defer cancelWriting()
	written := b.isCurrent(t) && b.recordResults(writing, t.app, results) == nil
	return complete && !failed && written
}

// setName has the driver serve what is wanted of a name, and returns the rules of the application
// as they were then.
func (b *byName) setName(ctx context.Context, app string, n plugins.RuleName) (sent plugins.Rules, err error) {
	unlock := b.locks.lock(ctx, n)
	if unlock == nil {
		return b.peek(app), context.Cause(ctx)
	}
	defer unlock()
	call, cancel := context.WithTimeout(ctx, setTimeout)
	defer cancel()
	sent, records := b.records(app, n)
	err = b.dns.Set(call, n.Name, n.Type, records)
	switch {
	case refused(err): // which is no failure of the driver
		b.report.recordCall(n.Name, nil)
	case ctx.Err() == nil || err == nil:
		b.report.recordCall(n.Name, err)
	}
	return sent, err
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
