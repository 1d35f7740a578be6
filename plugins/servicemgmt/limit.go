package servicemgmt

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// An application that crashes and registers anew would reach its limit by its own SUSPENDED
// services, and nobody could find it until these are removed for their age. So the SUSPENDED
// services of the same application and the same name are removed for a new one, the oldest
// first.

// limit is how many services an application may have.
type limit struct {
	most          int
	suspendedFree bool // SUSPENDED services do not count
}

// claimant is a registration that is checked against the limit of its application.
type claimant struct {
	owner, name string
	id          heartbeat.ID
}

// reserve counts a registration before it is made; otherwise many requests at once would get
// past the limit. If the limit is reached, dead are the SUSPENDED services that must be
// removed for it: no more than that, and none that another registration removes. They do not
// count any more, until cancelRemoval, or until the store says that they are gone.
func (x *index) reserve(c claimant, l limit) (dead []*item, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	over := x.countedOf(c.owner, l) + 1 - l.most
	if over > 0 {
		if dead = x.suspendedOf(c); len(dead) < over {
			return nil, false
		}
		dead = dead[:over]
		for _, it := range dead {
			x.displacing[it.id] = true
		}
	}
	if x.reserved[c.owner] == nil {
		x.reserved[c.owner] = map[heartbeat.ID]bool{}
	}
	x.reserved[c.owner][c.id] = true
	return dead, true
}

// countedOf is how many services of an application count; x.mu is held.
func (x *index) countedOf(owner string, l limit) (n int) {
	x.byOwner.each(owner, func(it *item) {
		if x.counts(it, l) {
			n++
		}
	})
	for on := range x.reserved[owner] {
		if x.byID[on] == nil { // else it was made, and is counted above
			n++
		}
	}
	return n
}

// counts is false also for what cannot be read: nobody is shown it, so that its application cannot
// remove it, and registers anew.
func (x *index) counts(it *item, l limit) bool {
	return !it.unreadable && !x.displacing[it.id] && !(l.suspendedFree && it.state == heartbeat.Suspended)
}

// suspendedOf are the services that may be removed for a claimant, the oldest first; x.mu is
// held.
func (x *index) suspendedOf(c claimant) (out []*item) {
	x.byOwner.each(c.owner, func(it *item) {
		if it.state == heartbeat.Suspended && it.name == c.name && !x.displacing[it.id] && !it.unreadable {
			out = append(out, it)
		}
	})
	slices.SortFunc(out, older)
	return out
}

// older orders services by their registration.
func older(a, b *item) int { return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.id, b.id)) }

// release ends what reserve began for a registration that was made, or never will be.
func (x *index) release(c claimant) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if delete(x.reserved[c.owner], c.id); len(x.reserved[c.owner]) == 0 {
		delete(x.reserved, c.owner)
	}
}

// cancelRemoval has services count again that reserve chose for removal.
func (x *index) cancelRemoval(dead []*item) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, it := range dead {
		delete(x.displacing, it.id)
	}
}

// admit reserves a registration, and removes SUSPENDED services if the limit is reached.
// Unless it returns an error, the reservation must be released.
func (r *registry) admit(ctx context.Context, c claimant) error {
	l := limit{r.conf.Applications.MaxServices, r.conf.Derived.SuspendedIsFree}
	for range maxRounds {
		dead, ok := r.index.reserve(c, l)
		if !ok {
			return heartbeat.ErrLimit
		}
		made, err := r.removeDead(ctx, dead)
		if made {
			return nil
		}
		r.index.release(c)
		if err != nil {
			return err
		}
	}
	return heartbeat.ErrUnavailable
}

// removeDead removes services that are still SUSPENDED as they were when they were chosen;
// made says whether all of them were removed here, for this registration.
func (r *registry) removeDead(ctx context.Context, dead []*item) (made bool, err error) {
	for i, it := range dead {
		// The store compares the revision: a service that is ACTIVE again is not removed.
		err := r.engine.Remove(ctx, it.id, heartbeat.Removal{Owner: it.owner, IfAt: it.at})
		switch {
		case err == nil:
			r.displaced.Inc()
			r.host.Log.Warn("a suspended service made room for a new one of its application and name", openlog.WithTags(openlog.Tags{
				"serInstanceId": string(it.id), "appInstanceId": it.owner}))
			continue
		case errors.Is(err, heartbeat.ErrNotFound):
			// Somebody else removed it, and may have registered another one for it. It does not
			// count until the watch shows that it is gone.
			r.index.cancelRemoval(dead[i+1:])
			return false, nil
		case errors.Is(err, heartbeat.ErrStale):
			r.index.cancelRemoval(dead[i:])
			err = r.engine.Refresh(ctx, it.id) // so that the next choice is made from what it is now
			if errors.Is(err, heartbeat.ErrNotFound) {
				err = nil
			}
			return false, err
		default:
			r.index.cancelRemoval(dead[i:])
			return false, err
		}
	}
	return true, nil
}
