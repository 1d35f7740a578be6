package agent

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// request is what is sent for a service in its stage. The job runs in a worker, so that it
// uses copies of what the loop may change meanwhile.
func (a *Agent) request(r *registration) job {
	id, href, interval := r.id, r.livenessPath, r.interval
	info := r.service.Info
	r.sentDigest = r.digest
	switch r.stage {
	case registering:
		if time.Since(r.listedAt) > a.goodFor() {
			return func(context.Context) func(time.Time) {
				return func(now time.Time) { a.searchAgain(r, now) }
			}
		}
		return func(ctx context.Context) func(time.Time) {
			shown, err := a.platform.register(ctx, info)
			if err == nil && !mp1.ValidID(shown.SerInstanceID) {
				err = errNoID
			}
			return func(now time.Time) { a.registerDone(r, now, shown, err) }
		}
	case searching: // by the searchTimer, for one list serves all of them
		return a.list
	case updating, unmonitored:
		if r.stage == unmonitored && !r.updatePending {
			return a.reread(r)
		}
		put := a.put(r)
		return func(ctx context.Context) func(time.Time) {
			info, err := put(ctx)
			return func(now time.Time) { a.updateDone(r, now, info, err) }
		}
	case beating:
		return func(ctx context.Context) func(time.Time) {
			sent := time.Now()
			answer, err := a.platform.beat(ctx, href, interval)
			return func(now time.Time) { a.heartbeatDone(r, now, sent, answer, err) }
		}
	case withdrawing:
		return func(ctx context.Context) func(time.Time) {
			err := a.platform.remove(ctx, id)
			return func(now time.Time) { a.withdrawDone(r, now, err) }
		}
	case removing:
		return func(ctx context.Context) func(time.Time) {
			_, err := a.release(ctx, r) // nobody changes what it reads meanwhile
			return func(now time.Time) { a.removeDone(r, now, err) }
		}
	case verifying, checking, inactive:
		return func(ctx context.Context) func(time.Time) {
			info, err := a.platform.liveness(ctx, href, interval)
			return func(now time.Time) { a.livenessDone(r, now, info, err) }
		}
	}
	panic("agent: stage " + r.stage.String() + " has no request")
}

var errNoID = errors.New("the platform's answer has no serInstanceId")

// reschedule puts a service's timer into the queue, or takes it out if nothing is to be
// sent: while it is withheld or searching, for one list serves all, and when a platform that
// keeps no agents requires no heartbeats. While a request is under way it does neither: a
// second one would be sent beside it, and the outcome reschedules anyway.
func (a *Agent) reschedule(r *registration) {
	if r.timer.running {
		return
	}
	switch {
	case r.takenBack:
		r.timer.urgent = false
		a.takeBack(r)
		return
	case r.surplus && r.id != "" && r.stage != withdrawing:
		r.surplus, r.timer.due = false, time.Now()
		r.step(doubled)
	case r.changed:
		a.sendChange(r, time.Now())
	}
	r.timer.urgent = r.id != ""
	switch {
	case r.stage == unmonitored && r.updatePending:
		r.timer.due = r.updateNotBefore
		a.requests.put(&r.timer)
	case r.stage == unmonitored && a.platform.keepsAgents():
		r.timer.due, r.timer.urgent = r.rereadAt, false // it must not delay a heartbeat
		a.requests.put(&r.timer)
	case r.stage == unmonitored, r.stage == searching, r.stage == deregistered, r.withheld():
		a.requests.drop(&r.timer)
	default:
		a.requests.put(&r.timer)
	}
}

// withheld reports whether nothing is to be sent because the probe fails. A PUT that says
// ACTIVE brings a service back that the platform has suspended; one that says INACTIVE may
// be sent, and a double withdrawn.
func (r *registration) withheld() bool {
	setsInactive := r.stage == updating && r.service.Info.State == mp1.Inactive
	return !r.healthy && !setsInactive && r.stage != withdrawing
}

// registerDone takes the outcome of a POST.
func (a *Agent) registerDone(r *registration, now time.Time, info mp1.ServiceInfo, err error) {
	r.lastAnswer = outcomeText(err, "201")
	a.metrics.registration(err)
	if err == nil {
		r.registeredDigest = r.sentDigest
		a.adopt(r, now, info, "registered")
		r.posted, r.joined = true, a.platform.keepsAgents()
		a.checkForDoubles(r, now)
		return
	}
	r.failures++
	a.warnOnce(r, "could not be registered", err)
	r.retryIn(now, a.jitter.registerDelay(r.failures, err))
	if mayHaveSucceeded(err) { // another POST might register it twice: list first
		r.step(registerUnclear)
		r.unclear, r.mayArrive = true, true
		a.searchBy(r.timer.due)
		a.reschedule(r)
		return
	}
	r.step(registerFailed)
	a.reschedule(r)
}

// adopt takes what the platform shows as the registration of a service. how says in the
// log where it was shown; "" logs nothing.
func (a *Agent) adopt(r *registration, now time.Time, info mp1.ServiceInfo, how string) {
	path, host, err := livenessPath(info)
	if err != nil {
		a.warn(r, "the platform's link for heartbeats cannot be used", "reason", err.Error())
	} else if host != "" && !a.platform.hasHost(host) {
		a.warn(r, "the platform's link for heartbeats names another host; its path is used at the endpoints", "host", host)
	}
	r.applyInfo(info, path, now)
	r.rereadAt = now.Add(a.jitter.shorten(rereadInterval))
	a.recordSaved(r)
	shown := []any{"id", r.id, "state", string(info.State)}
	if r.stage != unmonitored {
		shown = append(shown, "interval", r.interval.String())
	}
	if how != "" {
		a.info(r, how, shown...)
	}
	if r.stage == inactive {
		a.warn(r, "is INACTIVE: no heartbeats are sent until it is no longer")
	}
	a.reschedule(r)
}

