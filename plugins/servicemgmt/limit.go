package servicemgmt

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// An application that crashes and registers anew would use up its limit with its own
// dead, and nobody could find it until their retention is over. So the SUSPENDED
// services of the same application and the same name make room, the oldest first.

// limit is how many services an application may have.
type limit struct {
	most int
	free bool // the SUSPENDED do not count
}

// claimant is a registration that wants a place among the services of its application.
type claimant struct {
	owner, name string
	id          heartbeat.ID
}

// reserve counts a registration in before it is made, so that the limit holds however
// many are on their way. If there is no place, dead are the services that must go for
// it: no more than that, and none that another registration waits for. They stay where
// they are until unreserve or the store says that they are gone.
func (x *index) reserve(c claimant, l limit) (dead []*item, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	over := x.taken(c.owner, l) + 1 - l.most
	if over > 0 {
		if dead = x.dead(c); len(dead) < over {
			return nil, false
		}
		dead = dead[:over]
		for _, it := range dead {
			x.leaving[it.id] = true
		}
	}
	if x.reserved[c.owner] == nil {
		x.reserved[c.owner] = map[heartbeat.ID]bool{}
	}
	x.reserved[c.owner][c.id] = true
	return dead, true
}

// taken is how many places an application has taken; x.mu is held.
func (x *index) taken(owner string, l limit) (n int) {
	for _, it := range x.byOwner[owner] {
		if !x.leaving[it.id] && !(l.free && it.state == heartbeat.Suspended) {
			n++
		}
	}
	for on := range x.reserved[owner] {
		if x.byID[on] == nil { // else it is made, and counted above
			n++
		}
	}
	return n
}

// dead are the services that may make room, the oldest first; x.mu is held.
func (x *index) dead(c claimant) (out []*item) {
	for _, it := range x.byOwner[c.owner] {
		if it.state == heartbeat.Suspended && it.svc.Info.SerName == c.name && !x.leaving[it.id] {
			out = append(out, it)
		}
	}
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

// stay has services that were to make room count again.
func (x *index) stay(dead []*item) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, it := range dead {
		delete(x.leaving, it.id)
	}
}

// admit reserves a place for a registration, and makes one if the limit is reached.
// Unless it returns an error the place must be released.
func (r *registry) admit(ctx context.Context, c claimant) error {
	l := limit{r.conf.Applications.MaxServices, r.conf.Derived.SuspendedIsFree}
	for range maxRounds {
		dead, ok := r.index.reserve(c, l)
		if !ok {
			return heartbeat.ErrLimit
		}
		made, err := r.displace(ctx, dead)
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

// displace removes services that are still as dead as they were when they were chosen;
// made says whether all of them were removed here, for this registration.
func (r *registry) displace(ctx context.Context, dead []*item) (made bool, err error) {
	for i, it := range dead {
		// The store compares the revision: what has come back to life is not removed.
		err := r.engine.Remove(ctx, it.id, it.svc.Owner, it.at)
		switch {
		case err == nil:
			r.displaced.Inc()
			r.host.Log.Warn("a suspended service made room for a new one of its application and name", openlog.WithTags(openlog.Tags{
				"serInstanceId": string(it.id), "appInstanceId": it.svc.Owner}))
			continue
		case errors.Is(err, heartbeat.ErrNotFound):
			// Somebody else removed it, so that its place may be taken already. It goes on
			// counting as gone until the watch shows that it is.
			r.index.stay(dead[i+1:])
			return false, nil
		case errors.Is(err, heartbeat.ErrStale):
			r.index.stay(dead[i:])
			err = r.engine.Refresh(ctx, it.id) // so that the next choice is made from what it is now
			if errors.Is(err, heartbeat.ErrNotFound) {
				err = nil
			}
			return false, err
		default:
			r.index.stay(dead[i:])
			return false, err
		}
	}
	return true, nil
}
