package agent

import (
	"context"
	"time"
)

// outcome is what a job returned, on its way back to the loop.
type outcome struct {
	pool  *pool
	timer *timer
	apply func(now time.Time)
}

// pool counts the jobs of one queue that are being carried out, each by a goroutine that
// ends with it. Their number follows the demand: usual at a time while all are in time, and
// beside them those that are late, so that a platform twice as far away is sent twice as
// many requests at a time. A burst that a near platform answers at once stays at usual.
type pool struct {
	queue *timerQueue
	usual int
	most  int // else a platform that does not answer would be sent ever more
	busy  int
}

// The pools of an agent.
const (
	urgentPool = iota // requests of registered services
	otherPool         // lists and registrations
	probePool
)

// patience is how late a job is when it is carried out beside the usual number of others.
const patience = 100 * time.Millisecond

// next is the timer whose job is to be carried out now. If there is none, it is nil, and
// at is when to ask again, unless something changes before.
func (p *pool) next(now time.Time) (t *timer, at time.Time) {
	t = p.queue.first()
	if t == nil || p.busy >= p.most {
		return nil, now.Add(maxSleep)
	}
	at = t.due
	if p.busy >= p.usual {
		at = at.Add(patience)
	}
	if at.After(now) {
		return nil, at
	}
	return t, now
}

// maxSleep is how long the loop sleeps when nothing is due. Its tick wakes it sooner.
const maxSleep = time.Hour

// loop starts the jobs that are due and applies their outcomes, until ctx has ended and
// none is under way any more. It returns when ctx ended. Requests under way then are cut off
// after drainTimeout, so that a platform that hangs cannot hold up the end.
func (a *Agent) loop(ctx context.Context) (ended time.Time) {
	inFlight, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	due := time.NewTimer(maxSleep)
	defer due.Stop()
	clocks := clockWatch{wall: a.wall}
	clocks.gap(time.Now())
	outcomes := make(chan outcome)
	done := ctx.Done()
	for done != nil || a.busy() > 0 {
		if done != nil && ctx.Err() == nil {
			now := time.Now()
			due.Reset(a.startDue(inFlight, now, outcomes).Sub(now))
		}
		select {
		case o := <-outcomes:
			a.apply(o)
		case <-a.wakened:
		case <-due.C:
		case <-tick.C:
			a.tick(&clocks)
		case <-done:
			done, ended = nil, time.Now()
			a.locked(func() { a.stopped = true })
			defer time.AfterFunc(drainTimeout, cut).Stop()
		}
	}
	return ended
}

// startDue starts the jobs that are due, and returns when to do so again.
func (a *Agent) startDue(ctx context.Context, now time.Time, outcomes chan<- outcome) (again time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	again = now.Add(maxSleep)
	for _, p := range a.pools {
		for {
			t, at := p.next(now)
			if t == nil {
				again = earlier(again, at)
				break
			}
			p.queue.take().running = true
			p.busy++
			if p.queue != &a.probes {
				a.metrics.underWay.Inc()
			}
			var job job
			if all := a.together(t, now); all != nil {
				job = a.beatAll(all, now)
			} else {
				a.noteLateness(t, now)
				job = t.start()
			}
			go func() { outcomes <- outcome{p, t, job(ctx)} }()
		}
	}
	return again
}

// busy is how many jobs are under way.
func (a *Agent) busy() (n int) {
	for _, p := range a.pools {
		n += p.busy
	}
	return n
}

// locked calls f under the agent's mutex.
func (a *Agent) locked(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// apply applies an outcome, and frees its timer for the next job.
func (a *Agent) apply(o outcome) {
	a.locked(func() {
		o.pool.busy--
		if o.pool.queue != &a.probes {
			a.metrics.underWay.Dec()
		}
		o.timer.running = false
		o.apply(time.Now())
		if o.timer.of != nil {
			a.report(o.timer.of)
		} else {
			a.reportAll()
		}
	})
}

// tick is called once a tickInterval. A machine that slept has missed its heartbeats,
// so that they are sent now; and what the agent knows is saved.
func (a *Agent) tick(w *clockWatch) {
	now := time.Now()
	if gap := w.gap(now); gap != 0 {
		a.log.Warn("the clock jumped or the machine slept: every heartbeat is sent now",
			"gap", gap.Round(time.Millisecond).String())
		a.locked(func() { a.wake(now) })
	}
	a.warnOfLateness()
	a.saveState()
}

// wake makes a heartbeat of every registered service due, but for those with a request in
// flight.
func (a *Agent) wake(now time.Time) {
	for _, r := range a.registrations {
		if r.timer.index < 0 || r.id == "" || r.stage == unmonitored {
			continue
		}
		r.step(woken)
		r.beatDue, r.timer.due = now, now
		r.newPhase, r.verifyNext = true, true
		a.joinAgain(r)
		a.requests.put(&r.timer)
	}
	a.reportAll()
}
