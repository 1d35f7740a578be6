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

// find lists the application's services: some of them may be ours from an earlier
// life, or from a registration whose answer was lost. One list serves every service
// that is unsure.
func (a *Agent) find(ctx context.Context) func(time.Time) {
	began := time.Now()
	list, err := a.platform.list(ctx)
	return func(now time.Time) {
		if err != nil && !certain(err) {
			if a.missed++; a.missed == 1 {
				a.log.Warn("the platform does not answer; it is tried again", openlog.WithTags(openlog.Tags{"reason": answer(err, "")}))
			}
			for _, e := range a.entries {
				if e.stage == unsure {
					e.answer = answer(err, "")
				}
			}
			a.lookFor(now.Add(patience(a.dice.retryRegister(a.missed), err)))
			return
		}
		if a.missed > 0 {
			a.log.Info("the platform answers again", openlog.WithTags(openlog.Tags{"failures": a.missed}))
		}
		a.missed = 0
		a.match(now, began, list)
	}
}

// lookFor has the application's services listed at a time, or before.
func (a *Agent) lookFor(at time.Time) {
	if a.search.index < 0 || at.Before(a.search.due) {
		a.search.due = at
		a.beats.put(&a.search)
	}
}

// certain: the refusal of a list is not a failure that passes. What was to be found
// in it is then registered, or not, by its own answer.
func certain(err error) bool {
	switch s := status(err); s {
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
	for _, e := range a.entries {
		if e.id != "" {
			taken[e.id] = true
		}
	}
	for _, e := range a.entries { // those that are remembered choose first
		s, ok := a.saved[e.name]
		if info, there := byID[s.ID]; e.unsureAt(began) && ok && there && !taken[s.ID] {
			taken[s.ID] = true
			a.adopt(e, now, info, "found again")
			if s.Digest != e.digest {
				e.stage, e.item.due = stale, now
				a.again(e)
			}
		}
	}
	for _, exact := range []bool{true, false} {
		for _, e := range a.entries {
			if e.unsureAt(began) {
				a.choose(e, now, list, taken, exact)
			}
		}
	}
	for _, e := range a.entries {
		switch {
		case e.unsureAt(began):
			e.stage, e.item.due = absent, now // its failures count on: a list says nothing of writes
			a.again(e)
		case e.stage == unsure:
			a.lookFor(e.item.due)
		}
	}
}

// choose takes the first registration that is the same, if there is one.
func (a *Agent) choose(e *entry, now time.Time, list []mp1.ServiceInfo, taken map[string]bool, exact bool) {
	for _, info := range list {
		if !taken[info.SerInstanceID] && same(e.service.Info, info, exact) {
			taken[info.SerInstanceID] = true
			e.item.due = now
			a.adopt(e, now, info, "found again")
			return
		}
	}
}

// same tells whether what the platform shows is what we would register: another agent
// of the application may offer a service of the same name elsewhere. Not exactly, it
// may show no interval where we send heartbeats: then it requires none.
func same(ours, shown mp1.ServiceInfo, exact bool) bool {
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
