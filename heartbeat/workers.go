package heartbeat

import (
	"context"
	"sync"
)

const (
	// refuteWorkers: refutations are in a hurry, and each waits for the store thrice.
	refuteWorkers = 256
	usualWorkers  = 32
	maxLookups    = 8
	// maxRevokes is how many leases wait to be revoked; what is over it runs out by itself.
	maxRevokes = 100_000
)

// workQueue is a queue of work of one sort, and a bounded number of workers, which are
// started while there is work. Whoever gives it work never waits.
type workQueue[T any] struct {
	spawn   func(work func()) bool // begins a worker; false: it has ended for good
	do      func(T)
	workers int
	maxLen  int // longest queue; 0: bounded by what can be asked for

	mu        sync.Mutex
	queue     []T
	working   int
	lostCount uint64

	withheld   int // workers that the store is too slow for, as far as was seen
	successes  int // pieces of work that succeeded since the number was changed
	withheldAt Mono
}

// minWorkers is how many workers there are however slow the store is.
const minWorkers = 4

// adapt follows how a piece of work that began then ended. A store that does not get round
// to what it is asked for carries out what was given up as well: fewer at once get done
// more.
func (l *workQueue[T]) adapt(began, now Mono, failed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case failed && began >= l.withheldAt:
		l.withheld, l.successes, l.withheldAt = l.workers-max((l.workers-l.withheld)/2, min(l.workers, minWorkers)), 0, now
	case failed || l.withheld == 0:
	default:
		if l.successes++; l.successes >= minWorkers {
			l.withheld, l.successes = l.withheld-1, 0
		}
	}
}

// put queues a piece of work; false: there was no room for it.
func (l *workQueue[T]) put(x T) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.maxLen > 0 && len(l.queue) >= l.maxLen {
		l.lostCount++
		return false
	}
	l.queue = append(l.queue, x)
	l.addWorker()
	return true
}

// addWorker starts a worker, if there may be one more; l.mu is held.
func (l *workQueue[T]) addWorker() {
	if l.working < l.workers-l.withheld && l.spawn(l.work) {
		l.working++
	}
}

// work does what is queued until nothing is.
func (l *workQueue[T]) work() {
	for {
		x, ok := l.take()
		if !ok {
			return
		}
		l.do(x)
	}
}

func (l *workQueue[T]) take() (x T, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		l.queue = nil // a mass leaves no memory behind
		l.working--
		return x, false
	}
	if l.working > l.workers-l.withheld {
		l.working--
		return x, false
	}
	if len(l.queue) > 1 {
		l.addWorker() // there may be more again
	}
	var none T
	x, l.queue[0] = l.queue[0], none
	l.queue = l.queue[1:]
	return x, true
}

// length is how much is queued.
func (l *workQueue[T]) length() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

// dropped is how much found no room.
func (l *workQueue[T]) dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lostCount
}

// workQueues are the engine's workers. A refutation never waits for a claim (protocol CE4),
// nor for an adoption or a repair.
type workQueues struct {
	refutes, claims, adopts workQueue[*entry]
	repairs                 workQueue[repairJob]
	revokes                 workQueue[LeaseID]
	lookupSlots             chan struct{} // reads of ids that this replica does not know
}

func (e *Engine) setUpWork() {
	of := func(width int, do func(*entry)) workQueue[*entry] {
		return workQueue[*entry]{spawn: e.spawn, workers: width, do: do}
	}
	e.refutes = of(refuteWorkers, e.refute)
	e.claims = of(usualWorkers, e.claim)
	e.adopts = of(usualWorkers, e.adopt)
	e.repairs = workQueue[repairJob]{spawn: e.spawn, workers: usualWorkers, do: e.repair}
	e.revokes = workQueue[LeaseID]{spawn: e.spawn, workers: usualWorkers, maxLen: maxRevokes,
		do: func(l LeaseID) { _ = e.Store.Revoke(e.ctx, l) }} // it runs out by itself if this fails
	e.lookupSlots = make(chan struct{}, maxLookups)
}

// spawn runs work in a goroutine that Run waits for; after Run it does nothing.
func (e *Engine) spawn(work func()) bool {
	e.workersMu.Lock()
	defer e.workersMu.Unlock()
	if e.ctx.Err() != nil {
		return false
	}
	e.workers.Go(work)
	return true
}

// stopWork ends all work and waits for it. The lock keeps work from beginning between
// the two.
func (e *Engine) stopWork() {
	e.workersMu.Lock()
	e.end()
	e.workersMu.Unlock()
	e.workers.Wait()
	e.hooks.drain(context.Background())
}
