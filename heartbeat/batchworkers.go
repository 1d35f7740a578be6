package heartbeat

import (
	"slices"
	"sync"
)

// What is at work for batches at once: in one of them, and in all together. Lookups have few of
// their own, so that whoever names instances that do not exist keeps nobody from coming back.
const (
	batchFlows, allBatchFlows     = 16, 256
	batchLookups, allBatchLookups = 4, 2 * maxLookups
)

// batchPools are the workers of all batches together.
type batchPools struct{ flows, lookups batchPool }

func newBatchPools(spawn func(func()) bool) batchPools {
	return batchPools{batchPool{spawn: spawn, all: allBatchFlows, each: batchFlows}, batchPool{spawn: spawn, all: allBatchLookups, each: batchLookups}}
}

// batchPool are workers of all batches together, of which each may have some. Batches take turns:
// a worker does one piece of work of each. Whoever gives it work never waits.
type batchPool struct {
	spawn     func(work func()) bool
	all, each int

	mu      sync.Mutex
	working int
	waiting []*batchWork // those that a worker may take a piece of
}

// batchWork is what a batch has queued: at most one piece for each of its heartbeats.
type batchWork struct {
	queue   []func()
	working int
	waiting bool // it is among those that wait
}

// put queues a piece of work of a batch.
func (p *batchPool) put(w *batchWork, piece func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.queue = append(w.queue, piece)
	p.offerToNew(w)
}

// offer has a batch wait for a worker, if it has work and may have one more; p.mu is held.
func (p *batchPool) offer(w *batchWork) bool {
	if w.waiting || len(w.queue) == 0 || w.working == p.each {
		return false
	}
	w.waiting = true
	p.waiting = append(p.waiting, w)
	return true
}

// offerToNew does so, and starts a worker if there may be one more; p.mu is held.
func (p *batchPool) offerToNew(w *batchWork) {
	if p.offer(w) && p.working < p.all && p.spawn(p.work) {
		p.working++
	}
}

// work is a worker: it does what is queued until nothing is.
func (p *batchPool) work() {
	for w, piece := p.next(nil); piece != nil; w, piece = p.next(w) {
		piece()
	}
}

// next ends a piece of work of a batch, and takes the next one; nil: there is none, and the
// worker ends.
func (p *batchPool) next(ended *batchWork) (w *batchWork, piece func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ended != nil {
		ended.working--
		p.offer(ended) // this worker takes it, or one that was started for another batch
	}
	if len(p.waiting) == 0 {
		p.waiting = nil
		p.working--
		return nil, nil
	}
	w, p.waiting[0] = p.waiting[0], nil
	p.waiting = p.waiting[1:]
	w.waiting = false
	piece, w.queue[0] = w.queue[0], nil
	w.queue = w.queue[1:]
	w.working++
	p.offerToNew(w)
	return w, piece
}

// drop forgets what is queued of a batch that is over.
func (p *batchPool) drop(w *batchWork) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.queue = nil
	if w.waiting {
		w.waiting = false
		i := slices.Index(p.waiting, w)
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
}
