package agent

import (
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// stage is where a service stands between the application and the platform.
type stage int

const (
	unsure   stage = iota // it may be registered already: the application's list tells
	absent                // it must be registered
	stale                 // it is registered otherwise than it is now: update it
	beating               // heartbeats go
	checking              // heartbeats go, but first the liveness resource is read
	doubtful              // the platform refused a heartbeat: the liveness resource tells why
	inactive              // the application is INACTIVE there: it is looked at, not beaten
	free                  // registered, and the platform requires no heartbeats
)

var stageNames = [...]string{"searching", "registering", "updating", "beating", "beating", "checking", "inactive", "no heartbeats"}

// entry is one service and all that the agent knows of it. The loop alone changes it.
type entry struct {
	name    string // of the service, unique in this agent
	service Service
	digest  string // of service.Info

	stage    stage
	id, href string
	interval time.Duration
	beatDue  time.Time // when the next heartbeat is due, retries aside
	spread   bool      // the next interval starts a new phase
	check    bool      // read the liveness resource after the next heartbeat
	failures int       // in a row
	losses   int       // registrations lost in a row
	denials  int       // heartbeats in a row that were taken and the liveness resource denied
	since    time.Time // of the first failure in a row

	outdated  bool      // its update failed: try again
	updateDue time.Time // not before this
	updates   int       // that failed in a row

	well     bool // what the probe says
	misses   int  // failed probes in a row
	lastBeat time.Time
	answer   string

	item, probe item
}

// unsureAt tells whether a list that was asked for at a time decides about it: one
// from before its wait was over says nothing of a request that was still under way.
func (e *entry) unsureAt(began time.Time) bool { return e.stage == unsure && !e.item.due.After(began) }

// known takes what the platform says of the registration.
func (e *entry) known(info mp1.ServiceInfo, path string, now time.Time) {
	e.id, e.href, e.failures = info.SerInstanceID, path, 0
	e.beatDue, e.spread, e.check = now, true, true
	e.outdated, e.updates = false, 0
	e.interval = 0
	if info.LivenessInterval != nil {
		e.interval = time.Duration(*info.LivenessInterval) * time.Second
	}
	switch {
	case !e.beats():
		e.stage = free
	case info.State == mp1.Inactive:
		e.stage = inactive
		e.beatDue = now.Add(e.interval)
	default:
		e.stage = beating
	}
	if e.stage == inactive || e.item.due.After(now) {
		e.item.due = e.beatDue
	} // else it keeps its place before those that are not registered yet
}

// accepted schedules the heartbeat after one that was sent at a time and taken.
func (e *entry) accepted(d dice, sent time.Time, told time.Duration) {
	if told > 0 {
		e.interval = told
	}
	e.failures, e.lastBeat = 0, sent
	next := e.beatDue.Add(d.jitter(e.interval))
	if e.spread || !next.After(sent) { // they were all late together: part them again
		next = sent.Add(phase(e.id, e.interval))
	}
	e.spread = false
	e.beatDue, e.item.due = next, next
}

// failed schedules the next try of what did not succeed.
func (e *entry) failed(now time.Time, wait time.Duration) {
	if e.failures == 1 {
		e.since = now
	}
	e.item.due = now.Add(wait)
}

// notUpdated lets it live on as it is registered. A refusal for good is not tried
// again. Without an answer the platform may have taken the update, and judge by the
// interval that it asked for: until it says otherwise, the shorter one is kept.
func (e *entry) notUpdated(now time.Time, wait time.Duration, err error) {
	e.outdated, e.updateDue = !certain(err), now.Add(patience(wait, err))
	if asked := e.asked(); e.outdated && asked > 0 && asked < e.interval {
		e.interval = asked
		e.beatDue = earlier(e.beatDue, e.lastBeat.Add(asked))
	}
	if e.stage = beating; !e.beats() {
		e.stage = free
	}
	e.item.due = e.beatDue
}

// asked is the interval that an update asks for; 0: none.
func (e *entry) asked() time.Duration {
	if n := e.service.Info.LivenessInterval; n != nil {
		return time.Duration(*n) * time.Second
	}
	return 0
}

// beats tells whether the platform requires heartbeats.
func (e *entry) beats() bool { return e.href != "" && e.interval > 0 }

// patience is the wait after an error: what the platform said (429, 503, 507), if it
// said anything.
func patience(wait time.Duration, err error) time.Duration {
	if told := retryAfter(err); told > 0 {
		return max(told, leastRetry)
	}
	return wait
}

// patienceToRegister is patience, but a platform that limits changes (429) tells everybody
// the same wait, who then come all at once: whoever is refused again comes later.
func patienceToRegister(wait time.Duration, err error) time.Duration {
	if status(err) == http.StatusTooManyRequests {
		return max(wait, patience(wait, err))
	}
	return patience(wait, err)
}

// lost forgets the registration.
func (e *entry) lost(d dice, now time.Time) {
	e.losses++
	e.stage, e.id, e.href = absent, "", ""
	e.item.due = now.Add(d.again(e.losses, e.interval))
}

// seen takes what the liveness resource shows, and tells what changed.
func (e *entry) seen(d dice, now time.Time, info mp1.ServiceLivenessInfo) (was stage) {
	was = e.stage
	e.check = false
	if info.Interval > 0 {
		e.interval = time.Duration(info.Interval) * time.Second
	}
	switch {
	case info.State == mp1.Inactive:
		e.stage = inactive
		e.item.due = now.Add(d.jitter(e.interval))
	case was == checking && info.State == mp1.Active:
		e.stage, e.losses, e.denials = beating, 0, 0
		e.beatDue = earlier(e.beatDue, e.lastBeat.Add(e.interval))
		e.item.due = e.beatDue
	case was == checking && e.denials > 0: // the repetition did not help: go on, and look again
		e.stage, e.check = beating, true
		e.denials++
		e.item.due = e.beatDue
	default: // it is not as a heartbeat should have left it: send one
		if was == checking {
			e.denials++
		}
		e.stage = beating
		e.beatDue, e.spread, e.check = now, true, true
		e.item.due = now
		if was == inactive {
			e.failures = 0
		} else if e.failures++; e.failures > 1 {
			e.item.due = now.Add(d.retryBeat(e.failures, e.interval))
		}
	}
	return was
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// href finds the path of the heartbeats in an answer; foreign: it names another host
// than the endpoints', which is not called, for it would be given the token.
func href(info mp1.ServiceInfo) (path, host string, err error) {
	link := client.LivenessHref(info)
	if link == "" {
		return "", "", nil
	}
	return client.HrefPath(link)
}
