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
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/failpoint"
)

const (
	finishEvery = time.Second
	// takeOver is how long a replica leaves the removal to the one that marked the application,
	// which may have ended since.
	takeOver = 2 * time.Second
	// maxRemovals is how many things of one application are removed at a time. A removal may
	// take a second, such as that of a subscription whose consumer hangs.
	maxRemovals = 256
	// maxFinishing is how many applications finishLoop is busy with at a time. Each may take a
	// second, for a consumer that hangs.
	maxFinishing = 256
)

// remove removes all that an application has that is being removed, and erases what is kept of it
// if that is the last time.
func (d *directory) remove(ctx context.Context, gone plugins.Application, last bool) error {
	if failpoint.On {
		_ = failpoint.Hit("removal.begins")
	}
	removed, err := d.removeOwned(ctx, gone)
	if err != nil {
		return err
	}
	if failpoint.On {
		_ = failpoint.Hit("removal.ends")
	}
	if d.removedOnce(gone) || removed > 0 {
		d.log.Info("application removed", openlog.WithTags(openlog.Tags{"appInstanceId": gone.Info.AppInstanceID, "removed": removed}))
	}
	if !last {
		return nil
	}
	return d.erase(ctx, gone)
}

// removeRest removes what is left of an application's last life, if it is being removed.
func (d *directory) removeRest(ctx context.Context, now plugins.Application) error {
	if !stateOf(now).isRemoved() {
		return nil
	}
	_, err := d.removeOwned(ctx, now)
	return err
}

// removeOwned removes all that a leaving application has, all kinds at the same time, and again
// until nothing was left: what was under way may have entered something of another kind, such as
// the rules of a configuration that was being carried out.
func (d *directory) removeOwned(ctx context.Context, gone plugins.Application) (removed int, err error) {
	kinds := d.owned()
	done := make([]map[string]bool, len(kinds))
	for i := range done {
		done[i] = map[string]bool{}
	}
	for more := true; more && err == nil; {
		counts, errs := make([]int, len(kinds)), make([]error, len(kinds))
		var all sync.WaitGroup
		for i, b := range kinds {
			all.Go(func() { counts[i], errs[i] = d.removeKind(ctx, gone, b, done[i]) })
		}
		all.Wait()
		more = false
		for i := range kinds {
			removed += counts[i]
			more = more || counts[i] > 0
			err = cmp.Or(err, errs[i])
		}
	}
	return removed, err
}

// removeKind removes what an application has of one kind. An application may register again
// meanwhile, and must not lose what it enters then: so the mark is read from the store after
// each listing, and what was listed before it was entered before the application could
// return. A thing that was removed may be listed until the watch has shown that, and is not
// waited for: done are those.
func (d *directory) removeKind(ctx context.Context, gone plugins.Application, b plugins.Owned, done map[string]bool) (removed int, err error) {
	app := gone.Info.AppInstanceID
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
		d.counts.finished(gone)
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

// finishLoop ends the time of applications that do not confirm their termination, and removes
// what is left of those that are being removed: also of those that left at another replica or
// before this process started. None waits for another.
func (d *directory) finishLoop(ctx context.Context) {
	t := time.NewTicker(finishEvery)
	defer t.Stop()
	var all sync.WaitGroup
	defer all.Wait()
	sem := make(chan struct{}, maxFinishing)
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-d.wake:
		}
		if !d.ready() {
			continue
		}
		for _, w := range d.due() {
			select {
			case sem <- struct{}{}:
			default:
				continue // at a later tick
			}
			if !d.beginRemoval(w.Info.AppInstanceID) {
				<-sem
				continue
			}
			all.Go(func() {
				defer func() { d.endRemoval(w.Info.AppInstanceID); <-sem }()
				if stateOf(w.Application) == terminating {
					d.endTime(ctx, w.Application)
				} else {
					_ = d.remove(ctx, w.Application, w.last) // tried again at the next tick
				}
			})
		}
	}
}
