package agent

import (
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// registration is one service and all that the agent knows of it. The loop alone changes it.
type registration struct {
	name    string // of the service, unique in this agent
	service Service
	digest  string // of service.Info

	stage            stage                     // changed by step only
	stepped          func(from stage, e event) // nil, but in tests
	id, livenessPath string
	interval         time.Duration
	beatDue          time.Time // when the next heartbeat is due, retries aside
	newPhase         bool      // the next interval starts a new phase
	verifyNext       bool      // read the liveness resource after the next heartbeat
	failures         int       // in a row
	losses           int       // registrations lost in a row
	denials          int       // heartbeats in a row that were taken and the liveness resource denied
	failingSince     time.Time // of the first failure in a row

	updatePending  bool      // its update failed: try again
	updateDue      time.Time // not before this
	updateFailures int       // that failed in a row

	healthy       bool // what the probe says
	probeFailures int  // failed probes in a row
	lastBeat      time.Time
	lastAnswer    string

	timer, probeTimer timer
}

// step moves the service to the stage that the table has for an event.
func (r *registration) step(e event) {
	from := r.stage
	r.stage = next(from, e)
	if r.stepped != nil {
		r.stepped(from, e)
	}
}

// decidedBy tells whether a list that was asked for at a time decides about it: one
// from before its wait was over says nothing of a request that was still under way.
func (r *registration) decidedBy(began time.Time) bool {
	return r.stage == searching && !r.timer.due.After(began)
}

// adopt takes what the platform says of the registration.
func (r *registration) adopt(info mp1.ServiceInfo, path string, now time.Time) {
	r.id, r.livenessPath, r.failures = info.SerInstanceID, path, 0
	r.beatDue, r.newPhase, r.verifyNext = now, true, true
	r.updatePending, r.updateFailures = false, 0
	r.interval = 0
	if info.LivenessInterval != nil {
		r.interval = time.Duration(*info.LivenessInterval) * time.Second
	}
	switch {
	case !r.needsHeartbeats():
		r.step(adoptedUnmonitored)
	case info.State == mp1.Inactive:
		r.step(adoptedInactive)
		r.beatDue = now.Add(r.interval)
	default:
		r.step(adopted)
	}
	if r.stage == inactive || r.timer.due.After(now) {
		r.timer.due = r.beatDue
	} // else it keeps its place before those that are not registered yet
}

// heartbeatAccepted schedules the heartbeat after one that was sent at a time and taken.
func (r *registration) heartbeatAccepted(j jitter, sent time.Time, told time.Duration) {
	if told > 0 {
		r.interval = told
	}
	r.failures, r.lastBeat = 0, sent
	next := r.beatDue.Add(j.shorten(r.interval))
	if r.newPhase || !next.After(sent) { // they were all late together: part them again
		next = sent.Add(firstInterval(r.id, r.interval))
	}
	r.newPhase = false
	r.beatDue, r.timer.due = next, next
}

// retryIn schedules the next try of what did not succeed.
func (r *registration) retryIn(now time.Time, wait time.Duration) {
	if r.failures == 1 {
		r.failingSince = now
	}
	r.timer.due = now.Add(wait)
}

// keepOld lets it live on as it is registered. A refusal for good is not tried
// again. Without an answer the platform may have taken the update, and judge by the
// interval that it asked for: until it says otherwise, the shorter one is kept.
func (r *registration) keepOld(now time.Time, wait time.Duration, err error) {
	r.updatePending, r.updateDue = !permanent(err), now.Add(retryDelay(wait, err))
	if asked := r.requestedInterval(); r.updatePending && asked > 0 && asked < r.interval {
		r.interval = asked
		r.beatDue = earlier(r.beatDue, r.lastBeat.Add(asked))
	}
	if r.needsHeartbeats() {
		r.step(updateFailed)
	} else {
		r.step(updateFailedUnmonitored)
	}
	r.timer.due = r.beatDue
}

// requestedInterval is the interval that an update asks for; 0: none.
func (r *registration) requestedInterval() time.Duration {
	if n := r.service.Info.LivenessInterval; n != nil {
		return time.Duration(*n) * time.Second
	}
	return 0
}

// needsHeartbeats tells whether the platform requires heartbeats.
func (r *registration) needsHeartbeats() bool { return r.livenessPath != "" && r.interval > 0 }

// retryDelay is the wait after an error: what the platform said (429, 503, 507), if it
// said anything.
func retryDelay(wait time.Duration, err error) time.Duration {
	if told := retryAfter(err); told > 0 {
		return max(told, minRetry)
	}
	return wait
}

// registerRetryDelay is patience, but a platform that limits changes (429) tells everybody
// the same wait, who then come all at once: whoever is refused again comes later.
func registerRetryDelay(wait time.Duration, err error) time.Duration {
	if statusOf(err) == http.StatusTooManyRequests {
		return max(wait, retryDelay(wait, err))
	}
	return retryDelay(wait, err)
}

// lost forgets the registration.
func (r *registration) lost(j jitter, now time.Time) {
	r.losses++
	r.step(gone)
	r.id, r.livenessPath = "", ""
	r.timer.due = now.Add(j.reregisterDelay(r.losses, r.interval))
}

// applyLiveness takes what the liveness resource shows, and tells what changed.
func (r *registration) applyLiveness(j jitter, now time.Time, info mp1.ServiceLivenessInfo) (was stage) {
	was = r.stage
	r.verifyNext = false
	if info.Interval > 0 {
		r.interval = time.Duration(info.Interval) * time.Second
	}
	switch {
	case info.State == mp1.Inactive:
		r.step(shownInactive)
		r.timer.due = now.Add(j.shorten(r.interval))
	case was == verifying && info.State == mp1.Active:
		r.step(shownAlive)
		r.losses, r.denials = 0, 0
		r.beatDue = earlier(r.beatDue, r.lastBeat.Add(r.interval))
		r.timer.due = r.beatDue
	case was == verifying && r.denials > 0: // the repetition did not help: go on, and look again
		r.step(shownAlive)
		r.verifyNext = true
		r.denials++
		r.timer.due = r.beatDue
	default: // it is not as a heartbeat should have left it: send one
		if was == verifying {
			r.denials++
		}
		r.step(shownAlive)
		r.beatDue, r.newPhase, r.verifyNext = now, true, true
		r.timer.due = now
		if was == inactive {
			r.failures = 0
		} else if r.failures++; r.failures > 1 {
			r.timer.due = now.Add(j.heartbeatBackoff(r.failures, r.interval))
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

// livenessPath finds the path of the heartbeats in an answer; foreign: it names another host
// than the endpoints', which is not called, for it would be given the token.
func livenessPath(info mp1.ServiceInfo) (path, host string, err error) {
	link := client.LivenessHref(info)
	if link == "" {
		return "", "", nil
	}
	return client.HrefPath(link)
}
