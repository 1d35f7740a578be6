package servicemgmt

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// maxRounds is how often a change is tried again because the service changed in between.
const maxRounds = 64

// stateOf is the engine's value for a state of Mp1. It fails for one that the engine does not
// have: taken for ACTIVE, an instance would be discovered that should not.
func stateOf(s mp1.State) (heartbeat.State, error) {
	switch s {
	case mp1.Active:
		return heartbeat.Active, nil
	case mp1.Inactive:
		return heartbeat.Inactive, nil
	case mp1.Suspended:
		return heartbeat.Suspended, nil
	default:
		return heartbeat.None, fmt.Errorf("the engine has no state %q", s)
	}
}

// Update implements server.Registry.
func (r *registry) Update(ctx context.Context, by server.Caller, id string, info mp1.ServiceInfo, c server.Condition) (*server.Service, error) {
	for range idRounds {
		svc, err := r.update(ctx, by, id, info, c)
		if !errors.Is(err, heartbeat.ErrTaken) {
			return svc, err
		}
	}
	return nil, heartbeat.ErrUnavailable
}

func (r *registry) update(ctx context.Context, by server.Caller, id string, info mp1.ServiceInfo, c server.Condition) (*server.Service, error) {
	state, err := stateOf(info.State)
	if err != nil {
		return nil, err
	}
	place, err := r.host.Base.Place(ctx, heartbeat.ID(id), by.App, info)
	if err != nil {
		return nil, heartbeat.ErrUnavailable
	}
	u := heartbeat.Update{Owner: by.App, Agent: by.Agent, Place: place, State: state, Proposed: heartbeat.KeepInterval}
	if info.LivenessInterval != nil {
		u.Proposed = *info.LivenessInterval
	}
	var after heartbeat.Record
	keeps := info.TransportInfo == nil
	err = r.retryStale(ctx, id, c, keeps, func(it *item, at heartbeat.Revision) (err error) {
		if keeps {
			svc := it.service()
			if svc == nil {
				return heartbeat.ErrUnusable
			}
			info.TransportInfo, info.TransportID = svc.Info().TransportInfo, cmp.Or(info.TransportID, svc.Info().TransportID)
		}
		u.IfAt = at
		if u.Attributes, err = attributes(info); err != nil {
			return err
		}
		after, err = r.engine.Update(ctx, heartbeat.ID(id), u)
		return refusal(err, &after)
	})
	if err != nil {
		return nil, err
	}
	return r.index.serviceOf(&after)
}

// Remove implements server.Registry.
func (r *registry) Remove(ctx context.Context, by server.Caller, id string, c server.Condition) error {
	return r.retryStale(ctx, id, c, false, func(_ *item, at heartbeat.Revision) error {
		return r.engine.Remove(ctx, heartbeat.ID(id), heartbeat.Removal{Owner: by.App, Agent: by.Agent, AtPlace: by.AtPlace, IfAt: at})
	})
}

// retryStale makes a change to the very version of a service that the condition accepts: the
// store compares its revision. The revision also grows without a change of the service, when
// its lease is moved, and a change by another replica may not have been seen here yet; so
// after ErrStale it looks again, and tries again. pinned says that the revision must be
// compared even without a condition.
func (r *registry) retryStale(ctx context.Context, id string, c server.Condition, pinned bool, change func(*item, heartbeat.Revision) error) error {
	for range maxRounds {
		it, err := r.item(ctx, id)
		if err != nil {
			return err
		}
		at := it.at
		if c == nil && !pinned {
			at = 0
		}
		svc := it.service()
		if svc == nil {
			return heartbeat.ErrNotFound
		}
		if c == nil || c(svc) {
			if err := change(it, at); !errors.Is(err, heartbeat.ErrStale) {
				return err
			}
		}
		if err := r.engine.Refresh(ctx, heartbeat.ID(id)); err != nil {
			return err
		}
		if now := r.index.get(heartbeat.ID(id)); now != nil && now.at == it.at {
			break // this replica was not behind
		}
	}
	if c == nil {
		return heartbeat.ErrUnavailable
	}
	return heartbeat.ErrStale
}

// owned are the services of an application, which are removed together with it.
type owned struct{ r *registry }

// Of implements plugins.Owned.
func (b owned) Of(app string) []string {
	all := b.r.index.find(app, mp1.Filter{})
	out := make([]string, len(all))
	for i, it := range all {
		out[i] = string(it.id)
	}
	return out
}

// Remove implements plugins.Owned.
func (b owned) Remove(ctx context.Context, app, id string) error {
	err := b.r.engine.Remove(ctx, heartbeat.ID(id), heartbeat.Removal{Owner: app})
	if errors.Is(err, heartbeat.ErrNotFound) {
		return nil
	}
	return err
}
