package heartbeat

import (
	"context"
	"sync"
)

const (
	// refuteWorkers are many: refutations are in a hurry, and each waits for the store
	// twice or thrice.
	refuteWorkers = 256
	usualWorkers  = 32
	// claimWorkers are more than the claims that the rate keeps under way, for each reads besides,
	// and in a mass both wait for the store's own revocations.
	claimWorkers = 128
	// endWorkers are how many leases are ended at once, by one write each.
	endWorkers = 64
	maxLookups = 8
	// maxRevokes is how many leases wait to be revoked; what is over it runs out by itself.
	maxRevokes = 100_000
)

// workQueue is a queue of work of one sort, and a bounded number of workers, which are
// started while there is work. Whoever gives it work never waits.
type workQueue[T any] struct {
	spawn   func(work func()) bool // begins a worker; false: no more for good
	do      func(T)
	workers int
	maxLen  int // longest queue; 0: bounded by what can be asked for

	mu        sync.Mutex
	queue     []T
	working   int
	lostCount uint64

	reducedBy int // workers that are left out because calls to the store ran into their bound
	successes int // pieces of work that succeeded since the number was changed
	reducedAt Mono
}

// minWorkers is how many workers there are however slow the store is.
const minWorkers = 4

// adapt changes the number of workers by how a piece of work ended. A slow store carries
// out what was given up as well, so fewer at once get more done.
func (q *workQueue[T]) adapt(began, now Mono, failed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case failed && began >= q.reducedAt:
		q.reducedBy, q.successes, q.reducedAt = q.workers-max((q.workers-q.reducedBy)/2, min(q.workers, minWorkers)), 0, now
	case failed || q.reducedBy == 0:
	default:
		if q.successes++; q.successes >= minWorkers {
			q.reducedBy, q.successes = q.reducedBy-1, 0
		}
	}
}

// put queues a piece of work; false: the queue is full, and it was dropped.
func (q *workQueue[T]) put(x T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.maxLen > 0 && len(q.queue) >= q.maxLen {
		q.lostCount++
		return false
	}
	q.queue = append(q.queue, x)
	q.addWorker()
	return true
}

// addWorker starts a worker, if there may be one more; q.mu is held.
func (q *workQueue[T]) addWorker() {
	if q.working < q.workers-q.reducedBy && q.spawn(q.work) {
		q.working++
	}
}

// work is a worker: it does what is queued until nothing is.
func (q *workQueue[T]) work() {
	for {
		x, ok := q.take()
		if !ok {
			return
		}
		q.do(x)
	}
}

func (q *workQueue[T]) take() (x T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) == 0 {
		q.queue = nil // a mass leaves no memory behind
		q.working--
		return x, false
	}
	if q.working > q.workers-q.reducedBy {
		q.working--
		return x, false
	}
	if len(q.queue) > 1 {
		q.addWorker() // there may be more again
	}
	var none T
	x, q.queue[0] = q.queue[0], none
	q.queue = q.queue[1:]
	return x, true
}

// length is how much is queued.
func (q *workQueue[T]) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queue)
}

// dropped is how much the queue was too full for.
func (q *workQueue[T]) dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lostCount
}

// workQueues are the engine's. A refutation that waited behind a slow claim would come too
// late, and a living instance be suspended: so each sort of work has workers of its own
// (refutations never wait for claims: protocol CE4).
type workQueues struct {
	refutes, claims, adopts, ends workQueue[*entry]
	repairs                       workQueue[repairJob]
	revokes                       workQueue[LeaseID]
	lookupSlots                   chan struct{} // a semaphore: reads of ids that this replica does not know
}

func (e *Engine) setUpWork() {
	of := func(workers int, do func(*entry)) workQueue[*entry] {
		return workQueue[*entry]{spawn: e.spawn, workers: workers, do: do}
	}
	e.refutes = of(refuteWorkers, e.refute)
	e.claims = of(claimWorkers, e.claim)
	e.adopts = of(usualWorkers, e.adopt)
	e.ends = of(endWorkers, e.endLease)
	e.repairs = workQueue[repairJob]{spawn: e.spawn, workers: usualWorkers, do: e.repair}
	e.revokes = workQueue[LeaseID]{spawn: e.spawn, workers: usualWorkers, maxLen: maxRevokes,
		do: func(l LeaseID) { _ = e.Store.Revoke(e.ctx, l) }} // it runs out by itself if this fails
	e.lookupSlots = make(chan struct{}, maxLookups)
	e.batches = newBatchPools(e.spawn)
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
