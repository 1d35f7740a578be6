package appsupport

import (
	"context"
	"fmt"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/failpoint"
)

// save writes what is kept of an application. A termination is written together with the event
// that tells of it: one without the other would wait for a confirmation that nobody can send, or
// tell of what does not happen.
func (d *directory) save(ctx context.Context, a plugins.Application, e event) (heartbeat.Revision, error) {
	if e == trigger {
		return d.store.BeginTermination(ctx, a)
	}
	return d.store.SaveApplication(ctx, a)
}

// ConfirmReady implements server.Lifecycle.
func (d *directory) ConfirmReady(ctx context.Context, app string) error {
	was, _, err := d.write(ctx, app, ready, change{set: func(a *plugins.Application) { _, a.ReadyAt = d.clock() }})
	if err != nil {
		return err
	}
	d.counts.ready.Inc()
	if was.ReadyAt == 0 { // what is repeated would fill the log
		d.log.Info("application ready", openlog.WithTags(openlog.Tags{"appInstanceId": app}))
	}
	return nil
}

// BeginTermination implements server.Lifecycle. An application that did not register can be
// terminated if the platform has anything of it; nobody can be of whom it has nothing.
func (d *directory) BeginTermination(ctx context.Context, app string, seconds uint32, accepts func(mp1.AppInfo) bool) error {
	check := func(now plugins.Application) error {
		if now.At == 0 && !d.hasAnything(app) {
			return server.ErrNoRegistration
		}
		return current(now, accepts)
	}
	_, _, err := d.write(ctx, app, trigger, change{check: check, set: func(a *plugins.Application) {
		_, wall := d.clock()
		a.Termination = &plugins.Termination{Action: mp1.Terminating, Timeout: seconds, Begun: wall}
	}})
	if err != nil {
		return err
	}
	if failpoint.On {
		_ = failpoint.Hit("termination.begun")
	}
	d.counts.terminations.WithLabelValues(begun).Inc()
	d.log.Info("termination begun", openlog.WithTags(openlog.Tags{"appInstanceId": app, "graceful": seconds}))
	return nil
}

// hasAnything says whether the application has anything at the platform, as far as this replica
// knows.
func (d *directory) hasAnything(app string) bool {
	for _, kind := range d.owned() {
		if len(kind.Of(app)) > 0 {
			return true
		}
	}
	return false
}

// ConfirmTermination implements server.Lifecycle. The removal is done behind the answer: it may
// take as long as a consumer hangs.
func (d *directory) ConfirmTermination(ctx context.Context, app string, action mp1.OperationAction) error {
	check := func(now plugins.Application) error {
		if told := now.Termination.Action; action != told {
			return &mp1.Invalid{Attribute: "operationAction", Rule: fmt.Sprintf("must be that of the notification, which is %s", told)}
		}
		return nil
	}
	was, now, err := d.write(ctx, app, confirm, change{check: check, set: func(a *plugins.Application) {
		t := *a.Termination
		t.Confirmed = true
		a.Termination = &t
	}})
	if err != nil || was.At == now.At { // it is repeated
		return err
	}
	if failpoint.On {
		_ = failpoint.Hit("termination.confirmed")
	}
	d.counts.terminations.WithLabelValues(confirmed).Inc()
	d.log.Info("termination confirmed", openlog.WithTags(openlog.Tags{"appInstanceId": app}))
	d.takeUp(app)
	return nil
}

// endTime ends the time of an application that did not confirm. Of the replicas that find so one
// wins; and a termination that began since is another one.
func (d *directory) endTime(ctx context.Context, a plugins.Application) {
	app := a.Info.AppInstanceID
	was, now, err := d.write(ctx, app, timeout, change{check: func(now plugins.Application) error {
		if now.Termination == nil || now.Termination.Begun != a.Termination.Begun {
			return heartbeat.ErrConflict
		}
		return nil
	}})
	if err != nil || was.At == now.At { // at a later tick, if it is still so then
		return
	}
	if failpoint.On {
		_ = failpoint.Hit("termination.over")
	}
	d.counts.terminations.WithLabelValues(timedOut).Inc()
	d.log.Warn("termination not confirmed in time", openlog.WithTags(openlog.Tags{"appInstanceId": app, "graceful": a.Termination.Timeout}))
	d.takeUp(app)
}

// timeIsOver says whether a termination has lasted as long as it may. The wall clock decides
// nothing while this process sees it; after a start it says how long the termination had lasted
// before, but none ends before this process has seen it for its time, or for an hour.
func (e *entry) timeIsOver(now plugins.Instant) bool {
	return e.age.Expired(now, time.Duration(e.Termination.Timeout)*time.Second)
}
