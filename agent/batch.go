package agent

import (
	"context"
	"errors"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
)

// earlyShare is the part of its interval by which a heartbeat may be early to go with others.
const earlyShare = 8

// together takes those heartbeats out of the queue that go with the one of a timer that is due,
// and returns them with it; nil: it goes alone. None is late for the others. What failed last time
// goes alone: it must not depend on why.
func (a *Agent) together(t *timer, now time.Time) (all []*registration) {
	first := t.of
	if !beatsByBatch(t) || !a.platform.takesBatches() {
		return nil
	}
	var back []*timer
	for latest := now.Add(first.interval / earlyShare); len(all) < mp1.MaxHeartbeats-1; {
		next := a.requests.urgent.first()
		if next == nil || next.due.After(latest) {
			break
		}
		a.requests.urgent.take()
		if beatsByBatch(next) && !next.due.After(now.Add(next.of.interval/earlyShare)) {
			all = append(all, next.of)
		} else {
			back = append(back, next)
		}
	}
	for _, one := range back {
		a.requests.urgent.put(one)
	}
	if len(all) == 0 {
		return nil
	}
	return append(all, first)
}

// beatsByBatch reports whether what a timer sends next is a heartbeat that may go with others.
func beatsByBatch(t *timer) bool {
	r := t.of
	return r != nil && t == &r.timer && r.stage == beating && r.failures == 0
}

// beatAll sends one heartbeat of each of them in one request. Their timers are those of one job.
func (a *Agent) beatAll(all []*registration, now time.Time) job {
	beats := make([]mp1.HeartbeatOf, len(all))
	shortest := all[0].interval
	for i, r := range all {
		beats[i] = mp1.HeartbeatOf{AppInstanceID: a.options.App, SerInstanceID: r.id}
		shortest = min(shortest, r.interval)
		r.timer.running = true
		r.sentDigest = r.digest
		a.noteLateness(&r.timer, now)
	}
	return func(ctx context.Context) func(time.Time) {
		sent := time.Now()
		answers, err := a.platform.beatAll(ctx, beats, shortest)
		return func(now time.Time) { a.batchDone(all, now, sent, answers, err) }
	}
}

// batchDone takes the outcome of heartbeats that were sent together: each is what that of a
// PATCH would have been. A platform that takes no batches is sent PATCHes at once.
func (a *Agent) batchDone(all []*registration, now, sent time.Time, answers []client.BeatResult, err error) {
	for i, r := range all {
		r.timer.running = false
		switch {
		case errors.Is(err, client.ErrNoBatches):
			a.reschedule(r)
		case err != nil:
			a.heartbeatDone(r, now, sent, client.BeatAnswer{}, err)
		default:
			a.heartbeatDone(r, now, sent, answers[i].BeatAnswer, answers[i].Err)
		}
		a.report(r)
	}
}

// takesBatches reports whether heartbeats may be sent together. Only a platform that has shown that
// it is one of ours is asked for what MEC 011 does not have.
func (p *platform) takesBatches() bool {
	return p.keepsAgents() && p.clients[p.current.Load()].TakesBatches()
}

// beatAll sends heartbeats of several services, the shortest interval among which is given. An
// endpoint that takes none is no reason to go to another one.
func (p *platform) beatAll(ctx context.Context, beats []mp1.HeartbeatOf, interval time.Duration) (out []client.BeatResult, err error) {
	other := func(err error) bool { return !errors.Is(err, client.ErrNoBatches) && failsOver(err) }
	err = p.call(ctx, p.attemptTimeout(interval), other, func(ctx context.Context, c *client.Client) error {
		out, err = c.Heartbeats(ctx, beats)
		return err
	})
	return out, err
}
