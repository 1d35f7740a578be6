package agent

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// next is what a service needs now.
func (a *Agent) next(e *entry) job {
	id, href, interval := e.id, e.href, e.interval
	switch e.stage {
	case absent:
		return func(ctx context.Context) func(time.Time) {
			info, err := a.platform.register(ctx, e.service.Info)
			if err == nil && !mp1.ValidID(info.SerInstanceID) {
				err = errNoID
			}
			return func(now time.Time) { a.registered(e, now, info, err) }
		}
	case stale, free: // what is free is due only when it is outdated
		return func(ctx context.Context) func(time.Time) {
			info, err := a.platform.update(ctx, id, interval, e.service.Info)
			return func(now time.Time) { a.updated(e, now, info, err) }
		}
	case beating:
		return func(ctx context.Context) func(time.Time) {
			sent := time.Now()
			told, err := a.platform.beat(ctx, href, interval)
			return func(now time.Time) { a.beaten(e, now, sent, told, err) }
		}
	default: // checking, doubtful, inactive
		return func(ctx context.Context) func(time.Time) {
			info, err := a.platform.liveness(ctx, href, interval)
			return func(now time.Time) { a.looked(e, now, info, err) }
		}
	}
}

var errNoID = errors.New("the platform's answer has no serInstanceId")

// again puts the service back for what is due next. Nothing is due while its probe
// fails, or when the platform wants no heartbeats; an update is.
func (a *Agent) again(e *entry) {
	e.item.rank = 1
	if e.stage == beating {
		e.item.rank = 0 // who is known must not be suspended for who is not yet
	}
	switch {
	case e.stage == free && e.outdated:
		e.item.due = e.updateDue
		a.beats.put(&e.item)
	case e.stage == free, e.stage == unsure, !e.well && e.stage != stale:
		a.beats.drop(&e.item)
	default:
		a.beats.put(&e.item)
	}
}

func (a *Agent) registered(e *entry, now time.Time, info mp1.ServiceInfo, err error) {
	e.answer = answer(err, "201")
	a.measures.registration(err)
	if err == nil {
		a.adopt(e, now, info, "registered")
		return
	}
	e.failures++
	a.complain(e, "could not be registered", err)
	e.failed(now, patienceToRegister(a.dice.retryRegister(e.failures), err))
	if unclear(err) { // it may have been carried out: look before doing it again
		e.stage = unsure
		a.lookFor(e.item.due)
		return
	}
	a.again(e)
}

// adopt takes a registration for ours.
func (a *Agent) adopt(e *entry, now time.Time, info mp1.ServiceInfo, how string) {
	path, host, err := href(info)
	if err != nil {
		a.say(e, "the platform's link for heartbeats cannot be used", openlog.Tags{"reason": err.Error()})
	} else if host != "" && !a.platform.at(host) {
		a.say(e, "the platform's link for heartbeats names another host; its path is used at the endpoints", openlog.Tags{"host": host})
	}
	e.known(info, path, now)
	a.remember(e)
	tags := openlog.Tags{"id": e.id, "state": string(info.State)}
	if e.stage != free {
		tags["interval"] = e.interval.String()
	}
	a.note(e, how, tags)
	if e.stage == inactive {
		a.say(e, "is INACTIVE: no heartbeats are sent until the application sets it ACTIVE", nil)
	}
	a.again(e)
}

func (a *Agent) updated(e *entry, now time.Time, info mp1.ServiceInfo, err error) {
	e.answer = answer(err, "200")
	switch s := status(err); {
	case err == nil:
		a.adopt(e, now, info, "updated")
	case s == http.StatusNotFound:
		a.forget(e, now)
	default: // better alive as it was than dead
		if e.updates++; e.updates == 1 {
			a.say(e, "could not be updated; it goes on as it was registered before", openlog.Tags{"reason": answer(err, "")})
		}
		e.notUpdated(now, a.dice.retryRegister(e.updates), err)
		a.again(e)
	}
}

func (a *Agent) beaten(e *entry, now, sent time.Time, told client.BeatAnswer, err error) {
	a.measures.beat(sent.Sub(e.beatDue), err)
	e.answer = answer(err, "204")
	switch s := status(err); {
	case err == nil:
		a.recovered(e, now, "heartbeats are taken again")
		next := time.Duration(told.NewInterval) * time.Second
		if next > 0 {
			e.answer = "200, interval " + next.String()
			if next != e.interval {
				a.note(e, "the platform told a new interval", openlog.Tags{"interval": next.String(), "before": e.interval.String()})
			}
		}
		e.accepted(a.dice, sent, next)
		switch {
		case e.outdated && !now.Before(e.updateDue): // right after a heartbeat it delays none
			e.stage, e.item.due = stale, now
		case e.check:
			e.stage, e.item.due = checking, now
		}
	case s == http.StatusNotFound, s == http.StatusConflict:
		e.failures++
		e.stage, e.item.due = doubtful, now
	default:
		e.failures++
		a.complain(e, "a heartbeat was not taken", err)
		e.failed(now, patience(a.dice.retryBeat(e.failures, e.interval), err))
	}
	a.again(e)
}

func (a *Agent) looked(e *entry, now time.Time, info mp1.ServiceLivenessInfo, err error) {
	switch {
	case err == nil:
		before := e.interval
		was := e.seen(a.dice, now, info)
		a.compared(e, was, before, info)
	case status(err) == http.StatusNotFound:
		e.answer = answer(err, "")
		a.forget(e, now)
		return
	case e.stage == checking: // the heartbeat before was taken: it was only a look
		e.stage, e.check, e.item.due = beating, false, e.beatDue
	default:
		e.failures++
		e.answer = answer(err, "")
		a.complain(e, "the liveness resource cannot be read", err)
		e.failed(now, patience(a.dice.retryBeat(e.failures, e.interval), err))
	}
	a.again(e)
}

// compared says what the liveness resource showed otherwise than the agent thought.
func (a *Agent) compared(e *entry, was stage, before time.Duration, info mp1.ServiceLivenessInfo) {
	if before != e.interval {
		a.note(e, "the platform has another interval", openlog.Tags{"interval": e.interval.String(), "before": before.String()})
	}
	switch {
	case e.stage == inactive && was != inactive:
		a.say(e, "is INACTIVE: no heartbeats are sent until the application sets it ACTIVE", nil)
	case e.stage != inactive && was == inactive:
		a.note(e, "is no longer INACTIVE: heartbeats are sent again", nil)
	case e.denials == 1 && was == checking:
		a.say(e, "is not ACTIVE after a heartbeat; another is sent", openlog.Tags{"state": string(info.State)})
	}
}

// forget registers a service again that the platform no longer knows.
func (a *Agent) forget(e *entry, now time.Time) {
	a.say(e, "the platform no longer knows it; it is registered again", openlog.Tags{"id": e.id})
	a.measures.lost()
	e.lost(a.dice, now)
	a.remember(e)
	a.again(e)
}

// answer is what the status page shows of an outcome.
func answer(err error, good string) string {
	var p *client.Problem
	switch {
	case err == nil:
		return good
	case errors.As(err, &p):
		text := strconv.Itoa(p.Status)
		if p.Detail != "" {
			text += ", " + p.Detail
		}
		return text
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return strings.TrimPrefix(withoutURL(err).Error(), "mp1 client: ")
}
