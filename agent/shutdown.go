package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// shutdown removes the services from the platform or leaves them there, as OnStop says; what
// the application has taken back is removed in any case. It ends with ctx, and its error
// counts the services that are still registered.
func (a *Agent) shutdown(ctx context.Context) error {
	leave := a.leaves()
	a.searchOnce(ctx, leave)
	registered := make(chan *registration)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	deregistered, left := 0, 0
	for range min(maxUrgent, len(a.registrations)) {
		wg.Go(func() {
			for r := range registered {
				toAnother, err := a.releaseAtTheEnd(ctx, r)
				mu.Lock()
				switch {
				case err != nil:
					failed = append(failed, fmt.Errorf("%s: %s", r.name, outcomeText(err, "")))
				case toAnother:
					left++
				default:
					deregistered++
				}
				mu.Unlock()
				if err == nil {
					a.locked(func() { r.step(removed); r.id = ""; a.recordSaved(r); a.report(r) })
				}
			}
		})
	}
	for _, r := range a.registrations {
		if r.id != "" && (!leave || r.takenBack) {
			registered <- r
		}
	}
	close(registered)
	wg.Wait()
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

// releaseAtTheEnd is release, and again when the platform asks for that, as far as the end leaves
// time: hundreds that go at once may be more than its store confirms in time.
func (a *Agent) releaseAtTheEnd(ctx context.Context, r *registration) (left bool, err error) {
	end, _ := ctx.Deadline()
	for {
		left, err = a.release(ctx, r)
		wait := retryAfter(err)
		if wait == 0 || time.Until(end) <= wait {
			return left, err
		}
		select {
		case <-ctx.Done():
			return left, err
		case <-time.After(wait):
		}
	}
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
