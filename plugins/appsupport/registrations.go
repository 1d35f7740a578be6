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
	// maxApplications bounds what a hostile registrar can fill the store with.
	maxApplications = 10000
	maxRounds       = 4
	finishEvery     = time.Second
	// removers is how many things of one application are removed at a time. A removal may
	// take a second, that of a subscription whose consumer hangs.
	removers = 256
	// finishers is how many applications are finished at a time.
	finishers = 32
)

var _ server.Registrations = (*directory)(nil)

// Enter implements server.Registrations.
func (d *directory) Enter(ctx context.Context, info mp1.AppInfo) (mp1.AppInfo, error) {
	if d.count() >= maxApplications {
		return info, server.ErrTooManyRegistrations
	}
	if info.AppInstanceID == "" {
		info.AppInstanceID = plugins.NewUUID()
	}
	err := d.decide(ctx, info.AppInstanceID, func(now plugins.Application) (*plugins.Application, error) {
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

// Change implements server.Registrations.
func (d *directory) Change(ctx context.Context, app string, info mp1.AppInfo, accepts func(mp1.AppInfo) bool) error {
	return d.decide(ctx, app, func(now plugins.Application) (*plugins.Application, error) {
		if err := current(now, accepts); err != nil {
			return nil, err
		}
		return &plugins.Application{Info: info, At: now.At}, nil
	})
}

func current(now plugins.Application, accepts func(mp1.AppInfo) bool) error {
	switch {
	case now.At == 0 || now.Leaving:
		return server.ErrNoRegistration
	case accepts != nil && !accepts(now.Info):
		return heartbeat.ErrStale
	}
	return nil
}

// decide writes what next makes of the registration as it is in the store, and
// begins anew if somebody else was faster.
func (d *directory) decide(ctx context.Context, app string, next func(plugins.Application) (*plugins.Application, error)) error {
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
			d.note(*a, false)
			return nil
		case errors.Is(err, heartbeat.ErrFull):
			return heartbeat.ErrFull
		case !errors.Is(err, heartbeat.ErrConflict):
			return heartbeat.ErrUnavailable
		}
	}
	return heartbeat.ErrUnavailable
}

// Leave implements server.Registrations. First the application is marked, so that it
// is not admitted any more; what it has goes before the answer; what a request that
// was admitted before has entered meanwhile goes when none can be under way any more.
// If everybody is admitted there is nothing to wait for.
func (d *directory) Leave(ctx context.Context, app string, accepts func(mp1.AppInfo) bool) error {
	var gone plugins.Application
	err := d.decide(ctx, app, func(now plugins.Application) (*plugins.Application, error) {
		if err := current(now, accepts); err != nil {
			return nil, err
		}
		gone = now
		gone.Leaving = true
		return &gone, nil
	})
	if err != nil {
		return err
	}
	if d.begin(app) {
		defer d.end(app)
	}
	removed, err := d.clear(ctx, gone)
	if err != nil {
		return err
	}
	d.log.Info("application removed", openlog.WithTags(openlog.Tags{"appInstanceId": app, "removed": removed}))
	if !d.open {
		return nil
	}
	return d.erase(ctx, gone)
}

// clear removes all that a leaving application has, of each kind at the same time.
func (d *directory) clear(ctx context.Context, gone plugins.Application) (removed int, err error) {
	kinds := d.owned()
	counts, errs := make([]int, len(kinds)), make([]error, len(kinds))
	var all sync.WaitGroup
	for i, b := range kinds {
		all.Go(func() { counts[i], errs[i] = d.clearKind(ctx, gone, b) })
	}
	all.Wait()
	for i := range kinds {
		removed += counts[i]
		err = cmp.Or(err, errs[i])
	}
	return removed, err
}

// clearKind removes what an application has of one kind. What is listed before the mark
// is read from the store was entered before the application could return, so that a
// returned one loses nothing. What was removed may be listed until the watch has shown
// its end, and is not waited for.
func (d *directory) clearKind(ctx context.Context, gone plugins.Application, b plugins.Owned) (removed int, err error) {
	app := gone.Info.AppInstanceID
	done := map[string]bool{}
	for ids := unless(done, b.Of(app)); len(ids) > 0; ids = unless(done, b.Of(app)) {
		now, err := d.store.Application(ctx, app)
		switch {
		case err != nil:
			return removed, heartbeat.ErrUnavailable
		case now.At != gone.At:
			return removed, nil // it is back, or another replica has finished
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

// removeAll removes many things side by side, so that the slow ones cost the time of the
// slowest. It goes on after an error, and returns the first.
func removeAll(ids []string, remove func(id string) error) (removed int, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	lane := make(chan struct{}, removers)
	for _, id := range ids {
		lane <- struct{}{}
		all.Go(func() {
			defer func() { <-lane }()
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

func unless(done map[string]bool, ids []string) []string {
	return slices.DeleteFunc(ids, func(id string) bool { return done[id] })
}

func (d *directory) erase(ctx context.Context, gone plugins.Application) error {
	at, err := d.store.EraseApplication(ctx, gone.Info.AppInstanceID, gone.At)
	switch {
	case err == nil:
		gone.At = at
		d.note(gone, true)
		return nil
	case errors.Is(err, heartbeat.ErrConflict):
		return nil
	case errors.Is(err, heartbeat.ErrFull):
		return heartbeat.ErrFull
	default:
		return heartbeat.ErrUnavailable
	}
}

// finish carries on with the applications that are leaving, also those that another
// replica or an earlier process began with. None waits for another.
func (d *directory) finish(ctx context.Context) {
	t := time.NewTicker(finishEvery)
	defer t.Stop()
	var all sync.WaitGroup
	defer all.Wait()
	lane := make(chan struct{}, finishers)
	least := settle
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
		for _, gone := range d.leaving(least) {
			app := gone.Info.AppInstanceID
			select {
			case lane <- struct{}{}:
			default:
				continue // at a later tick
			}
			if !d.begin(app) {
				<-lane
				continue
			}
			all.Go(func() {
				defer func() { d.end(app); <-lane }()
				if _, err := d.clear(ctx, gone); err == nil {
					_ = d.erase(ctx, gone) // tried again at the next tick
				}
			})
		}
	}
}
