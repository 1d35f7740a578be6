package agent

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

const (
	// A POST of another agent may be under way for as long as the list is good that it is
	// based on, and a request takes. The second check is later than that.
	firstDoubleCheck  = 3 * time.Second
	secondDoubleCheck = 7 * time.Second // after the first
	doubleChecks      = 2
	// minDoubleDistance is the least time between two lists for doubles.
	minDoubleDistance = time.Second
)

// checkForDoubles has it searched for a double of what was registered or joined just now:
// two agents that start at once list nothing, and both POST.
func (a *Agent) checkForDoubles(r *registration, now time.Time) {
	r.doubleChecks, r.doubleCheckAt = doubleChecks, now.Add(firstDoubleCheck)
	a.listDoublesBy(r.doubleCheckAt)
}

func (a *Agent) listDoublesBy(at time.Time) {
	if t := &a.doubleTimer; !t.running && (t.index < 0 || at.Before(t.due)) {
		t.due = at
		a.requests.put(t)
	}
}

// doublesJob has the strays removed that are due, and lists if a service is to be checked. A
// 409 says that another agent keeps one alive: then it is none.
func (a *Agent) doublesJob() job {
	began, own, lists := time.Now(), map[string]bool{}, false
	for _, r := range a.registrations {
		own[r.id] = true // one that was lost meanwhile may have been found there
		lists = lists || r.doubleChecks > 0 && !r.doubleCheckAt.After(began)
	}
	var due, left []stray
	for _, s := range a.strays {
		switch {
		case own[s.id]:
		case s.due.After(began):
			left = append(left, s)
		default:
			due = append(due, s)
		}
	}
	a.strays = left
	return func(ctx context.Context) func(time.Time) {
		failed := map[string]error{}
		for _, s := range due {
			remove := a.platform.removeStray
			if s.ours {
				remove = a.platform.remove
			}
			if err := remove(ctx, s.id); err != nil && !permanent(err) {
				failed[s.id] = err
			}
		}
		searched := func(time.Time) {}
		if lists {
			searched = a.listDoubles(ctx)
		}
		return func(now time.Time) {
			a.retryStrays(due, failed, now)
			searched(now)
			a.scheduleDoubles(now.Add(max(minDoubleDistance, now.Sub(began))))
		}
	}
}

// retryStrays has those removed later whose DELETE failed.
func (a *Agent) retryStrays(strays []stray, failed map[string]error, now time.Time) {
	for _, s := range strays {
		if err := failed[s.id]; err != nil {
			s.failures++
			s.due = now.Add(retryDelay(a.jitter.requestBackoff(s.failures), err))
			a.strays = append(a.strays, s)
		}
	}
}

// scheduleDoubles has the timer be due for the next stray or the next list, but not before
// least.
func (a *Agent) scheduleDoubles(least time.Time) {
	by := func(at time.Time) {
		if at.Before(least) {
			at = least
		}
		a.listDoublesBy(at)
	}
	for _, r := range a.registrations {
		if r.doubleChecks > 0 {
			by(r.doubleCheckAt)
		}
	}
	for _, s := range a.strays {
		by(s.due)
	}
}

// listDoubles lists the application's services for all that are to be checked.
func (a *Agent) listDoubles(ctx context.Context) func(time.Time) {
	began := time.Now()
	list, err := a.platform.list(ctx)
	return func(now time.Time) {
		var due []*registration
		for _, r := range a.registrations {
			if r.doubleChecks > 0 && !r.doubleCheckAt.After(began) {
				due = append(due, r)
				r.doubleCheckAt = now.Add(max(secondDoubleCheck, a.goodFor()+firstDoubleCheck))
				if err == nil || permanent(err) {
					r.doubleChecks--
				}
			}
		}
		if err == nil {
			a.withdrawDoubles(due, list)
		}
	}
}

// withdrawDoubles has those of the services withdrawn that other registrations are alike to,
// and come before: of n alike, the agent keeps as many as it has services alike. Each agent
// comes to the same, for the ids are in one order. A registration that was there before ours
// is not taken for a double, for it would have been found.
func (a *Agent) withdrawDoubles(services []*registration, list []mp1.ServiceInfo) {
	own, due := map[string]bool{}, map[string]bool{}
	for _, r := range a.registrations {
		own[r.id] = true
	}
	for _, r := range services {
		due[r.id] = true
	}
	names := map[string]bool{}
	for _, info := range list {
		if due[info.SerInstanceID] {
			names[nameOf(info)] = true
		}
	}
	identities := map[string]string{} // by id
	alike := map[string][]string{}    // ids by identity
	kept := map[string]int{}          // how many of them are this agent's
	for _, info := range list {
		id := info.SerInstanceID
		if id == "" || !names[nameOf(info)] {
			continue
		}
		identity := formOf(info).identity()
		identities[id] = identity
		alike[identity] = append(alike[identity], id)
		if own[id] {
			kept[identity]++
		}
	}
	for _, ids := range alike {
		slices.Sort(ids)
	}
	for _, r := range services {
		identity := identities[r.id]
		at, shown := slices.BinarySearch(alike[identity], r.id)
		if r.surplus = shown && at >= kept[identity]; r.surplus {
			a.warn(r, "it is registered twice; this registration is removed, and the other joined", "id", r.id, "other", alike[identity][0])
			a.reschedule(r)
		} else if a.platform.keepsAgents() {
			a.findStrays(r, alike[identity], own)
		}
		r.mayArrive = r.mayArrive && r.doubleChecks > 0
	}
}

// stray is a registration alike to one of this agent's that it does not know.
type stray struct {
	id       string
	ours     bool      // a POST of this agent that was given up may have made it
	due      time.Time // its DELETE, not before
	failures int       // of its DELETE, in a row
}

// findStrays has those of the registrations alike removed that this agent does not know. A
// POST that arrived late has made them, of this agent or of one that crashed where it runs:
// nobody would send heartbeats to them, and they would stay, SUSPENDED. The platform keeps
// them if anybody else has made them.
func (a *Agent) findStrays(r *registration, alike []string, own map[string]bool) {
	for _, id := range alike {
		if !own[id] && !slices.ContainsFunc(a.strays, func(s stray) bool { return s.id == id }) {
			a.warn(r, "it is registered twice; the other registration is removed, unless somebody else has made it", "id", r.id, "other", id)
			a.strays = append(a.strays, stray{id: id, ours: r.mayArrive})
		}
	}
}

// identity is all that tells a registration from others that the platform shows.
func (f form) identity() string { return f.name + "\x00" + f.endpoint + "\x00" + f.rest }

// withdrawDone takes the outcome of the DELETE of a double.
func (a *Agent) withdrawDone(r *registration, now time.Time, err error) {
	r.lastAnswer = outcomeText(err, "204")
	s := statusOf(err)
	if err != nil && s != http.StatusNotFound && (s != http.StatusConflict || !a.platform.keepsAgents()) {
		r.keepOld(now, a.jitter.requestBackoff(1), err)
		a.checkForDoubles(r, now)
		a.reschedule(r)
		return
	}
	r.step(withdrawn)
	if s != http.StatusConflict {
		r.goneID, r.goneAt = r.id, now
	}
	r.id, r.livenessPath, r.timer.due = "", "", now
	a.recordSaved(r)
	a.searchBy(now)
	a.reschedule(r)
}
