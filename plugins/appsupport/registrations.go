package appsupport

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// maxApplications bounds how much of the store a hostile client can fill.
	maxApplications = 10000
	maxRounds       = 4
	finishEvery     = time.Second
	// maxRemovals is how many things of one application are removed at a time. A removal may
	// take a second, such as that of a subscription whose consumer hangs.
	maxRemovals = 256
	// maxFinishing is how many applications finishLoop removes at a time.
	maxFinishing = 32
)

var _ server.Registrations = (*directory)(nil)

// RegisterApplication implements server.Registrations.
func (d *directory) RegisterApplication(ctx context.Context, info mp1.AppInfo) (mp1.AppInfo, error) {
	if d.count() >= maxApplications {
		return info, server.ErrTooManyRegistrations
	}
	if info.AppInstanceID == "" {
		info.AppInstanceID = plugins.NewUUID()
	}
	err := d.update(ctx, info.AppInstanceID, func(now plugins.Application) (*plugins.Application, error) {
		if now.At != 0 && !now.Leaving {
			return nil, server.ErrRegistered
		}
		return &plugins.Application{Info: info, At: now.At}, nil
	})
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
	return d.update(ctx, app, func(now plugins.Application) (*plugins.Application, error) {
		if err := checkCurrent(now, accepts); err != nil {
			return nil, err
		}
		return &plugins.Application{Info: info, At: now.At}, nil
	})
}

func checkCurrent(now plugins.Application, accepts func(mp1.AppInfo) bool) error {
	switch {
	case now.At == 0 || now.Leaving:
		return server.ErrNoRegistration
	case accepts != nil && !accepts(now.Info):
		return heartbeat.ErrStale
	}
	return nil
}

// update writes what next makes of the registration as it is in the store, and begins anew
// if somebody else wrote it in between.
func (d *directory) update(ctx context.Context, app string, next func(plugins.Application) (*plugins.Application, error)) error {
	for range maxRounds {
		now, err := d.store.Application(ctx, app)
		if err != nil {
			return heartbeat.ErrUnavailable
		}
		a, err := next(now)
		if err != nil {
			return err
		}
		a.At, err = d.store.SaveApplication(ctx, *a)
		switch {
		case err == nil:
			d.observe(*a, false)
			return nil
		case errors.Is(err, heartbeat.ErrFull):
			return heartbeat.ErrFull
		case !errors.Is(err, heartbeat.ErrConflict):
			return heartbeat.ErrUnavailable
		}
	}
	return heartbeat.ErrUnavailable
}

// DeregisterApplication implements server.Registrations. A request that was admitted before may still enter
// something while the application is removed. So the application is first marked as leaving,
// which ends its admission; then all it has is removed, before the response; and finishLoop
// removes the rest when no such request can be under way any more. If everybody is admitted,
// there is nothing to wait for.
func (d *directory) DeregisterApplication(ctx context.Context, app string, accepts func(mp1.AppInfo) bool) error {
	var gone plugins.Application
	err := d.update(ctx, app, func(now plugins.Application) (*plugins.Application, error) {
		if err := checkCurrent(now, accepts); err != nil {
			return nil, err
		}
		gone = now
		gone.Leaving = true
		return &gone, nil
	})
	if err != nil {
		return err
	}
	if d.beginRemoval(app) {
		defer d.endRemoval(app)
	}
	removed, err := d.removeOwned(ctx, gone)
	if err != nil {
		return err
	}
	d.log.Info("application removed", openlog.WithTags(openlog.Tags{"appInstanceId": app, "removed": removed}))
	if !d.open {
		return nil
	}
	return d.erase(ctx, gone)
}

// removeOwned removes all that a leaving application has, all kinds at the same time.
func (d *directory) removeOwned(ctx context.Context, gone plugins.Application) (removed int, err error) {
	kinds := d.owned()
	counts, errs := make([]int, len(kinds)), make([]error, len(kinds))
	var all sync.WaitGroup
	for i, b := range kinds {
		all.Go(func() { counts[i], errs[i] = d.removeKind(ctx, gone, b) })
	}
	all.Wait()
	for i := range kinds {
		removed += counts[i]
		err = cmp.Or(err, errs[i])
	}
	return removed, err
}

// removeKind removes what an application has of one kind. An application may register again
// meanwhile, and must not lose what it enters then: so the mark is read from the store after
// each listing, and what was listed before it was entered before the application could
// return. A thing that was removed may be listed until the watch has shown that, and is not
// waited for.
func (d *directory) removeKind(ctx context.Context, gone plugins.Application, b plugins.Owned) (removed int, err error) {
	app := gone.Info.AppInstanceID
	done := map[string]bool{}
	for ids := without(done, b.Of(app)); len(ids) > 0; ids = without(done, b.Of(app)) {
		now, err := d.store.Application(ctx, app)
		switch {
		case err != nil:
			return removed, heartbeat.ErrUnavailable
		case now.At != gone.At:
			return removed, nil // it registered again, or another replica has finished
		}
		n, err := removeAll(ids, func(id string) error { return b.Remove(ctx, app, id) })
		removed += n
		if err != nil {
			return removed, err
		}
		for _, id := range ids {
			done[id] = true
		}
	}
	return removed, nil
}

// removeAll removes many things at the same time, so that all take as long as the slowest. It
// goes on after an error, and returns the first.
func removeAll(ids []string, remove func(id string) error) (removed int, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	sem := make(chan struct{}, maxRemovals)
	for _, id := range ids {
		sem <- struct{}{}
		all.Go(func() {
			defer func() { <-sem }()
			failed := remove(id)
			mu.Lock()
			defer mu.Unlock()
			if failed == nil {
				removed++
			}
			err = cmp.Or(err, failed)
		})
	}
	all.Wait()
	return removed, err
}

func without(done map[string]bool, ids []string) []string {
	return slices.DeleteFunc(ids, func(id string) bool { return done[id] })
}

func (d *directory) erase(ctx context.Context, gone plugins.Application) error {
	at, err := d.store.EraseApplication(ctx, gone.Info.AppInstanceID, gone.At)
	switch {
	case err == nil:
		gone.At = at
		d.observe(gone, true)
		return nil
	case errors.Is(err, heartbeat.ErrConflict):
		return nil
	case errors.Is(err, heartbeat.ErrFull):
		return heartbeat.ErrFull
	default:
		return heartbeat.ErrUnavailable
	}
}

// finishLoop removes what is left of the applications that are leaving, also of those that
// left at another replica or before this process started. None waits for another.
func (d *directory) finishLoop(ctx context.Context) {
	t := time.NewTicker(finishEvery)
	defer t.Stop()
	var all sync.WaitGroup
	defer all.Wait()
	sem := make(chan struct{}, maxFinishing)
	least := settleTime
	if d.open {
		least = 0
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if !d.ready() {
			continue
		}
		for _, gone := range d.leavingFor(least) {
			app := gone.Info.AppInstanceID
			select {
			case sem <- struct{}{}:
			default:
				continue // at a later tick
			}
			if !d.beginRemoval(app) {
				<-sem
				continue
			}
			all.Go(func() {
				defer func() { d.endRemoval(app); <-sem }()
				if _, err := d.removeOwned(ctx, gone); err == nil {
					_ = d.erase(ctx, gone) // tried again at the next tick
				}
			})
		}
	}
}
