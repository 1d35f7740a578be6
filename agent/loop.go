package agent

import (
	"context"
	"sync"
	"time"

	"github.com/go-chassis/openlog"
)

// task is an item on its way to a worker, outcome on its way back.
type (
	assignment struct {
		timer *timer
		job   job
	}
	outcome struct {
		timer *timer
		apply func(time.Time)
	}
)

// pool is a few workers for one lane.
type pool struct {
	queue    *timerQueue
	jobs     chan assignment
	outcomes chan outcome
	busy     int
	wg       sync.WaitGroup
}

func newPool(ctx context.Context, q *timerQueue, n int) *pool {
	p := &pool{queue: q, jobs: make(chan assignment), outcomes: make(chan outcome, n)}
	for range n {
		p.wg.Go(func() {
			for t := range p.jobs {
				p.outcomes <- outcome{t.timer, t.job(ctx)} // never blocks: one place for each worker
			}
		})
	}
	return p
}

// next is what a free worker can take now; until says when to look again.
func (p *pool) next(now time.Time, until *time.Time) (chan<- assignment, assignment) {
	t := p.queue.first()
	switch {
	case t == nil:
	case t.due.After(now):
		*until = earlier(*until, t.due)
	default:
		return p.jobs, assignment{t, t.start()}
	}
	return nil, assignment{}
}

// started notes that a worker took what was offered.
func (p *pool) started() {
	p.queue.take().running = true
	p.busy++
}

func (p *pool) stop() {
	close(p.jobs)
	p.wg.Wait()
}

// maxSleep is how long the loop may sleep; the watch over the clocks wakes it anyway.
const maxSleep = time.Hour

// loop hands out what is due and takes what came of it, until ctx ends and nothing
// is in flight any more; it tells when ctx ended.
func (a *Agent) loop(ctx context.Context) (ended time.Time) {
	inFlight, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	beats, probes := newPool(inFlight, &a.requests, requestWorkers), newPool(inFlight, &a.probes, a.probeWorkers())
	defer beats.stop()
	defer probes.stop()
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	due := time.NewTimer(maxSleep)
	defer due.Stop()
	clocks := clockWatch{wall: a.wall}
	clocks.gap(time.Now())
	done := ctx.Done()
	for done != nil || beats.busy+probes.busy > 0 {
		now := time.Now()
		until := now.Add(maxSleep)
		var beatCh, probeCh chan<- assignment
		var beat, probe assignment
		if done != nil {
			beatCh, beat = beats.next(now, &until)
			probeCh, probe = probes.next(now, &until)
		}
		due.Reset(until.Sub(now))
		select {
		case beatCh <- beat:
			a.locked(beats.started)
		case probeCh <- probe:
			a.locked(probes.started)
		case o := <-beats.outcomes:
			beats.busy--
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

// probeWorkers is how many workers the probes need.
func (a *Agent) probeWorkers() int {
	n := 0
	for _, r := range a.registrations {
		if r.service.Probe != nil && n < maxProbeWorkers {
			n++
		}
	}
	return n
}

func (a *Agent) locked(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *Agent) apply(o outcome) {
	a.locked(func() {
		o.timer.running = false
		o.apply(time.Now())
	})
}

// tick looks at the clocks and writes what must be written.
func (a *Agent) tick(w *clockWatch) {
	now := time.Now()
	if gap := w.gap(now); gap != 0 {
		a.log.Warn("the clock jumped or the machine slept: every heartbeat is sent now",
			openlog.WithTags(openlog.Tags{"gap": gap.Round(time.Millisecond).String()}))
		a.locked(func() { a.wake(now) })
	}
	a.saveState()
}

// wake makes every heartbeat due. One that is in flight is left alone.
func (a *Agent) wake(now time.Time) {
	for _, r := range a.registrations {
		if r.timer.index < 0 || r.id == "" || r.stage == unmonitored {
			continue
		}
		r.step(woken)
		r.beatDue, r.timer.due = now, now
		r.newPhase, r.verifyNext = true, true
		a.requests.put(&r.timer)
	}
}

const (
	// minGap is a difference between the clocks that no timer explains.
	minGap = time.Second
	// minPause is a tick so late that this process must have stood still.
	minPause = 4 * tickInterval
)

// clockWatch compares the wall clock with the monotonic one, which stands still while the
// machine sleeps.
type clockWatch struct {
	wall                func() time.Time
	monotonic, wallTime time.Time
}

// gap is the time that was lost or jumped since the last call, 0 if there was none.
func (w *clockWatch) gap(now time.Time) time.Duration {
	// without its monotonic reading, for Sub uses that where both have one
	real := w.wall().Round(0)
	mono, last := now.Sub(w.monotonic), real.Sub(w.wallTime)
	first := w.monotonic.IsZero()
	w.monotonic, w.wallTime = now, real
	switch diff := last - mono; {
	case first:
		return 0
	case diff > minGap || diff < -minGap:
		return diff
	case mono > minPause:
		return mono
	}
	return 0
}
