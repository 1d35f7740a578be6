package heartbeat

import (
	"context"
	"sync"
)

const (
	// refuteWidth: refutations are in a hurry, and each waits for the store thrice.
	refuteWidth = 256
	laneWidth   = 32
	lookupWidth = 8
	// mostRevokes is how many leases wait to be revoked; what is over it runs out by itself.
	mostRevokes = 100_000
)

// lane is a queue of work of one sort, and a bounded number of workers, which are
// started while there is work. Whoever gives it work never waits.
type lane[T any] struct {
	start func(work func()) bool // begins a worker; false: it has ended for good
	do    func(T)
	width int
	most  int // longest queue; 0: bounded by what can be asked for

	mu      sync.Mutex
	queue   []T
	working int
	lost    uint64

	cut   int // workers that the store is too slow for, as far as was seen
	good  int // pieces of work that succeeded since the number was changed
	cutAt Instant
}

// leastWidth is how many workers there are however slow the store is.
const leastWidth = 4

// ended follows how a piece of work that began then ended. A store that does not get round
// to what it is asked for carries out what was given up as well: fewer at once get done
// more.
func (l *lane[T]) ended(began, now Instant, failed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case failed && began >= l.cutAt:
		l.cut, l.good, l.cutAt = l.width-max((l.width-l.cut)/2, min(l.width, leastWidth)), 0, now
	case failed || l.cut == 0:
	default:
		if l.good++; l.good >= leastWidth {
			l.cut, l.good = l.cut-1, 0
		}
	}
}

// put queues a piece of work; false: there was no room for it.
func (l *lane[T]) put(x T) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.most > 0 && len(l.queue) >= l.most {
		l.lost++
		return false
	}
	l.queue = append(l.queue, x)
	l.hire()
	return true
}

// hire starts a worker, if there may be one more; l.mu is held.
func (l *lane[T]) hire() {
	if l.working < l.width-l.cut && l.start(l.work) {
		l.working++
	}
}

// work does what is queued until nothing is.
func (l *lane[T]) work() {
	for {
		x, ok := l.next()
		if !ok {
			return
		}
		l.do(x)
	}
}

func (l *lane[T]) next() (x T, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		l.queue = nil // a mass leaves no memory behind
		l.working--
		return x, false
	}
	if l.working > l.width-l.cut {
		l.working--
		return x, false
	}
	if len(l.queue) > 1 {
		l.hire() // there may be more again
	}
	var none T
	x, l.queue[0] = l.queue[0], none
	l.queue = l.queue[1:]
	return x, true
}

// waiting is how much is queued.
func (l *lane[T]) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

// dropped is how much found no room.
func (l *lane[T]) dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// lanes are the engine's workers. A refutation never waits for a claim (protocol CE4),
// nor for an adoption or a repair.
type lanes struct {
	refutes, claims, adopts lane[*entry]
	repairs                 lane[mending]
	revokes                 lane[LeaseID]
	lookups                 chan struct{} // reads of ids that this replica does not know
}

func (e *Engine) setUpLanes() {
	of := func(width int, do func(*entry)) lane[*entry] {
		return lane[*entry]{start: e.begin, width: width, do: do}
	}
	e.refutes = of(refuteWidth, e.refute)
	e.claims = of(laneWidth, e.claim)
	e.adopts = of(laneWidth, e.adopt)
	e.repairs = lane[mending]{start: e.begin, width: laneWidth, do: e.repair}
	e.revokes = lane[LeaseID]{start: e.begin, width: laneWidth, most: mostRevokes,
		do: func(l LeaseID) { _ = e.Store.Revoke(e.ctx, l) }} // it runs out by itself if this fails
	e.lookups = make(chan struct{}, lookupWidth)
}

// begin runs work in a goroutine that Run waits for; after Run it does nothing.
func (e *Engine) begin(work func()) bool {
	e.workMu.Lock()
	defer e.workMu.Unlock()
	if e.ctx.Err() != nil {
		return false
	}
	e.work.Go(work)
	return true
}

// stop ends all work and waits for it. The lock keeps work from beginning between
// the two.
func (e *Engine) stop() {
	e.workMu.Lock()
	e.end()
	e.workMu.Unlock()
	e.work.Wait()
	e.hooks.rest(context.Background())
}
