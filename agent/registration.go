package agent

import (
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// registration is one service and what the agent knows of its registration at the
// platform. The loop alone changes it, under the agent's mutex.
type registration struct {
	name    string // serName; with #2 and so on if an earlier service has the same
	service Service
	digest  string // of service.Info

	registeredDigest string // of the description that the platform has taken; "": not known
	sentDigest       string // of the description that was sent last

	stage            stage                     // changed by step only
	stepped          func(from stage, e event) // nil, but in tests
	id, livenessPath string
	interval         time.Duration
	beatDue          time.Time // of the next heartbeat, without the waits after a failure
	rereadAt         time.Time // when the platform is asked for it, if it has no heartbeats
	newPhase         bool      // part it from the others after the next heartbeat: see firstInterval
	listedAt         time.Time // when the list came that did not show it
	doubleChecks     int       // lists that are still to be searched for a double
	doubleCheckAt    time.Time // not before
	mayArrive        bool      // a POST was given up that may be carried out yet
	goneID           string    // the platform has answered 404 for it; a list may still show it
	goneAt           time.Time // when it did
	verifyNext       bool      // read the liveness resource after the next heartbeat
	failures         int       // of its requests, in a row
	losses           int       // registrations lost in a row
	isInactive       bool      // the platform has shown it INACTIVE last
	inactiveWhy      string    // what the platform said of that; "": nothing
	denials          int       // heartbeats in a row after which the liveness resource did not say ACTIVE
	failingSince     time.Time // of the first failure in a row

	posted  bool // this agent has POSTed it, or may have
	surplus bool // it is doubled, and this one is to go
	unclear bool // a POST may have been carried out; the list will show it
	joined  bool // the platform keeps agents, and has taken a POST or PUT by this one
	// joinRefused says that a PUT was refused for good; onlyJoins, that the one that is pending
	// is to change nothing else.
	joinRefused, onlyJoins bool
	own                    ownStamp // zero: not known

	updatePending   bool // a PUT failed, or this agent is to join again
	updateNotBefore time.Time
	updateFailures  int    // in a row
	updateError     string // of the last PUT, "" if the platform took it

	changed   bool   // Update has replaced the description
	takenBack bool   // Remove has taken it back
	reported  Status // what Options.OnChange has been told

	healthy       bool          // what the probe says; true without one
	probeFailures int           // in a row
	probeError    string        // of the last one, "" if it succeeded
	lastBeat      time.Time     // when the last heartbeat was sent that was taken
	lastTook      time.Duration // until its answer
	lastAnswer    string        // for Status

	timer, probeTimer timer
}

// step moves the service to the stage that the table has for an event.
func (r *registration) step(e event) {
	from := r.stage
	r.stage = nextStage(from, e)
	if r.stepped != nil {
		r.stepped(from, e)
	}
}

// decidedBy reports whether a list that was asked for at began decides about a service
// that is searching. A list from before the end of its wait does not: the POST in question
// may have been under way still.
func (r *registration) decidedBy(began time.Time) bool {
	return r.stage == searching && !r.timer.due.After(began)
}

// applyInfo takes what the platform shows of the registration, and the path of its liveness
// resource, and has a heartbeat sent at once if heartbeats are required.
func (r *registration) applyInfo(info mp1.ServiceInfo, path string, now time.Time) {
	if r.id != info.SerInstanceID {
		r.lastBeat, r.own, r.posted, r.joined = time.Time{}, ownStamp{}, false, false
		r.joinRefused, r.onlyJoins = false, false
	}
	r.id, r.livenessPath, r.failures = info.SerInstanceID, path, 0
	r.beatDue, r.newPhase, r.verifyNext = now, true, true
	r.updatePending, r.updateFailures, r.updateError = false, 0, ""
	r.isInactive = info.State == mp1.Inactive
	r.interval = 0
	if info.LivenessInterval != nil {
		r.interval = secondsOf(*info.LivenessInterval)
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
	r.timer.due = r.beatDue
}

// scheduleNext schedules the heartbeat after one that was taken. told is the interval
// that the answer told, 0 if none.
func (r *registration) scheduleNext(j jitter, sent time.Time, told time.Duration) {
	if told > 0 {
		r.interval = told
	}
	r.failures, r.lastBeat = 0, sent
	// it may have gone with others, before it was due
	next := earlier(r.beatDue.Add(j.shorten(r.interval)), sent.Add(r.interval))
	if r.newPhase || !next.After(sent) { // services that were late together must not stay together
		next = sent.Add(firstInterval(r.id, r.interval))
	}
	r.newPhase = false
	r.beatDue, r.timer.due = next, next
}

// retryIn has what failed sent again after a wait.
func (r *registration) retryIn(now time.Time, wait time.Duration) {
	if r.failures == 1 {
		r.failingSince = now
	}
	r.timer.due = now.Add(wait)
}

// keepOld lets a service whose PUT failed live on as it is registered. The PUT is sent
// again after a wait, unless it was refused for good. If it had no answer, the platform may
// have taken it and may suspend the service by the shorter interval that it asked for:
// heartbeats keep to that one until the platform says otherwise.
func (r *registration) keepOld(now time.Time, wait time.Duration, err error) {
	r.updatePending, r.updateNotBefore = !permanent(err), now.Add(retryDelay(wait, err))
	if asked := r.requestedInterval(); r.updatePending && asked > 0 && asked < r.interval {
		r.interval = asked
		r.beatDue = earlier(r.beatDue, r.lastBeat.Add(asked))
	}
	r.timer.due = r.beatDue
	switch {
	case !r.needsHeartbeats():
		r.step(updateFailedUnmonitored)
	case r.isInactive:
		r.step(updateFailedInactive)
		r.timer.due = now.Add(r.interval)
	default:
		r.step(updateFailed)
	}
}

// keepUntold completes the answer to a PUT by what is known: EdgeGallery's has no link for
// the heartbeats, and no PUT ends them.
func (r *registration) keepUntold(info mp1.ServiceInfo) mp1.ServiceInfo {
	info.SerInstanceID = r.id
	if r.livenessPath != "" && client.LivenessHref(info) == "" {
		info.Links = &mp1.ServiceLinks{Liveness: &mp1.LinkType{Href: r.livenessPath}}
		if info.LivenessInterval == nil || *info.LivenessInterval == 0 {
			seconds := int(r.interval / time.Second)
			info.LivenessInterval = &seconds
		}
	}
	return info
}

// updateIsDue reports whether the PUT that is pending may be sent.
func (r *registration) updateIsDue(now time.Time) bool {
	return r.updatePending && !now.Before(r.updateNotBefore)
}

// requestedInterval is the interval that a POST or PUT asks for, 0 if it asks for none.
func (r *registration) requestedInterval() time.Duration {
	if n := r.service.Info.LivenessInterval; n != nil {
		return secondsOf(*n)
	}
	return 0
}

// needsHeartbeats reports whether the platform requires heartbeats.
func (r *registration) needsHeartbeats() bool { return r.livenessPath != "" && r.interval > 0 }

// notFoundTrust is for how long after a 404 a list may be behind it. A later one has the last
// word: a 404 may be that of an ingress for a moment, and who never took the registration back
// would register it twice.
const notFoundTrust = 2 * time.Second

// goneFor is the registration that a list that was asked for at began shows in vain, "" if
// there is none.
func (r *registration) goneFor(began time.Time) string {
	if began.Sub(r.goneAt) > notFoundTrust {
		return ""
	}
	return r.goneID
}

// lost forgets the registration, which the platform does not know any more.
func (r *registration) lost(j jitter, now time.Time) {
	r.losses++
	r.step(gone)
	r.goneID, r.goneAt, r.id, r.livenessPath = r.id, now, "", ""
	r.timer.due = now.Add(j.reregisterDelay(r.losses, r.interval))
	if r.lastBeat.IsZero() && !r.posted && r.losses == 1 {
		r.timer.due = now // it went when it was found: only this one service is gone
	}
}

// applyLiveness takes what the liveness resource shows, and returns the stage before.
//
// A service that is not ACTIVE after a heartbeat that was taken gets another at once. If
// that does not help either, the heartbeats go on at their interval: the copy that was
// read may be behind, and must not hasten them.
func (r *registration) applyLiveness(j jitter, now time.Time, info mp1.ServiceLivenessInfo) (was stage) {
	was = r.stage
	r.verifyNext, r.isInactive, r.inactiveWhy = false, info.State == mp1.Inactive, ""
	if info.Interval > 0 {
		r.interval = secondsOf(info.Interval)
	}
	switch {
	case info.State == mp1.Inactive:
		r.step(shownInactive)
		r.inactiveWhy = printable(info.Reason)
		r.failures = 0 // that a heartbeat was refused was none
		r.timer.due = now.Add(j.shorten(r.interval))
	case was == verifying && info.State == mp1.Active:
		r.step(shownAlive)
		r.learnStamp(info)
		r.losses, r.denials = 0, 0
		r.beatDue = earlier(r.beatDue, r.lastBeat.Add(r.interval))
		r.timer.due = r.beatDue
	case was == verifying && r.denials > 0:
		r.step(shownAlive)
		r.verifyNext = true
		r.denials++
		r.timer.due = r.beatDue
	default: // the platform misses a heartbeat
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

// earlier is the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// livenessPath is the path of the liveness resource that an answer links to, and the host
// if the link names one. The host is never called, for it would be given the token.
func livenessPath(info mp1.ServiceInfo) (path, host string, err error) {
	link := client.LivenessHref(info)
	if link == "" {
		return "", "", nil
	}
	return client.HrefPath(link)
}
