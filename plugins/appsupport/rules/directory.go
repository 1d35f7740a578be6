package rules

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// maxReads is of how many applications the store is asked for the rules at a time.
const maxReads = 32

// entry are rules as this replica has seen them. What was erased here stays until the watch has
// shown that; otherwise an older write of the watch would bring it back.
type entry struct {
	plugins.Rules
	erased bool
}

// directory holds the rules of all applications as this replica has seen them. It is a
// plugins.RulesReader.
type directory struct {
	store  plugins.RuleStore
	alone  bool // nobody else writes the store
	clock  func() (plugins.Instant, int64)
	loaded atomic.Bool
	absent *plugins.Absences // ids of applications
	// changed is called, without locks, with the rules of an application before and after a
	// write; At of was is 0 if there were none, and that of now if there are none any more.
	changed func(was, now plugins.Rules)
	// reloaded is called when all rules were replaced.
	reloaded func()

	mu      sync.Mutex
	apps    map[string]*entry
	owners  map[plugins.RuleName]map[string]bool // whose rules have a name
	seen    heartbeat.Revision                   // all writes up to it were shown
	names   heartbeat.Revision                   // of the last write that added names
	waiting map[string]chan struct{}             // closed at the next write of an application's rules; "": of names
}

func newDirectory(store plugins.RuleStore, alone bool, clock func() (plugins.Instant, int64)) *directory {
	return &directory{store: store, alone: alone, clock: clock, absent: plugins.NewAbsences(clock, maxReads), apps: map[string]*entry{},
		owners: map[plugins.RuleName]map[string]bool{}, waiting: map[string]chan struct{}{},
		changed: func(plugins.Rules, plugins.Rules) {}, reloaded: func() {}}
}

var _ plugins.RulesReader = (*directory)(nil)

// LoadRules implements plugins.RulesReader.
func (d *directory) LoadRules(all []plugins.Rules, names, at heartbeat.Revision) {
	d.mu.Lock()
	restored := at < d.seen // what came later never happened
	listed := map[string]bool{}
	for _, r := range all {
		listed[r.App] = true
		if e := d.apps[r.App]; e != nil && (restored || e.At > r.At && e.At <= at) {
			d.forget(r.App)
		}
		d.apply(r, false)
	}
	for app, e := range d.apps {
		if !listed[app] && (restored || e.At <= at) {
			d.forget(app)
		}
	}
	d.seen, d.names = at, names
	for app := range d.waiting {
		d.wake(app)
	}
	d.mu.Unlock()
	d.loaded.Store(true)
	d.reloaded()
}

// SeeRules implements plugins.RulesReader.
func (d *directory) SeeRules(r plugins.Rules, erased bool) {
	d.mu.Lock()
	was := d.get(r.App)
	d.apply(r, erased)
	if e := d.apps[r.App]; e.erased && e.At <= r.At { // now it is shown
		delete(d.apps, r.App)
	}
	d.seen = max(d.seen, r.At)
	now := d.get(r.App)
	d.mu.Unlock()
	if now.At != was.At {
		d.changed(was, now)
	}
}

// SeeRuleNames implements plugins.RulesReader.
func (d *directory) SeeRuleNames(at heartbeat.Revision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names, d.seen = max(d.names, at), max(d.seen, at)
	d.wake("")
}

// observe takes in what this replica read or wrote itself. A read that is older than the watch
// is ignored, for the rules may have been erased since.
func (d *directory) observe(r plugins.Rules, erased bool) {
	d.mu.Lock()
	was := d.get(r.App)
	if r.At > d.seen || d.apps[r.App] != nil {
		d.apply(r, erased)
	}
	now := d.get(r.App)
	d.mu.Unlock()
	if now.At != was.At {
		d.changed(was, now)
	}
}

// apply replaces the entry if r is newer; d.mu is held.
func (d *directory) apply(r plugins.Rules, erased bool) {
	old := d.apps[r.App]
	if old != nil && old.At >= r.At {
		return
	}
	d.forget(r.App)
	d.apps[r.App] = &entry{Rules: r, erased: erased}
	d.absent.Forget(r.App)
	if !erased {
		for _, n := range names(&r) {
			if d.owners[n] == nil {
				d.owners[n] = map[string]bool{}
			}
			d.owners[n][r.App] = true
		}
	}
	d.wake(r.App)
}

// forget removes an entry; d.mu is held.
func (d *directory) forget(app string) {
	e := d.apps[app]
	if e == nil {
		return
	}
	for _, n := range names(&e.Rules) {
		if delete(d.owners[n], app); len(d.owners[n]) == 0 {
			delete(d.owners, n)
		}
	}
	delete(d.apps, app)
}

// wake ends the waits for an application; d.mu is held.
func (d *directory) wake(app string) {
	if c := d.waiting[app]; c != nil {
		close(c)
		delete(d.waiting, app)
	}
}

// get are the rules of an application; d.mu is held.
func (d *directory) get(app string) plugins.Rules {
	if e := d.apps[app]; e != nil && !e.erased {
		return e.Rules
	}
	return plugins.Rules{App: app}
}

// lookup is get with what is closed at their next write.
func (d *directory) lookup(app string) (plugins.Rules, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.waiting[app]
	if c == nil {
		c = make(chan struct{})
		d.waiting[app] = c
	}
	return d.get(app), c
}

// peek is get for those who wait for nothing.
func (d *directory) peek(app string) plugins.Rules {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.get(app)
}

// find are the rules of an application. has says what the caller looks for: if they do not have
// it, the store is asked, unless there is no other writer or it was just asked.
func (d *directory) find(ctx context.Context, app string, has func(*plugins.Rules) bool) (plugins.Rules, error) {
	if r := d.peek(app); has(&r) || d.alone || d.absent.Recent(app) {
		return r, nil
	}
	end, err := d.absent.Read(ctx)
	if err != nil {
		return plugins.Rules{}, err
	}
	defer end()
	if r := d.peek(app); has(&r) || d.absent.Recent(app) {
		return r, nil
	}
	r, err := d.store.Rules(ctx, app)
	switch {
	case err != nil:
		return r, heartbeat.ErrUnavailable
	case !has(&r):
		d.absent.Note(app)
	}
	if r.At != 0 {
		d.observe(r, false)
	}
	return r, nil
}

// all are the rules of all applications.
func (d *directory) all() (out []plugins.Rules) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.apps {
		if !e.erased {
			out = append(out, e.Rules)
		}
	}
	return out
}

// count is of how many applications there are rules.
func (d *directory) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.apps)
}

// awaitNames waits until all writes that added names up to at were shown.
func (d *directory) awaitNames(ctx context.Context, at heartbeat.Revision) error {
	for {
		d.mu.Lock()
		if d.names >= at {
			d.mu.Unlock()
			return nil
		}
		c := d.waiting[""]
		if c == nil {
			c = make(chan struct{})
			d.waiting[""] = c
		}
		d.mu.Unlock()
		select {
		case <-c:
		case <-ctx.Done():
			return heartbeat.ErrUnavailable
		}
	}
}

// taken says whether another application has one of the names.
func (d *directory) taken(app string, names []plugins.RuleName) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range names {
		for owner := range d.owners[n] {
			if owner != app {
				return true
			}
		}
	}
	return false
}
