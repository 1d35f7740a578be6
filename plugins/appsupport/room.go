package appsupport

import (
	"context"

	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// makeRoom refuses what would be one application too many. Of those that did not register the one
// that was ready longest ago is forgotten instead: nobody removes these, so that all that ever
// said that they are ready would fill the platform for good.
func (d *directory) makeRoom(ctx context.Context, was, now plugins.Application) error {
	if was.At != 0 && was.Unregistered == now.Unregistered {
		return nil
	}
	n, oldest := d.countLike(now)
	switch {
	case n < maxApplications:
		return nil
	case !now.Unregistered || oldest.At == 0:
		return server.ErrTooManyRegistrations
	}
	return d.erase(ctx, oldest)
}

// countLike is of how many applications something is kept that registered, or did not, as a; and
// which of those that did not, and are not being terminated, was ready longest ago.
func (d *directory) countLike(a plugins.Application) (n int, oldest plugins.Application) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.apps) < maxApplications { // whatever they are
		return len(d.apps), oldest
	}
	for _, e := range d.apps {
		if e.Unregistered != a.Unregistered || e.erased {
			continue
		}
		n++
		if stateOf(e.Application) == unregistered && (oldest.At == 0 || e.ReadyAt < oldest.ReadyAt) {
			oldest = e.Application
		}
	}
	return n, oldest
}
