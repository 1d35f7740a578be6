package events

import (
	"runtime"
	"sync"
	"time"
)

const (
	// turnTime is how long a stream has its turn at most. One that takes longer waits for its reader.
	turnTime = 20 * time.Millisecond
	// After sliceTime of turns nobody has one for pauseTime.
	sliceTime = time.Millisecond
	pauseTime = 3 * time.Millisecond
)

// turns says which streams write. A change concerns thousands of them at once, and Go looks for what
// has arrived only when nothing else is ready to run: a heartbeat would wait behind all of them. So
// they wait in a queue, and are woken one after the other; half of the processors, and three quarters of
// the time, are left to others, also to those who read. A stream is parked until there is news. It is safe for concurrent use.
type turns struct {
	mu      sync.Mutex
	parked  waiter // the heads of two rings
	queue   waiter
	news    uint64    // grows with each of it
	free    int       // how many more may have a turn
	began   time.Time // when the first turn of this slice began
	resting bool      // between two slices
	rested  *time.Timer
}

func newTurns() *turns {
	t := &turns{free: max(1, runtime.GOMAXPROCS(0)/2)}
	t.parked.next, t.parked.prev = &t.parked, &t.parked
	t.queue.next, t.queue.prev = &t.queue, &t.queue
	return t
}

// waiter is a stream in the queue of turns.
type waiter struct {
	turn       chan struct{} // has one when it is this stream's turn
	next, prev *waiter       // in a ring; nil: it is in none
	parked     uint64        // it is parked until news is more
	has        bool          // it has its turn, or is about to take it
	late       *time.Timer   // ends its turn
}

func newWaiter() *waiter { return &waiter{turn: make(chan struct{}, 1)} }

// push puts a stream at the end of a ring.
func (w *waiter) push(head *waiter) {
	w.next, w.prev = head, head.prev
	w.prev.next, head.prev = w, w
}

func (w *waiter) unlink() {
	w.prev.next, w.next.prev = w.next, w.prev
	w.next, w.prev = nil, nil
}

// move moves all of a ring to the end of another one.
func move(from, to *waiter) {
	if from.next == from {
		return
	}
	first, last := from.next, from.prev
	first.prev, to.prev.next = to.prev, first
	last.next, to.prev = to, last
	from.next, from.prev = from, from
}

// park has a stream wait for news.
func (t *turns) park(w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !w.has && w.next == nil {
		w.parked = t.news
		w.push(&t.parked)
	}
}

// want has a stream wait for its turn, which comes by itself.
func (t *turns) want(w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case w.has, w.next != nil && w.parked != t.news:
		return
	case w.next != nil:
		w.unlink()
	}
	w.parked = t.news - 1
	w.push(&t.queue)
	t.grant()
}

// wake is news for all who are parked.
func (t *turns) wake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.news++
	move(&t.parked, &t.queue)
	t.grant()
}

// done gives a turn back, unless it is over already.
func (t *turns) done(w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.has {
		w.has = false
		w.late.Stop()
		t.free++
		t.grant()
	}
}

// leave is called when a stream ends.
func (t *turns) leave(w *waiter) {
	t.mu.Lock()
	if w.next != nil {
		w.unlink()
	}
	t.mu.Unlock()
	t.done(w)
}

// grant gives turns to those who wait longest; t.mu is held.
func (t *turns) grant() {
	for t.free > 0 && !t.resting && t.queue.next != &t.queue {
		now := time.Now()
		switch {
		case t.began.IsZero() || now.Sub(t.began) > sliceTime+pauseTime:
			t.began = now
		case now.Sub(t.began) > sliceTime:
			t.rest()
			return
		}
		w := t.queue.next
		w.unlink()
		w.has = true
		t.free--
		if w.late == nil {
			w.late = time.AfterFunc(turnTime, func() { t.done(w) })
		} else {
			w.late.Reset(turnTime)
		}
		select {
		case w.turn <- struct{}{}:
		default: // it has not taken the last one yet, which was over
		}
	}
}

// rest ends a slice; t.mu is held.
func (t *turns) rest() {
	t.resting = true
	if t.rested != nil {
		t.rested.Reset(pauseTime)
		return
	}
	t.rested = time.AfterFunc(pauseTime, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.resting, t.began = false, time.Time{}
		t.grant()
	})
}
