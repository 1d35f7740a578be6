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

// doublesJob has the strays removed, then lists. A 409 says that another agent keeps one
// alive: then it is none.
func (a *Agent) doublesJob() job {
	own := map[string]bool{}
	for _, r := range a.registrations {
		own[r.id] = true // one that was lost meanwhile may have been found there
	}
	strays := slices.DeleteFunc(a.strays, func(s stray) bool { return own[s.id] })
	a.strays = nil
	return func(ctx context.Context) func(time.Time) {
		left := slices.DeleteFunc(strays, func(s stray) bool {
			remove := a.platform.removeStray
			if s.ours {
				remove = a.platform.remove
			}
			err := remove(ctx, s.id)
			return err == nil || permanent(err)
		})
		searched := a.listDoubles(ctx)
		return func(now time.Time) {
			searched(now)
			if a.strays = append(a.strays, left...); len(a.strays) > 0 {
				a.listDoublesBy(now.Add(minDoubleDistance))
			}
		}
	}
}

// listDoubles lists the application's services for all that are to be checked.
func (a *Agent) listDoubles(ctx context.Context) func(time.Time) {
	began := time.Now()
	list, err := a.platform.list(ctx)
	return func(now time.Time) {
		var due []*registration
		next := time.Time{}
		for _, r := range a.registrations {
			if r.doubleChecks == 0 {
				continue
			}
			if !r.doubleCheckAt.After(began) {
				due = append(due, r)
				r.doubleCheckAt = now.Add(max(secondDoubleCheck, a.goodFor()+firstDoubleCheck))
				if err == nil || permanent(err) {
					r.doubleChecks--
				}
			}
			if r.doubleChecks > 0 && (next.IsZero() || r.doubleCheckAt.Before(next)) {
				next = r.doubleCheckAt
			}
		}
		if err == nil {
			a.withdrawDoubles(due, list)
		}
		if !next.IsZero() {
			if least := now.Add(max(minDoubleDistance, now.Sub(began))); next.Before(least) {
				next = least
			}
			a.listDoublesBy(next)
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
	id   string
	ours bool // a POST of this agent that was given up may have made it
}

// findStrays has those of the registrations alike removed that this agent does not know. A
// POST that arrived late has made them, of this agent or of one that crashed where it runs:
// nobody would send heartbeats to them, and they would stay, SUSPENDED. The platform keeps
// them if anybody else has made them.
func (a *Agent) findStrays(r *registration, alike []string, own map[string]bool) {
	for _, id := range alike {
		if !own[id] && !slices.ContainsFunc(a.strays, func(s stray) bool { return s.id == id }) {
			a.warn(r, "it is registered twice; the other registration is removed, unless somebody else has made it", "id", r.id, "other", id)
			a.strays = append(a.strays, stray{id, r.mayArrive})
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