// updateDone takes the outcome of a PUT. One that fails is no reason to stop the
// heartbeats: the service goes on as it is registered.
func (a *Agent) updateDone(r *registration, now time.Time, info mp1.ServiceInfo, err error) {
	r.lastAnswer = outcomeText(err, "200")
	switch s := statusOf(err); {
	case err == nil:
		how := "updated"
		if r.registeredDigest == r.sentDigest {
			how = "" // it only joined
		}
		r.registeredDigest = r.sentDigest
		a.adopt(r, now, r.keepUntold(info), how)
		r.joined, r.onlyJoins, r.joinRefused = a.platform.keepsAgents(), false, false
	case s == http.StatusNotFound:
		a.reregister(r, now)
	default:
		r.joinRefused = permanent(err)
		if r.updateFailures++; r.updateFailures == 1 {
			a.warn(r, "could not be updated; it goes on as it was registered before", "reason", outcomeText(err, ""))
		}
		r.updateError = outcomeText(err, "")
		r.keepOld(now, a.jitter.requestBackoff(r.updateFailures), err)
		a.reschedule(r)
	}
}

// heartbeatDone takes the outcome of a PATCH of the liveness resource.
func (a *Agent) heartbeatDone(r *registration, now, sent time.Time, answer client.BeatAnswer, err error) {
	a.metrics.beat(sent.Sub(r.beatDue), err)
	r.lastAnswer = outcomeText(err, "204")
	switch s := statusOf(err); {
	case err == nil:
		a.logRecovery(r, now, "heartbeats are taken again")
		next := secondsOf(answer.NewInterval)
		if next > 0 {
			r.lastAnswer = "200, interval " + next.String()
			if next != r.interval {
				a.info(r, "the platform told a new interval", "interval", next.String(), "before", r.interval.String())
			}
		}
		r.step(heartbeatTaken)
		if !r.joined || r.silentBefore(sent) {
			a.joinAgain(r)
		}
		r.scheduleNext(a.jitter, sent, next)
		r.lastTook = now.Sub(sent)
		switch {
		case r.updateIsDue(now): // sent right after a heartbeat, a PUT delays none
			r.step(updateDue)
			r.timer.due = now
		case r.verifyNext:
			r.step(verifyDue)
			r.timer.due = now
		}
	case s == http.StatusNotFound, s == http.StatusConflict:
		r.failures++
		r.step(heartbeatRefused)
		r.timer.due = now
	default:
		r.step(heartbeatFailed)
		r.failures++
		a.warnOnce(r, "a heartbeat was not taken", err)
		r.retryIn(now, a.jitter.heartbeatDelay(r.failures, r.interval, now.Sub(r.lastBeat), err))
	}
	a.reschedule(r)
}

// livenessDone takes the outcome of a GET of the liveness resource.
func (a *Agent) livenessDone(r *registration, now time.Time, info mp1.ServiceLivenessInfo, err error) {
	switch {
	case err == nil:
		before := r.interval
		if info.State == mp1.Suspended {
			a.joinAgain(r)
		}
		said := r.inactiveWhy
		was := r.applyLiveness(a.jitter, now, info)
		a.logLiveness(r, was, said, before, info)
		if r.stage == inactive && r.updateIsDue(now) {
			r.step(updateDue)
			r.timer.due = now
		}
	case statusOf(err) == http.StatusNotFound:
		r.lastAnswer = outcomeText(err, "")
		a.reregister(r, now)
		return
	case r.stage == verifying: // no failure of the service: its heartbeat was taken
		r.step(livenessFailed)
		r.verifyNext, r.timer.due = false, r.beatDue
	default:
		r.step(livenessFailed)
		r.failures++
		r.lastAnswer = outcomeText(err, "")
		a.warnOnce(r, "the liveness resource cannot be read", err)
		r.retryIn(now, a.jitter.heartbeatDelay(r.failures, r.interval, now.Sub(r.lastBeat), err))
	}
	a.reschedule(r)
}

// logLiveness logs where the liveness resource shows something else than the agent had.
func (a *Agent) logLiveness(r *registration, was stage, said string, before time.Duration, info mp1.ServiceLivenessInfo) {
	if before != r.interval {
		a.info(r, "the platform has another interval", "interval", r.interval.String(), "before", before.String())
	}
	switch {
	case r.stage == inactive && was != inactive:
		var why []any
		if r.inactiveWhy != "" {
			why = []any{"reason", r.inactiveWhy}
		}
		a.warn(r, "is INACTIVE: no heartbeats are sent until it is no longer", why...)
	case r.stage == inactive && r.inactiveWhy != said:
		a.warn(r, "is INACTIVE for this reason", "reason", r.inactiveWhy)
	case r.stage != inactive && was == inactive:
		a.info(r, "is no longer INACTIVE: heartbeats are sent again")
	case r.denials == 1 && was == verifying:
		a.warn(r, "is not ACTIVE after a heartbeat; another is sent", "state", string(info.State))
	}
}

// reregister has a service registered again that the platform no longer knows.
func (a *Agent) reregister(r *registration, now time.Time) {
	a.warn(r, "the platform no longer knows it; it is registered again if nobody else does so", "id", r.id)
	a.metrics.lost()
	r.lost(a.jitter, now)
	a.searchBy(r.timer.due)
	a.recordSaved(r)
	a.reschedule(r)
}
