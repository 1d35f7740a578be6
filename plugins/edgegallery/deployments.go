package edgegallery

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// maxDeployments bounds how much of the store the platform's manager can fill.
	maxDeployments = 20000
	// maxTasks is how many tasks of one application can be polled, the newest.
	maxTasks  = 8
	maxRounds = 8
)

// deployments are what is kept of all applications that MECM has asked for, as this replica
// knows it: what it has read, and what it has written itself.
type deployments struct {
	store  plugins.DeploymentStore
	clock  func() (plugins.Instant, int64)
	loaded atomic.Bool
	wake   chan struct{} // of 1: something is to be done

	mu      sync.Mutex
	apps    map[string]*entry
	tasks   map[string]string        // the application of a task
	working map[string]chan struct{} // of applications of which this replica carries out a task; closed when it does not
	seen    heartbeat.Revision
	named   heartbeat.Revision // at which this replica gave a name last
}

// entry is a deployment, or that it was erased, which is remembered until the watch shows it.
type entry struct {
	plugins.Deployment
	erased  bool
	running plugins.Age     // of the task that goes on, if one does
	changed plugins.Instant // when this replica saw the last write
}

func newDeployments(store plugins.DeploymentStore, clock func() (plugins.Instant, int64)) *deployments {
	return &deployments{store: store, clock: clock, wake: make(chan struct{}, 1), apps: map[string]*entry{}, tasks: map[string]string{}, working: map[string]chan struct{}{}}
}

// runningTask is the task of a deployment that goes on; nil: none does.
func runningTask(d *plugins.Deployment) *plugins.DeploymentTask {
	if n := len(d.Tasks); n > 0 && d.Tasks[n-1].Result == plugins.TaskProcessing {
		return &d.Tasks[n-1]
	}
	return nil
}

// load is the first half of FollowDeployments.
func (k *deployments) load(all []plugins.Deployment, at heartbeat.Revision) {
	k.mu.Lock()
	defer k.mu.Unlock()
	listed := make(map[string]bool, len(all))
	for _, d := range all {
		listed[d.App] = true
		k.apply(d, false)
	}
	for app, e := range k.apps {
		if !listed[app] && e.At <= at {
			k.forget(app)
		}
	}
	k.seen = max(k.seen, at)
	k.loaded.Store(true)
	k.signal()
}

// see is the other half.
func (k *deployments) see(d plugins.Deployment, erased bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.apply(d, erased)
	if e := k.apps[d.App]; e != nil && e.erased && e.At <= d.At {
		k.forget(d.App)
	}
	k.seen = max(k.seen, d.At)
	k.signal()
}

// observe takes in what this replica wrote itself, or read of the store.
func (k *deployments) observe(d plugins.Deployment, erased bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if d.At > k.seen || k.apps[d.App] != nil {
		k.apply(d, erased)
	}
}

// apply replaces the entry if d is newer; mu is held.
func (k *deployments) apply(d plugins.Deployment, erased bool) {
	old := k.apps[d.App]
	if old != nil && old.At >= d.At {
		return
	}
	now, wall := k.clock()
	e := &entry{Deployment: d, erased: erased, changed: now}
	if t := runningTask(&d); t != nil {
		e.running = plugins.AgeOf(now, wall, t.Begun, 0)
		if old != nil {
			if was := runningTask(&old.Deployment); was != nil && was.ID == t.ID {
				e.running = old.running
			}
		}
	}
	k.forget(d.App)
	k.apps[d.App] = e
	for _, t := range d.Tasks {
		k.tasks[t.ID] = d.App
	}
}

// forget removes an entry; mu is held.
func (k *deployments) forget(app string) {
	if e := k.apps[app]; e != nil {
		for _, t := range e.Tasks {
			delete(k.tasks, t.ID)
		}
		delete(k.apps, app)
	}
}

func (k *deployments) signal() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// get is the entry of an application; nil: there is none.
func (k *deployments) get(app string) *entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.apps[app]; e != nil && !e.erased {
		return e // which is not changed any more
	}
	return nil
}

// configuring says whether a configuration of an application goes on, as far as this replica
// knows.
func (k *deployments) configuring(app string) bool {
	e := k.get(app)
	return e != nil && runningTask(&e.Deployment) != nil
}

// task finds a task by its id.
func (k *deployments) task(id string) (app string, t plugins.DeploymentTask, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	app = k.tasks[id]
	if e := k.apps[app]; e != nil {
		for _, t := range e.Tasks {
			if t.ID == id {
				return app, t, true
			}
		}
	}
	return "", t, false
}

// nameTaken says whether another application is configured, or is being configured, under a
// name.
func (k *deployments) nameTaken(app, name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.apps {
		if e.App == app {
			continue
		}
		t := runningTask(&e.Deployment)
		if e.Configured != nil && e.Configured.AppName == name || t != nil && t.Config != nil && t.Config.AppName == name {
			return true
		}
	}
	return false
}

// onlyForgets says whether nothing is to be done but to have mepauth forget the application.
func (e *entry) onlyForgets() bool {
	return e.Forget && !e.Leaving && runningTask(&e.Deployment) == nil
}

// due are the applications of which something is to be done. Those whose task MECM polls come
// first.
func (k *deployments) due() (out []*entry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, _ := k.clock()
	var later []*entry
	for _, e := range k.apps {
		over := e.Configured == nil && now-e.changed > pollTime
		switch {
		case e.erased:
		case runningTask(&e.Deployment) != nil:
			out = append(out, e)
		case e.Leaving || e.Forget || over:
			later = append(later, e)
		}
	}
	return append(out, later...)
}

// pollTime is for how long the tasks of an application can be polled that is configured with
// nothing any more.
const pollTime = time.Hour

// change writes what next makes of a deployment as it is in the store, and begins anew if
// somebody else wrote it in between. One in which there is nothing is erased.
func (k *deployments) change(ctx context.Context, app string, next func(plugins.Deployment) (plugins.Deployment, error)) error {
	return k.changeBy(ctx, app, k.store.SaveDeployment, next)
}

// saver writes a deployment, as DeploymentStore.SaveDeployment does.
type saver func(context.Context, plugins.Deployment) (heartbeat.Revision, error)

// changeBy is change with a write of its own.
func (k *deployments) changeBy(ctx context.Context, app string, save saver, next func(plugins.Deployment) (plugins.Deployment, error)) error {
	for range maxRounds {
		now, err := k.store.Deployment(ctx, app)
		if err != nil {
			return heartbeat.ErrUnavailable
		}
		d, err := next(now)
		if err != nil {
			return err
		}
		if d.Tasks = d.Tasks[max(0, len(d.Tasks)-maxTasks):]; reflect.DeepEqual(d, now) {
			if now.At > 0 {
				k.observe(now, false) // it may be newer than what was seen, by which somebody asked for nothing
			}
			return nil
		}
		empty := d.Configured == nil && len(d.Tasks) == 0 && !d.Leaving && !d.Forget
		switch {
		case !empty && now.At == 0 && k.count() >= maxDeployments:
			return server.ErrTooManyDeployments
		case !empty:
			d.At, err = save(ctx, d)
		case now.At == 0:
			return nil
		default:
			d.At, err = k.store.EraseDeployment(ctx, app, now.At)
		}
		switch {
		case err == nil:
			k.observe(d, empty)
			k.signal()
			return nil
		case errors.Is(err, heartbeat.ErrFull):
			return err
		case !errors.Is(err, heartbeat.ErrConflict):
			return heartbeat.ErrUnavailable
		}
	}
	return heartbeat.ErrUnavailable
}

func (k *deployments) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.apps)
}
