package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// deregister lets the services go as OnStop says, for as long as ctx allows.
func (a *Agent) deregister(ctx context.Context) error {
	if a.options.OnStop == Leave {
		a.log.Info("stopped; the services are left at the platform")
		return nil
	}
	a.searchOnce(ctx)
	registered := make(chan *registration)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	deregistered := 0
	for range requestWorkers {
		wg.Go(func() {
			for r := range registered {
				err := a.platform.remove(ctx, r.id)
				mu.Lock()
				if err != nil && statusOf(err) != http.StatusNotFound {
					failed = append(failed, fmt.Errorf("%s: %s", r.name, outcomeText(err, "")))
				} else {
					deregistered++
					a.locked(func() { r.step(removed); r.id = ""; a.recordSaved(r) })
				}
				mu.Unlock()
			}
		})
	}
	for _, r := range a.registrations {
		if r.id != "" {
			registered <- r
		}
	}
	close(registered)
	wg.Wait()
	a.log.Info(fmt.Sprintf("stopped; %d services deregistered", deregistered))
	if len(failed) > 0 {
		return fmt.Errorf("agent: %d services could not be deregistered, such as %w", len(failed), errors.Join(failed[0]))
	}
	return nil
}

// searchOnce finds registrations whose answer was cut off by the end.
func (a *Agent) searchOnce(ctx context.Context) {
	unclear := false
	for _, r := range a.registrations {
		unclear = unclear || r.stage == searching
	}
	if unclear {
		settle := a.list(ctx)
		a.locked(func() { settle(time.Now()) })
	}
}
