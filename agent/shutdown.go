package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// shutdown removes the services from the platform or leaves them there, as OnStop says; what
// the application has taken back is removed in any case. It ends with ctx, and its error
// counts the services that are still registered.
func (a *Agent) shutdown(ctx context.Context) error {
	leave := a.leaves()
	a.searchOnce(ctx, leave)
	var all []*departure
	for _, r := range a.registrations {
		if r.id != "" && (!leave || r.takenBack) {
			all = append(all, &departure{registration: r, err: errNotTried})
		}
	}
	a.releaseAll(ctx, all)
	var failed []error
	deregistered, left := 0, 0
	for _, d := range all {
		switch {
		case d.err != nil:
			failed = append(failed, fmt.Errorf("%s: %s", d.name, outcomeText(d.err, "")))
		case d.toAnother:
			left++
		default:
			deregistered++
		}
	}
	if leave {
		a.log.Info("stopped; the services are left at the platform")
	} else {
		a.log.Info("stopped", "deregistered", deregistered, "left to other agents", left)
	}
	if len(failed) > 0 {
		return fmt.Errorf("agent: %d services could not be deregistered, such as %w", len(failed), errors.Join(failed[0]))
	}
	return nil
}

var errNotTried = errors.New("there was no time to try")

// departure is a service that is released at the end, and what came of its last try.
type departure struct {
	*registration
	toAnother bool
	err       error
}

// releaseAll tries every service once, and then again, when its time has come, what the platform
// asks to be tried again: hundreds that go at once may be more than its store confirms in time. A
// service that waits holds up no other. It ends with ctx.
func (a *Agent) releaseAll(ctx context.Context, all []*departure) {
	ready := make(chan *departure, len(all)) // with room for all: each is in it once at most
	for _, d := range all {
		ready <- d
	}
	var open atomic.Int64
	open.Store(int64(len(all)))
	var wg sync.WaitGroup
	for range min(maxUrgent, len(all)) {
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case d := <-ready:
					if d == nil {
						return // closed: none is left
					}
					if wait := a.releaseAtTheEnd(ctx, d); wait > 0 {
						time.AfterFunc(wait, func() { ready <- d })
					} else if open.Add(-1) == 0 {
						close(ready)
					}
				}
			}
		})
	}
	wg.Wait()
}

// releaseAtTheEnd is release. It returns after what time the platform wants to be asked again, and
// something more, for it tells all services the same; 0 if that is never or beyond the end.
func (a *Agent) releaseAtTheEnd(ctx context.Context, d *departure) (again time.Duration) {
	d.toAnother, d.err = a.release(ctx, d.registration)
	if d.err == nil {
		a.locked(func() { d.step(removed); d.id = ""; a.recordSaved(d.registration); a.report(d.registration) })
	}
	end, _ := ctx.Deadline()
	wait := retryAfter(d.err)
	if wait == 0 || time.Until(end) <= wait {
		return 0
	}
	more := min(wait, time.Until(end)-wait) / 2
	a.locked(func() { wait += time.Duration(a.jitter() * float64(more)) })
	return wait
}

// searchOnce lists the application's services if a POST may have registered one without
// our knowing its id, for the end cut off the answer. It would be left behind otherwise. Where
// the services are left, that matters only for what the application has taken back.
func (a *Agent) searchOnce(ctx context.Context, leave bool) {
	unclear := false
	a.locked(func() {
		now := time.Now()
		for _, r := range a.registrations {
			unclear = unclear || r.unclear && (!leave || r.takenBack)
			if r.unclear {
				r.timer.due = now // its wait is over
			} else if r.stage == searching {
				r.timer.due = now.Add(shutdownTimeout) // what is found for it is not this agent's
			}
		}
	})
	if unclear {
		apply := a.list(ctx)
		a.locked(func() { apply(time.Now()) })
	}
}
