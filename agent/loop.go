package agent

import (
	"context"
	"sync"
	"time"

	"github.com/go-chassis/openlog"
)

// task is an item on its way to a worker, outcome on its way back.
type (
	task struct {
		of *item
		do job
	}
	outcome struct {
		of     *item
		settle func(time.Time)
	}
)

// pool is a few workers for one lane.
type pool struct {
	lane    *lane
	jobs    chan task
	settled chan outcome
	busy    int
	wg      sync.WaitGroup
}

func newPool(ctx context.Context, l *lane, n int) *pool {
	p := &pool{lane: l, jobs: make(chan task), settled: make(chan outcome, n)}
	for range n {
		p.wg.Go(func() {
			for t := range p.jobs {
				p.settled <- outcome{t.of, t.do(ctx)} // never blocks: one place for each worker
			}
		})
	}
	return p
}

// offer is what a free worker can take now; until says when to look again.
func (p *pool) offer(now time.Time, until *time.Time) (chan<- task, task) {
	it := p.lane.first()
	switch {
	case it == nil:
	case it.due.After(now):
		*until = earlier(*until, it.due)
	default:
		return p.jobs, task{it, it.begin()}
	}
	return nil, task{}
}

// given notes that a worker took what was offered.
func (p *pool) given() {
	p.lane.take().flying = true
	p.busy++
}

func (p *pool) stop() {
	close(p.jobs)
	p.wg.Wait()
}

// longest is how long the loop may sleep; the watch over the clocks wakes it anyway.
const longest = time.Hour

// loop hands out what is due and takes what came of it, until ctx ends and nothing
// is in flight any more; it tells when ctx ended.
func (a *Agent) loop(ctx context.Context) (ended time.Time) {
	inFlight, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	beats, probes := newPool(inFlight, &a.beats, workers), newPool(inFlight, &a.probes, a.probers())
	defer beats.stop()
	defer probes.stop()
	tick := time.NewTicker(wakeCheck)
	defer tick.Stop()
	due := time.NewTimer(longest)
	defer due.Stop()
	clocks := watch{wall: a.wall}
	clocks.gap(time.Now())
	done := ctx.Done()
	for done != nil || beats.busy+probes.busy > 0 {
		now := time.Now()
		until := now.Add(longest)
		var beatCh, probeCh chan<- task
		var beat, probe task
		if done != nil {
			beatCh, beat = beats.offer(now, &until)
			probeCh, probe = probes.offer(now, &until)
		}
		due.Reset(until.Sub(now))
		select {
		case beatCh <- beat:
			a.locked(beats.given)
		case probeCh <- probe:
			a.locked(probes.given)
		case o := <-beats.settled:
			beats.busy--
			a.settle(o)
		case o := <-probes.settled:
			probes.busy--
			a.settle(o)
		case <-due.C:
		case <-tick.C:
			a.tick(&clocks)
		case <-done:
			done, ended = nil, time.Now()
			defer time.AfterFunc(gracePeriod, cut).Stop()
		}
	}
	return ended
}

// probers is how many workers the probes need.
func (a *Agent) probers() int {
	n := 0
	for _, e := range a.entries {
		if e.service.Probe != nil && n < maxProbers {
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

func (a *Agent) settle(o outcome) {
	a.locked(func() {
		o.of.flying = false
		o.settle(time.Now())
	})
}

// tick looks at the clocks and writes what must be written.
func (a *Agent) tick(w *watch) {
	now := time.Now()
	if gap := w.gap(now); gap != 0 {
		a.log.Warn("the clock jumped or the machine slept: every heartbeat is sent now",
			openlog.WithTags(openlog.Tags{"gap": gap.Round(time.Millisecond).String()}))
		a.locked(func() { a.wake(now) })
	}
	a.save()
}

// wake makes every heartbeat due. One that is in flight is left alone.
func (a *Agent) wake(now time.Time) {
	for _, e := range a.entries {
		if e.item.index < 0 || e.id == "" || e.stage == free {
			continue
		}
		if e.stage == checking {
			e.stage = beating
		}
		e.beatDue, e.item.due = now, now
		e.spread, e.check = true, true
		a.beats.put(&e.item)
	}
}

const (
	// leastGap is a difference between the clocks that no timer explains.
	leastGap = time.Second
	// leastPause is a tick so late that this process must have stood still.
	leastPause = 4 * wakeCheck
)

// watch compares the wall clock with the monotonic one, which stands still while the
// machine sleeps.
type watch struct {
	wall       func() time.Time
	mono, real time.Time
}

// gap is the time that was lost or jumped since the last call, 0 if there was none.
func (w *watch) gap(now time.Time) time.Duration {
	// without its monotonic reading, for Sub uses that where both have one
	real := w.wall().Round(0)
	mono, last := now.Sub(w.mono), real.Sub(w.real)
	first := w.mono.IsZero()
	w.mono, w.real = now, real
	switch diff := last - mono; {
	case first:
		return 0
	case diff > leastGap || diff < -leastGap:
		return diff
	case mono > leastPause:
		return mono
	}
	return 0
}
