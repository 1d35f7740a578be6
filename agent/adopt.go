package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/mp1"
)

// list asks for the application's services. Without it a service would be registered
// twice that an earlier agent left there, or whose POST was carried out and its answer
// lost (ADR 0011). One list serves every service that is searching.
func (a *Agent) list(ctx context.Context) func(time.Time) {
	began := time.Now()
	list, err := a.platform.list(ctx)
	return func(now time.Time) {
		if err != nil && !permanent(err) {
			if a.searchFailures++; a.searchFailures == 1 {
				a.log.Warn("the platform does not answer; it is tried again", openlog.WithTags(openlog.Tags{"reason": outcomeText(err, "")}))
			}
			for _, r := range a.registrations {
				if r.stage == searching {
					r.lastAnswer = outcomeText(err, "")
				}
			}
			a.searchBy(now.Add(retryDelay(a.jitter.requestBackoff(a.searchFailures), err)))
			return
		}
		if a.searchFailures > 0 {
			a.log.Info("the platform answers again", openlog.WithTags(openlog.Tags{"failures": a.searchFailures}))
		}
		a.searchFailures = 0
		a.match(now, began, list)
	}
}

// searchBy has the application's services listed at the given time or earlier.
func (a *Agent) searchBy(at time.Time) {
	if a.searchTimer.index < 0 || at.Before(a.searchTimer.due) {
		a.searchTimer.due = at
		a.requests.put(&a.searchTimer)
	}
}

// match gives every searching service its registration, if the list has one, and has the
// others registered. A service whose wait was not over when the list was asked for, at
// began, needs a later list: see decidedBy.
func (a *Agent) match(now, began time.Time, list []mp1.ServiceInfo) {
	byID, taken := map[string]mp1.ServiceInfo{}, map[string]bool{}
	for _, info := range list {
		byID[info.SerInstanceID] = info
	}
	for _, r := range a.registrations {
		if r.id != "" {
			taken[r.id] = true
		}
	}
	// The ids of the state file count before any likeness: another service may look the same.
	for _, r := range a.registrations {
		s, ok := a.saved[r.name]
		if info, there := byID[s.ID]; r.decidedBy(began) && ok && there && !taken[s.ID] {
			taken[s.ID] = true
			a.adopt(r, now, info, "found again")
			if s.Digest != r.digest {
				r.step(updateDue)
				r.timer.due = now
				a.reschedule(r)
			}
		}
	}
	for _, exact := range []bool{true, false} {
		for _, r := range a.registrations {
			if r.decidedBy(began) {
				a.adoptFirst(r, now, list, taken, exact)
			}
		}
	}
	for _, r := range a.registrations {
		switch {
		case r.decidedBy(began):
			r.step(notListed)
			r.timer.due = now // its failures count on, for a list that works says nothing of writes
			a.reschedule(r)
		case r.stage == searching:
			a.searchBy(r.timer.due)
		}
	}
}

// adoptFirst adopts the first registration of the list that is this service's and no
// other's, if there is one.
func (a *Agent) adoptFirst(r *registration, now time.Time, list []mp1.ServiceInfo, taken map[string]bool, exact bool) {
	for _, info := range list {
		if !taken[info.SerInstanceID] && sameService(r.service.Info, info, exact) {
			taken[info.SerInstanceID] = true
			r.timer.due = now
			a.adopt(r, now, info, "found again")
			return
		}
	}
}

// sameService reports whether a registration that the platform shows is what we would
// register. Name and version are not enough: another agent of the application may offer
// the same service at another endpoint. If exact is false, the platform may also show no
// interval for a service of ours that has one, for then it requires no heartbeats.
func sameService(ours, shown mp1.ServiceInfo, exact bool) bool {
	if ours.SerName != shown.SerName || ours.Version != shown.Version || shown.SerInstanceID == "" {
		return false
	}
	if beats, required := ours.LivenessInterval != nil, shown.LivenessInterval != nil; beats != required && (exact || required) {
		return false
	}
	if ours.TransportInfo == nil {
		return true // transportId names a transport of the platform's own, which only it can show
	}
	if shown.TransportInfo == nil {
		return false
	}
	a, errA := json.Marshal(ours.TransportInfo.Endpoint)
	b, errB := json.Marshal(shown.TransportInfo.Endpoint)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}
