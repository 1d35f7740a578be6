package agent

import (
	"context"
	"sync"
	"time"
)

type (
	// assignment is the job of a timer on its way to a worker.
	assignment struct {
		timer *timer
		job   job
	}
	// outcome is what the job returned, on its way back to the loop.
	outcome struct {
		timer *timer
		apply func(now time.Time)
	}
)

// pool is the workers of one queue.
type pool struct {
	queue       *timerQueue
	assignments chan assignment
	outcomes    chan outcome // has room for one of each worker, so that none ever blocks
	busy        int          // workers
	wg          sync.WaitGroup
}

func newPool(ctx context.Context, q *timerQueue, n int) *pool {
	p := &pool{queue: q, assignments: make(chan assignment), outcomes: make(chan outcome, n)}
	for range n {
		p.wg.Go(func() {
			for as := range p.assignments {
				p.outcomes <- outcome{as.timer, as.job(ctx)}
			}
		})
	}
	return p
}

// next is what a free worker can take now. If nothing is due yet, the channel is nil and
// until is brought forward to when something is.
func (p *pool) next(now time.Time, until *time.Time) (chan<- assignment, assignment) {
	t := p.queue.first()
	switch {
	case t == nil:
	case t.due.After(now):
		*until = earlier(*until, t.due)
	default:
		return p.assignments, assignment{t, t.start()}
	}
	return nil, assignment{}
}

// started notes that a worker took what next returned.
func (p *pool) started() {
	p.queue.take().running = true
	p.busy++
}

// stop waits until the workers have ended. Nothing may be in flight.
func (p *pool) stop() {
	close(p.assignments)
	p.wg.Wait()
}

// maxSleep is how long the loop sleeps when nothing is due. Its tick wakes it sooner.
const maxSleep = time.Hour

// loop hands out what is due and applies the outcomes, until ctx has ended and nothing is
// in flight any more. It returns when ctx ended. Requests in flight then are cut off after
// drainTimeout, so that a platform that hangs cannot hold up the end.
func (a *Agent) loop(ctx context.Context) (ended time.Time) {
	inFlight, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	requests, probes := newPool(inFlight, &a.requests, requestWorkers), newPool(inFlight, &a.probes, a.probeWorkers())
	defer requests.stop()
	defer probes.stop()
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	due := time.NewTimer(maxSleep)
	defer due.Stop()
	clocks := clockWatch{wall: a.wall}
	clocks.gap(time.Now())
	done := ctx.Done()
	for done != nil || requests.busy+probes.busy > 0 {
		now := time.Now()
		until := now.Add(maxSleep)
		var requestCh, probeCh chan<- assignment
		var request, probe assignment
		if done != nil {
			requestCh, request = requests.next(now, &until)
			probeCh, probe = probes.next(now, &until)
		}
		due.Reset(until.Sub(now))
		select {
		case requestCh <- request:
			a.locked(requests.started)
		case probeCh <- probe:
			a.locked(probes.started)
		case o := <-requests.outcomes:
			requests.busy--
			a.apply(o)
		case o := <-probes.outcomes:
			probes.busy--
			a.apply(o)
		case <-due.C:
		case <-tick.C:
			a.tick(&clocks)
		case <-done:
			done, ended = nil, time.Now()
			defer time.AfterFunc(drainTimeout, cut).Stop()
		}
	}
	return ended
}

// probeWorkers is how many workers the probes get: one each, up to maxProbeWorkers.
func (a *Agent) probeWorkers() int {
	n := 0
	for _, r := range a.registrations {
		if r.service.Probe != nil && n < maxProbeWorkers {
			n++
		}
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
		o.timer.running = false
		o.apply(time.Now())
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
}
