package edgegallery

import (
	"context"
	"fmt"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// owned are the configurations of an application, which are removed together with it. What is
// still to be done of its termination stays.
type owned struct{ k *deployments }

// idOf has the revision in it: what was written after it was listed may be of an application
// that came back.
func idOf(d *plugins.Deployment) string { return fmt.Sprintf("configuration@%d", d.At) }

// Of implements plugins.Owned.
func (o owned) Of(app string) []string {
	if e := o.k.get(app); e != nil && (e.Configured != nil || len(e.Tasks) > 0) {
		return []string{idOf(&e.Deployment)}
	}
	return nil
}

// Remove implements plugins.Owned. A task of the application that this replica carries out has ended
// then: it defines no more rules, whose names others may want.
func (o owned) Remove(ctx context.Context, app, id string) error {
	if err := o.erase(ctx, app, id); err != nil {
		return err
	}
	return o.k.awaitTask(ctx, app)
}

// erase removes what Remove is to remove, and waits for nothing.
func (o owned) erase(ctx context.Context, app, id string) error {
	return o.k.change(ctx, app, func(now plugins.Deployment) (plugins.Deployment, error) {
		if idOf(&now) == id {
			now.Configured, now.Tasks = nil, nil
		}
		return now, nil
	})
}

// beginTask says that this replica carries out a task of an application; end, that it does not.
func (k *deployments) beginTask(app string) (end func()) {
	ended := make(chan struct{})
	k.mu.Lock()
	defer k.mu.Unlock()
	k.working[app] = ended
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.working, app)
		close(ended)
	}
}

// awaitTask waits until this replica carries out no task of an application.
func (k *deployments) awaitTask(ctx context.Context, app string) error {
	k.mu.Lock()
	ended := k.working[app]
	k.mu.Unlock()
	if ended == nil {
		return nil
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return heartbeat.ErrUnavailable
	}
}
