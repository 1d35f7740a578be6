package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/mp1"
)

// list lists the application's services: some of them may be ours from an earlier
// life, or from a registration whose answer was lost. One list serves every service
// that is unsure.
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

// searchBy has the application's services listed at a time, or before.
func (a *Agent) searchBy(at time.Time) {
	if a.searchTimer.index < 0 || at.Before(a.searchTimer.due) {
		a.searchTimer.due = at
		a.requests.put(&a.searchTimer)
	}
}

// permanent: the refusal of a list is not a failure that passes. What was to be found
// in it is then registered, or not, by its own answer.
func permanent(err error) bool {
	switch s := statusOf(err); s {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	default:
		return s >= 400 && s < 500
	}
}

// match gives every unsure service its registration, if the list has it, and has the
// others registered. Whose wait was not over when it was asked for needs another.
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
	for _, r := range a.registrations { // those that are remembered choose first
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
			r.timer.due = now // its failures count on: a list says nothing of writes
			a.reschedule(r)
		case r.stage == searching:
			a.searchBy(r.timer.due)
		}
	}
}

// adoptFirst takes the first registration that is the same, if there is one.
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

// sameService tells whether what the platform shows is what we would register: another agent
// of the application may offer a service of the same name elsewhere. Not exactly, it
// may show no interval where we send heartbeats: then it requires none.
func sameService(ours, shown mp1.ServiceInfo, exact bool) bool {
	if ours.SerName != shown.SerName || ours.Version != shown.Version || shown.SerInstanceID == "" {
		return false
	}
	if beats, required := ours.LivenessInterval != nil, shown.LivenessInterval != nil; beats != required && (exact || required) {
		return false
	}
	if ours.TransportInfo == nil {
		return true // a transport of the platform's own, which only it knows
	}
	if shown.TransportInfo == nil {
		return false
	}
	a, errA := json.Marshal(ours.TransportInfo.Endpoint)
	b, errB := json.Marshal(shown.TransportInfo.Endpoint)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}
