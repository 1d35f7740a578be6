package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// end lets the services go as OnStop says, for as long as ctx allows.
func (a *Agent) end(ctx context.Context) error {
	if a.o.OnStop == Leave {
		a.log.Info("stopped; the services are left at the platform")
		return nil
	}
	a.resolve(ctx)
	registered := make(chan *entry)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	removed := 0
	for range workers {
		wg.Go(func() {
			for e := range registered {
				err := a.platform.remove(ctx, e.id)
				mu.Lock()
				if err != nil && status(err) != http.StatusNotFound {
					failed = append(failed, fmt.Errorf("%s: %s", e.name, answer(err, "")))
				} else {
					removed++
					a.locked(func() { e.stage, e.id = absent, ""; a.remember(e) })
				}
				mu.Unlock()
			}
		})
	}
	for _, e := range a.entries {
		if e.id != "" {
			registered <- e
		}
	}
	close(registered)
	wg.Wait()
	a.log.Info(fmt.Sprintf("stopped; %d services deregistered", removed))
	if len(failed) > 0 {
		return fmt.Errorf("agent: %d services could not be deregistered, such as %w", len(failed), errors.Join(failed[0]))
	}
	return nil
}

// resolve finds registrations whose answer was cut off by the end.
func (a *Agent) resolve(ctx context.Context) {
	unclear := false
	for _, e := range a.entries {
		unclear = unclear || e.stage == unsure
	}
	if unclear {
		settle := a.find(ctx)
		a.locked(func() { settle(time.Now()) })
	}
}
