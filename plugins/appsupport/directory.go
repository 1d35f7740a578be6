package appsupport

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// maxReads is how many unknown applications the store is asked for at a time.
const maxReads = 32

// entry is a registration as this replica has seen it. One that was erased here stays until
// the watch has shown that; otherwise an older write of the watch would bring it back.
type entry struct {
	plugins.Application
	erased bool
	age    plugins.Age // of its termination
	// leavingSince is since when it is seen to be removed; mine says that this replica decided
	// so, and removed that all it had was removed here once.
	leavingSince  plugins.Instant
	mine, removed bool
}

// directory holds the registrations as this replica has seen them.
type directory struct {
	store      plugins.Applications
	alone      bool // nobody else writes the store
	open       bool // everybody is admitted
	configured map[string]bool
	owned      func() []plugins.Owned
	counts     *counts
	wake       chan struct{} // finishLoop has something to do
	clock      func() (plugins.Instant, int64)
	log        openlog.Logger
	loaded     atomic.Bool
	ready      func() bool       // all lists are loaded
	absent     *plugins.Absences // ids of applications

	mu       sync.Mutex
	apps     map[string]*entry
	seen     heartbeat.Revision // all writes up to it were shown
	shownAt  plugins.Instant    // when anything was shown last; 0: nothing was
	removing map[string]bool    // applications whose things are being removed here
}

// name is the appName of an application that is known here.
func (d *directory) name(app string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.apps[app]; e != nil && !e.erased {
		return e.Info.AppName
	}
	return ""
}

// load takes in a list of all registrations at a revision.
func (d *directory) load(all []plugins.Application, at heartbeat.Revision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at < d.seen { // the store was restored: what came later never happened
		clear(d.apps)
	}
	now, _ := d.clock()
	before := d.shownAt
	d.shownAt = now
	listed := map[string]bool{}
	for _, a := range all {
		listed[a.Info.AppInstanceID] = true
		if e := d.apps[a.Info.AppInstanceID]; e != nil && e.At > a.At && e.At <= at {
			delete(d.apps, a.Info.AppInstanceID) // so was it here, though its revision does not tell
		}
		d.apply(a, false, before)
	}
	for id, e := range d.apps {
		if !listed[id] && e.At <= at {
			delete(d.apps, id)
		}
	}
	d.seen = at
	d.loaded.Store(true)
}

// see takes in one write of the watch.
func (d *directory) see(a plugins.Application, erased bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, _ := d.clock()
	d.shownAt = now
	d.apply(a, erased, now)
	if e := d.apps[a.Info.AppInstanceID]; e.erased && e.At <= a.At { // now it is shown
		delete(d.apps, a.Info.AppInstanceID)
	}
	d.seen = max(d.seen, a.At)
}

// observe takes in what this replica read or wrote itself. A read that is older than the
// watch is ignored, for the registration may have been erased since.
func (d *directory) observe(a plugins.Application, erased bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if a.At > d.seen || d.apps[a.Info.AppInstanceID] != nil {
		now, _ := d.clock()
		d.apply(a, erased, now)
	}
}

// apply replaces the entry if a is newer; d.mu is held. since is the last moment before which a
// termination that is new here cannot have begun (plugins.AgeOf).
func (d *directory) apply(a plugins.Application, erased bool, since plugins.Instant) {
	id := a.Info.AppInstanceID
	old := d.apps[id]
	if old != nil && old.At >= a.At {
		return
	}
	now, wall := d.clock()
	e := &entry{Application: a, erased: erased, leavingSince: now}
	switch t := a.Termination; {
	case t == nil:
	case old != nil && old.Termination != nil && old.Termination.Begun == t.Begun:
		e.age = old.age // a registration may change meanwhile
	default:
		e.age = plugins.AgeOf(now, wall, t.Begun, since)
	}
	d.apps[id] = e
	d.absent.Forget(id)
}

// lookup is the registration as this replica has seen it; false: there is none.
func (d *directory) lookup(app string) (plugins.Application, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.apps[app]
	if e == nil || e.erased || e.Leaving || e.Unregistered {
		return plugins.Application{}, false
	}
	return e.Application, true
}

// admitted says whether the platform knows the application. One that this replica has not
// seen is looked for by one read of the store, unless there is no other writer.
func (d *directory) admitted(ctx context.Context, app string) (bool, error) {
	if d.open || d.configured[app] {
		return true, nil
	}
	_, ok, err := d.find(ctx, app)
	return ok, err
}

func (d *directory) find(ctx context.Context, app string) (plugins.Application, bool, error) {
	if a, ok := d.lookup(app); ok || d.alone || d.absent.Recent(app) {
		return a, ok, nil
	}
	end, err := d.absent.Read(ctx)
	if err != nil {
		return plugins.Application{}, false, err
	}
	defer end()
	if a, ok := d.lookup(app); ok || d.absent.Recent(app) {
		return a, ok, nil
	}
	a, err := d.store.Application(ctx, app)
	switch {
	case err != nil:
		return a, false, heartbeat.ErrUnavailable
	case a.At == 0 || a.Leaving || a.Unregistered:
		d.absent.Note(app)
		return a, false, nil
	}
	d.observe(a, false)
	return a, true, nil
}

// beginRemoval says that the removal of what an application has begins here; false: it is
// under way already.
func (d *directory) beginRemoval(app string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.removing[app] {
		return false
	}
	d.removing[app] = true
	return true
}

func (d *directory) endRemoval(app string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.removing, app)
}

// removedOnce says that all that the application has was removed here; true: for the first time.
func (d *directory) removedOnce(gone plugins.Application) (first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.apps[gone.Info.AppInstanceID]
	if e == nil || e.At != gone.At || e.removed {
		return false
	}
	e.removed = true
	return true
}

// takeUp has what this replica decided done at once: the application is to be removed.
func (d *directory) takeUp(app string) {
	d.mu.Lock()
	if e := d.apps[app]; e != nil {
		e.mine = true
	}
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default: // it is awake
	}
}

// due is something to do of an application that is terminating or being removed.
type due struct {
	plugins.Application
	last bool // what is kept of it goes, too
}

// due are all that have something to be done.
func (d *directory) due() (out []due) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, _ := d.clock()
	for _, e := range d.apps {
		if e.erased || e.Termination == nil && !e.Leaving {
			continue
		}
		if is, last := e.due(now, d.takeOver(), d.settle()); is {
			out = append(out, due{e.Application, last})
		}
	}
	return out
}

// due says whether something is to be done of the application now. What it has is removed once
// at first, and again when it can have entered nothing any more.
func (e *entry) due(now plugins.Instant, takeOver, settle time.Duration) (is, last bool) {
	since := now - e.leavingSince
	switch {
	case !e.Leaving:
		return e.timeIsOver(now), false
	case e.removed:
		return since >= settle, true
	default:
		return e.mine || since >= takeOver, since >= settle
	}
}

// takeOver is how long the removal is left to the replica that decided it.
func (d *directory) takeOver() time.Duration {
	if d.alone {
		return 0
	}
	return takeOver
}

// settle is how long something may still turn up that an application entered before it left: by
// requests that were admitted before, or at other replicas, of which this one is not shown
// everything at once. If everybody is admitted, who enters something later begins anew.
func (d *directory) settle() time.Duration {
	switch {
	case !d.open:
		return settleTime
	case d.alone:
		return 0
	default:
		return shownTime
	}
}
