package kong

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// lookEvery is how often Kong's lists are compared with what it should have: somebody may have
	// changed it, or it may have lost its database.
	lookEvery   = 30 * time.Second
	leadEvery   = time.Second // how often a replica looks whether it is the one that publishes
	maxWorkers  = 8           // services that are looked after at a time
	firstRetry  = time.Second
	longestWait = 15 * time.Second
	// saveTimeout bounds the writes of the entries of one service.
	saveTimeout = 10 * time.Second
)

// Run keeps Kong as it is to be until ctx ends.
func (g *Gateway) Run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := g.step(ctx)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-g.services.signal:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// step does what is due, and says after which time there may be more without a signal.
func (g *Gateway) step(ctx context.Context) time.Duration {
	switch lead := g.options.Rank() <= 1; {
	case !lead || !g.options.Ready() || !g.Loaded():
		if !lead {
			g.services.idle()
			g.report.reset()
		}
		g.leading = g.leading && lead
		return leadEvery
	case !g.leading: // nothing is known of what happened before
		g.leading, g.published, g.refused, g.failures, g.resumeAt, g.lookAt = true, map[string]string{}, map[string]bool{}, 0, 0, 0
		g.services.all()
	}
	now, _ := g.options.Clock()
	if now < g.resumeAt {
		return g.resumeAt - now
	}
	if now >= g.lookAt {
		if err := g.look(ctx); err != nil {
			return g.failed(ctx, err)
		}
		g.lookAt = now + lookEvery
	}
	if err := g.settleDue(ctx); err != nil {
		return g.failed(ctx, err)
	}
	g.failures = 0
	g.report.working()
	now, _ = g.options.Clock()
	return max(min(g.lookAt-now, leadEvery), time.Millisecond)
}

// failed has everything wait for a while. What was lost meanwhile is found by the next look.
func (g *Gateway) failed(ctx context.Context, err error) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	g.failures++
	wait := min(firstRetry<<min(g.failures-1, 10), longestWait)
	now, _ := g.options.Clock()
	g.resumeAt, g.lookAt = now+wait, 0
	g.report.publishingFails(err)
	return wait
}

// look compares Kong's lists with what it should have, and has what is missing published again.
func (g *Gateway) look(ctx context.Context) error {
	there, err := g.admin.published(ctx)
	if err != nil {
		return err
	}
	g.refused = map[string]bool{}
	known := map[string]string{}
	var missing []heartbeat.ID
	all := g.services.list()
	for i := range all {
		s := &all[i]
		_, differs, links := s.plan()
		for name, link := range links {
			// What was published by a run before leads where it led: a name is of one endpoint.
			if there[name] && (g.published[name] == link || g.published[name] == "") {
				known[name] = link
			} else {
				differs = true
			}
		}
		if differs || len(s.entries.Removed) > 0 {
			missing = append(missing, s.id)
		}
	}
	g.published = known
	g.services.retry(missing...)
	return nil
}

// settleDue looks after the services that are due, some at once. Those that cannot be finished are
// due again. A store that is full takes removals, so that what fails there ends nothing; Kong's
// failures do.
func (g *Gateway) settleDue(ctx context.Context) (failure error) {
	var mu sync.Mutex // of what follows, g.published and g.refused
	var again []heartbeat.ID
	fails := false // Kong does
	for ids := g.services.nextDue(maxWorkers); len(ids) > 0 && ctx.Err() == nil; ids = g.services.nextDue(maxWorkers) {
		var work sync.WaitGroup
		for _, id := range ids {
			work.Go(func() {
				err := g.settle(ctx, id, &mu)
				if err == nil {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				again = append(again, id)
				full := errors.Is(err, heartbeat.ErrFull)
				if fails = fails || !full; failure == nil || !full {
					failure = err
				}
			})
		}
		work.Wait()
		if fails {
			break
		}
	}
	g.services.retry(again...)
	return failure
}

// settle has Kong be as it is to be for one service. What is about to be published is stored
// before, and what is removed is stored until Kong has confirmed it, so that a crash at any point
// leaves nothing behind that nobody knows.
func (g *Gateway) settle(ctx context.Context, id heartbeat.ID, mu *sync.Mutex) error {
	s, ok := g.services.get(id)
	if !ok {
		return nil
	}
	if s.attributes == "" && len(s.entries.Names) > 0 {
		// The entries may have been shown before the service. Its names must not be lost.
		if there, err := g.options.Exists(ctx, id); err != nil {
			return storeError{err}
		} else if there {
			return nil
		}
	}
	next, differs, links := s.plan()
	if differs {
		var err error
		if next, err = g.save(ctx, next); err != nil {
			return unsaved(err)
		}
	}
	for name, link := range links {
		mu.Lock()
		skip := g.published[name] == link || g.refused[name]
		mu.Unlock()
		if skip {
			continue
		}
		err := g.admin.publish(ctx, name, link)
		refused := errors.Is(err, errRefused)
		if err != nil && !refused {
			return err
		}
		mu.Lock()
		if refused {
			g.refused[name] = true
		} else {
			g.published[name] = link
		}
		mu.Unlock()
		g.report.entry(id, name, err)
	}
	return g.removeAll(ctx, next, mu)
}

// removeAll has Kong forget the removed names of a service, and then the store.
func (g *Gateway) removeAll(ctx context.Context, e plugins.GatewayEntries, mu *sync.Mutex) error {
	var left []string
	for _, name := range e.Removed {
		mu.Lock()
		delete(g.published, name)
		skip := g.refused[name]
		mu.Unlock()
		if skip {
			left = append(left, name)
			continue
		}
		err := g.admin.remove(ctx, name)
		if err != nil && !errors.Is(err, errRefused) {
			return err
		}
		if err != nil {
			left = append(left, name)
			mu.Lock()
			g.refused[name] = true
			mu.Unlock()
		}
		g.report.entry(e.ID, name, err)
	}
	if len(left) == len(e.Removed) && (len(e.Names) > 0 || len(left) > 0 || e.At == 0) {
		return nil
	}
	e.Removed = left
	if _, err := g.save(ctx, e); err != nil {
		return unsaved(err)
	}
	return nil
}

// save writes the entries of a service, or erases them if there is nothing left of them.
func (g *Gateway) save(ctx context.Context, e plugins.GatewayEntries) (plugins.GatewayEntries, error) {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	var err error
	if len(e.Names)+len(e.Removed) > 0 {
		if e.At, err = g.options.Store.SaveGatewayEntries(ctx, e); err == nil {
			g.services.saved(e)
		}
		return e, err
	}
	if e.At == 0 {
		return e, nil
	}
	at, err := g.options.Store.EraseGatewayEntries(ctx, e.ID, e.At)
	if err == nil {
		e.At = at
		g.services.saved(e)
		e.At = 0
	}
	return e, err
}

// unsaved is what becomes of a write that failed. After a conflict the store shows what there is,
// and the service is due again.
func unsaved(err error) error {
	if errors.Is(err, heartbeat.ErrConflict) {
		return nil
	}
	return storeError{err}
}

// storeError says that the store, and not Kong, fails.
type storeError struct{ error }

func (e storeError) Unwrap() error { return e.error }
