package agent

import (
	"context"
	"time"

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
				a.log.Warn("the application's services cannot be listed; it is tried again", "reason", outcomeText(err, ""))
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
			a.log.Info("the platform answers again", "failures", a.searchFailures)
		}
		a.searchFailures = 0
		a.match(now, began, list)
	}
}

const (
	// maxListAge is how old a list may be that did not show a service which is POSTed:
	// another agent may register it meanwhile.
	maxListAge = 2 * time.Second
	// A list of thousands may take longer than that. Lists must not take more than a fifth of
	// the time of the registrations, or these would never end.
	listShare      = 5
	maxLongListAge = 30 * time.Second
	// minListDistance keeps services that are lost together, and come back one by one, from
	// having the list asked for without a pause.
	minListDistance = 100 * time.Millisecond
)

// goodFor is how old a list may be when a service is POSTed that it did not show.
func (a *Agent) goodFor() time.Duration {
	return max(maxListAge, min(listShare*a.listTook, maxLongListAge))
}

// searchAgain has a service listed once more before it is POSTed.
func (a *Agent) searchAgain(r *registration, now time.Time) {
	r.step(listOutdated)
	a.searchBy(now)
	a.reschedule(r)
}

// searchBy has the application's services listed at the given time or earlier, but not
// shortly after the last list. Its answer has them listed again for whoever needs another.
func (a *Agent) searchBy(at time.Time) {
	if a.searchTimer.running {
		return
	}
	if least := a.listed.Add(minListDistance); at.Before(least) {
		at = least
	}
	if a.searchTimer.index < 0 || at.Before(a.searchTimer.due) {
		a.searchTimer.due = at
		a.requests.put(&a.searchTimer)
	}
}

// match gives every searching service its registration, if the list has one, and has the
// others registered. A service whose wait was not over when the list was asked for, at
// began, needs a later list: see decidedBy.
func (a *Agent) match(now, began time.Time, list []mp1.ServiceInfo) {
	a.listed, a.listTook = now, now.Sub(began)
	taken := map[string]bool{}
	var decided []*registration
	var services []wanted
	for _, r := range a.registrations {
		if r.id != "" {
			taken[r.id] = true
		}
		if r.decidedBy(began) {
			decided = append(decided, r)
			services = append(services, wanted{r.service.Info, a.saved[r.name], r.goneFor(began)})
		} else if r.stage == searching {
			a.searchBy(r.timer.due)
		}
	}
	for i, f := range findRegistrations(services, list, taken, a.platform.hostPorts) {
		r := decided[i]
		r.timer.due = now // its failures count on, for a list that works says nothing of writes
		if !f.listed {
			r.unclear, r.listedAt = false, now
			r.step(notListed)
			a.reschedule(r)
			continue
		}
		switch {
		case !f.differs:
			r.registeredDigest = r.digest
		case f.info.SerInstanceID == services[i].saved.ID:
			r.registeredDigest = services[i].saved.Digest
		default:
			r.registeredDigest = ""
		}
		posted := r.unclear
		a.adopt(r, now, f.info, "found again")
		r.posted, r.unclear = posted, false
		if a.platform.keepsAgents() && f.info.SerInstanceID != services[i].saved.ID {
			a.checkForDoubles(r, now)
		}
		if !r.takenBack && (f.differs || r.overrulesState() || a.platform.keepsAgents()) {
			r.step(updateDue)
			r.timer.due = now
			a.reschedule(r)
		}
	}
}
