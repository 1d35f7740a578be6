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

const (
	absenceTTL = time.Second // how long the store's word that an application is unknown is believed
	maxAbsent  = 4096
	maxAsks    = 32 // unknown applications that the store is asked for at a time
)

// entry is a registration as this replica knows it. One that was erased here stays
// until the watch has shown that, so that nothing older brings it back.
type entry struct {
	plugins.Application
	erased bool
	left   plugins.Instant // since when it is seen to be leaving
}

// directory is what this replica knows of the registrations.
type directory struct {
	store  plugins.Applications
	alone  bool // nobody else writes the store
	open   bool // everybody is admitted
	known  map[string]bool
	owned  func() []plugins.Owned
	clock  func() (plugins.Instant, int64)
	log    openlog.Logger
	loaded atomic.Bool
	ready  func() bool // all lists are loaded
	asks   chan struct{}

	mu     sync.Mutex
	apps   map[string]*entry
	seen   heartbeat.Revision         // all writes up to it were shown
	absent map[string]plugins.Instant // ids that the store was just asked for in vain
	ending map[string]bool            // applications whose things are being removed here
}

// load takes a list of everything in.
func (d *directory) load(all []plugins.Application, at heartbeat.Revision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at < d.seen { // the store was restored: what came later never happened
		clear(d.apps)
		d.seen = at
	}
	listed := map[string]bool{}
	for _, a := range all {
		listed[a.Info.AppInstanceID] = true
		if e := d.apps[a.Info.AppInstanceID]; e != nil && e.At > a.At && e.At <= at {
			delete(d.apps, a.Info.AppInstanceID) // so was it here, though its revision does not tell
		}
		d.take(a, false)
	}
	for id, e := range d.apps {
		if !listed[id] && e.At <= at {
			delete(d.apps, id)
		}
	}
	d.seen = max(d.seen, at)
	d.loaded.Store(true)
}

// see takes one write of the watch in.
func (d *directory) see(a plugins.Application, erased bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.take(a, erased)
	if e := d.apps[a.Info.AppInstanceID]; erased && e != nil && e.erased && e.At <= a.At {
		delete(d.apps, a.Info.AppInstanceID)
	}
	d.seen = max(d.seen, a.At)
}

// note takes in what this replica read or wrote itself. A read that is older than
// what the watch has shown says nothing.
func (d *directory) note(a plugins.Application, erased bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if a.At > d.seen || d.apps[a.Info.AppInstanceID] != nil {
		d.take(a, erased)
	}
}

// take replaces what is known by what is newer; d.mu is held.
func (d *directory) take(a plugins.Application, erased bool) {
	id := a.Info.AppInstanceID
	old := d.apps[id]
	if old != nil && old.At >= a.At {
		return
	}
	e := &entry{Application: a, erased: erased}
	if a.Leaving {
		e.left, _ = d.clock()
	}
	d.apps[id] = e
	delete(d.absent, id)
}

// here is the registration as this replica knows it.
func (d *directory) here(app string) (plugins.Application, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.apps[app]
	if e == nil || e.erased || e.Leaving {
		return plugins.Application{}, false
	}
	return e.Application, true
}

// admitted says whether the platform knows the application. What this replica does
// not know is confirmed by one read of the store, unless it is the only writer.
func (d *directory) admitted(ctx context.Context, app string) (bool, error) {
	if d.open || d.known[app] {
		return true, nil
	}
	_, ok, err := d.find(ctx, app)
	return ok, err
}

func (d *directory) find(ctx context.Context, app string) (plugins.Application, bool, error) {
	if a, ok := d.here(app); ok || d.alone || d.missed(app) {
		return a, ok, nil
	}
	select { // whoever asks for many at once waits here, and nobody else does
	case d.asks <- struct{}{}:
		defer func() { <-d.asks }()
	case <-ctx.Done():
		return plugins.Application{}, false, heartbeat.ErrUnavailable
	}
	if a, ok := d.here(app); ok || d.missed(app) {
		return a, ok, nil
	}
	a, err := d.store.Application(ctx, app)
	switch {
	case err != nil:
		return a, false, heartbeat.ErrUnavailable
	case a.At == 0 || a.Leaving:
		now, _ := d.clock()
		d.mu.Lock()
		d.absent[app] = now
		d.mu.Unlock()
		return a, false, nil
	}
	d.note(a, false)
	return a, true, nil
}

// missed says whether the store was asked for this application in vain just now.
func (d *directory) missed(app string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, _ := d.clock()
	at, ok := d.absent[app]
	if ok && now-at <= absenceTTL {
		return true
	}
	if len(d.absent) > maxAbsent {
		clear(d.absent)
	}
	delete(d.absent, app)
	return false
}

// count is how many are registered.
func (d *directory) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.apps)
}

// begin says that the removal of what an application has begins; false: it is under way.
func (d *directory) begin(app string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ending[app] {
		return false
	}
	d.ending[app] = true
	return true
}

func (d *directory) end(app string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.ending, app)
}

// leaving are those that have been leaving for at least that long.
func (d *directory) leaving(least time.Duration) (out []plugins.Application) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, _ := d.clock()
	for _, e := range d.apps {
		if e.Leaving && !e.erased && now-e.left >= least {
			out = append(out, e.Application)
		}
	}
	return out
}
