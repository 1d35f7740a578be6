package appsupport

import (
	"context"
	"errors"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// maxApplications bounds how much of the store a hostile client can fill: so many
	// applications that registered, and as many that did not.
	maxApplications = 10000
	// maxRounds is how often a change is tried again because somebody else made one in between.
	maxRounds = 16
)

var _ server.Registrations = (*directory)(nil)

// RegisterApplication implements server.Registrations. Whoever comes back while its last life is
// being removed waits for that: what it enters from now on is of the new one.
func (d *directory) RegisterApplication(ctx context.Context, info mp1.AppInfo) (mp1.AppInfo, error) {
	if info.AppInstanceID == "" {
		info.AppInstanceID = plugins.NewUUID()
	}
	was, _, err := d.write(ctx, info.AppInstanceID, register, change{
		check: func(now plugins.Application) error { return d.removeRest(ctx, now) },
		set:   func(a *plugins.Application) { a.Info = info },
	})
	if err == nil {
		d.counts.finished(was)
	}
	return info, err
}

// Registration implements server.Registrations.
func (d *directory) Registration(ctx context.Context, app string) (mp1.AppInfo, error) {
	a, ok, err := d.find(ctx, app)
	if err == nil && !ok {
		err = server.ErrNoRegistration
	}
	return a.Info, err
}

// UpdateApplication implements server.Registrations.
func (d *directory) UpdateApplication(ctx context.Context, app string, info mp1.AppInfo, accepts func(mp1.AppInfo) bool) error {
	_, _, err := d.write(ctx, app, update, change{
		check: func(now plugins.Application) error {
			if now.Unregistered { // and being terminated
				return server.ErrNoRegistration
			}
			return current(now, accepts)
		},
		set: func(a *plugins.Application) { a.Info = info },
	})
	return err
}

// current checks the condition of If-Match. What did not register has no representation that
// could match (RFC 9110 §13.1.1).
func current(now plugins.Application, accepts func(mp1.AppInfo) bool) error {
	if accepts != nil && (now.At == 0 || now.Unregistered || !accepts(now.Info)) {
		return heartbeat.ErrStale
	}
	return nil
}

// DeregisterApplication implements server.Registrations. A request that was admitted before may still enter
// something while the application is removed. So the application is first marked as leaving,
// which ends its admission; then all it has is removed, before the response; and finishLoop
// removes the rest when nothing of before can turn up any more.
func (d *directory) DeregisterApplication(ctx context.Context, app string, accepts func(mp1.AppInfo) bool) error {
	_, gone, err := d.write(ctx, app, deregister, change{check: func(now plugins.Application) error { return current(now, accepts) }})
	if err != nil {
		return err
	}
	if d.beginRemoval(app) {
		defer d.endRemoval(app)
	}
	return d.remove(ctx, gone, d.settle() == 0)
}

// change is what comes with an event. check may refuse it, by what is kept now; set puts in
// what came. Each may be nil.
type change struct {
	check func(now plugins.Application) error
	set   func(a *plugins.Application)
}

// write carries out an event: it writes what the table makes of what is in the store, and begins
// anew if somebody else wrote it in between. It returns what was kept before and what is kept
// now; they are equal if nothing was to be written.
func (d *directory) write(ctx context.Context, app string, e event, c change) (was, now plugins.Application, err error) {
	for range maxRounds {
		if was, err = d.store.Application(ctx, app); err != nil {
			return was, was, heartbeat.ErrUnavailable
		}
		step := table[stateOf(was)][e]
		if step.refused != nil {
			return was, was, step.refused
		}
		if c.check != nil {
			if err := c.check(was); err != nil {
				return was, was, err
			}
		}
		if step.nothing {
			return was, was, nil
		}
		now = next(was, app, step.to, c.set)
		if err := d.makeRoom(ctx, was, now); err != nil {
			return was, was, err
		}
		switch now.At, err = d.save(ctx, now, e); {
		case err == nil:
			d.observe(now, false)
			return was, now, nil
		case errors.Is(err, heartbeat.ErrFull):
			return was, was, heartbeat.ErrFull
		case !errors.Is(err, heartbeat.ErrConflict):
			return was, was, heartbeat.ErrUnavailable
		}
	}
	return was, was, heartbeat.ErrUnavailable
}
