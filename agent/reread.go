package agent

import (
	"context"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// rereadInterval is how often the registration of a service without heartbeats is read, where
// the platform keeps agents. No heartbeat tells that the platform has lost it, or that a newer
// agent has asked for heartbeats and is gone: it would be suspended then.
const rereadInterval = 30 * time.Second

// reread reads the registration of a service without heartbeats.
func (a *Agent) reread(r *registration) job {
	id := r.id
	return func(ctx context.Context) func(time.Time) {
		info, err := a.platform.service(ctx, id)
		return func(now time.Time) { a.rereadDone(r, now, info, err) }
	}
}

// rereadDone takes the outcome. A description that a newer agent has changed is left.
func (a *Agent) rereadDone(r *registration, now time.Time, info mp1.ServiceInfo, err error) {
	wait := a.jitter.shorten(rereadInterval)
	r.rereadAt = now.Add(max(wait, retryDelay(wait, err)))
	r.lastAnswer = outcomeText(err, "200")
	switch {
	case statusOf(err) == http.StatusNotFound:
		a.reregister(r, now)
		return
	case err == nil:
		r.losses, r.isInactive = 0, info.State == mp1.Inactive
		if path, _, _ := livenessPath(info); path != "" && info.LivenessInterval != nil && *info.LivenessInterval > 0 {
			info.SerInstanceID = r.id
			a.adopt(r, now, info, "requires heartbeats now")
			a.joinAgain(r) // the platform forgets the agents of what it suspends
			return
		}
	}
	a.reschedule(r)
}
