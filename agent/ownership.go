package agent

import (
	"context"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// What an agent does because it may not be the only one of a registration (ADR 0030): it
// joins what it finds, joins again after a silence, and takes away nothing that another
// one keeps alive.

// description is what a PUT sends: the configuration, and the INACTIVE that the application
// has set at the platform meanwhile. An agent that joined a registration in a rolling update
// would set it ACTIVE otherwise. With Service.OwnState the application has had its say.
func (r *registration) description() mp1.ServiceInfo {
	info := r.service.Info
	changed := r.registeredDigest != "" && r.registeredDigest != r.digest
	if r.isInactive && info.State == mp1.Active && !changed && !r.service.OwnState {
		info.State = mp1.Inactive
	}
	return info
}

// overrulesState reports whether the platform shows a service INACTIVE whose application says
// that it is ACTIVE.
func (r *registration) overrulesState() bool {
	return r.isInactive && r.service.OwnState && r.service.Info.State == mp1.Active
}

// missedBeats is how many intervals without a heartbeat that was taken may have had the
// service suspended, where no miss is allowed. The platform forgets its agents then. No
// heartbeat that is in time is as late.
const missedBeats = 1.1

// silentBefore reports whether the service may have been suspended before a heartbeat that
// was sent then and has been taken.
func (r *registration) silentBefore(sent time.Time) bool {
	return !r.lastBeat.IsZero() && sent.Sub(r.lastBeat).Seconds() > missedBeats*r.interval.Seconds()
}

// joinAgain has a PUT sent after the next heartbeat that is taken, where the platform keeps
// agents: it may have forgotten this one, or keeps them only since it was replaced.
func (a *Agent) joinAgain(r *registration) {
	if !r.updatePending && !r.joinRefused && a.platform.keepsAgents() {
		r.updatePending, r.updateNotBefore, r.onlyJoins = true, time.Time{}, true
	}
}

// put sends the PUT of a service. An agent that joins again sends what the platform shows:
// a newer agent may have changed the description meanwhile, and must not be overruled.
func (a *Agent) put(r *registration) func(context.Context) (mp1.ServiceInfo, error) {
	id, interval, description := r.id, r.interval, r.description()
	if r.onlyJoins && r.registeredDigest == r.digest {
		return func(ctx context.Context) (mp1.ServiceInfo, error) { return a.platform.rejoin(ctx, id, interval) }
	}
	return func(ctx context.Context) (mp1.ServiceInfo, error) {
		return a.platform.update(ctx, id, interval, description)
	}
}

// entered reports whether the platform counts this agent, as far as it counts any: only
// then may an orchestrator stop the agent before it.
func (a *Agent) entered(r *registration) bool {
	return r.joined || !a.platform.keepsAgents() || r.stage == unmonitored && !r.updatePending
}

// ownStamp is what the platform told of a heartbeat of ours, by its own clock.
type ownStamp struct {
	stamp, sent time.Time
	took        time.Duration // from the sending to the answer
}

// learnStamp takes what the platform tells right after the heartbeat that was sent last.
func (r *registration) learnStamp(info mp1.ServiceLivenessInfo) {
	if stamp := stampOf(info); !stamp.IsZero() && !r.lastBeat.IsZero() {
		r.own = ownStamp{stamp, r.lastBeat, r.lastTook}
	}
}

// stampError is how much the stamps of two heartbeats may differ from the time between them,
// beside the time that the two took. Some platforms tell whole seconds only.
func stampError(a, b time.Time) time.Duration {
	if a.Nanosecond() == 0 || b.Nanosecond() == 0 {
		return time.Second
	}
	return 50 * time.Millisecond
}

// later reports whether a stamp is of a later heartbeat than our last one. The clock of the
// platform need not be right, nor that of this machine.
func (r *registration) later(stamp time.Time) bool {
	last := r.own.stamp.Add(r.lastBeat.Sub(r.own.sent)) // by the monotonic clock
	return stamp.Sub(last) > r.own.took+r.lastTook+stampError(stamp, r.own.stamp)
}

// stampOf is when the platform took the last heartbeat, zero if it does not say.
func stampOf(info mp1.ServiceLivenessInfo) time.Time {
	if info.TimeStamp.Seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(info.TimeStamp.Seconds), int64(info.TimeStamp.NanoSeconds))
}

// keptByAnother reports whether somebody else sends heartbeats to a registration, where the
// platform keeps no agents: its last heartbeat is later than ours.
func (a *Agent) keptByAnother(ctx context.Context, r *registration) bool {
	switch {
	case !r.needsHeartbeats(), r.posted && r.lastBeat.IsZero():
		return false // there is nothing to tell it by, or there was no time for it
	case r.lastBeat.IsZero():
		return true // it was found, and this agent has not kept it alive for a moment
	case r.own.stamp.IsZero():
		return false
	}
	info, err := a.platform.liveness(ctx, r.livenessPath, r.interval)
	stamp := stampOf(info)
	return err == nil && !stamp.IsZero() && r.later(stamp)
}

// release takes a service away from the platform, unless another agent keeps it alive: then
// left is true. It reads r, which nobody may change meanwhile.
func (a *Agent) release(ctx context.Context, r *registration) (left bool, err error) {
	counted := a.platform.keepsAgents()
	if !counted && a.keptByAnother(ctx, r) {
		return true, nil
	}
	err = a.platform.remove(ctx, r.id)
	switch s := statusOf(err); {
	case s == http.StatusNotFound:
		return false, nil
	case s == http.StatusConflict && counted:
		return true, nil
	}
	return false, err
}
