package agent

import (
	"container/heap"
	"context"
	"time"
)

// timer is something to be done at a time. It is in a queue until its job is started, and is
// put there again when the outcome was applied.
type timer struct {
	due     time.Time
	urgent  bool       // see requestQueue; changed before put only
	start   func() job // called under the mutex when it is due
	index   int        // in its queue; -1: in none
	queue   *timerQueue
	of      *registration // nil: of all
	running bool          // its job is being carried out
}

// job is carried out without the agent's mutex, by a goroutine that ends with it. apply is
// called by the loop, under the mutex.
type job func(ctx context.Context) (apply func(now time.Time))

// requestQueue is what is to be sent to the platform. What is sent for registered services
// is urgent, for a heartbeat that is late has them suspended: it must not wait behind
// thousands that are to be registered yet, however long those have been due.
type requestQueue struct{ urgent, other timerQueue }

// put enters a timer, or moves it to where its changed due time or urgency belongs.
func (q *requestQueue) put(t *timer) {
	to := &q.other
	if t.urgent {
		to = &q.urgent
	}
	if t.index >= 0 && t.queue != to {
		t.queue.drop(t)
	}
	to.put(t)
}

// drop takes a timer out, if it is in.
func (q *requestQueue) drop(t *timer) {
	if t.index >= 0 {
		t.queue.drop(t)
	}
}

// timerQueue is a heap of timers, the first due at its top. The agent's mutex guards it.
type timerQueue []*timer

// Len, Less, Swap, Push and Pop are what container/heap calls.
func (q timerQueue) Len() int           { return len(q) }
func (q timerQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q timerQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i]; q[i].index, q[j].index = i, j }

// Push is called by container/heap only.
func (q *timerQueue) Push(x any) {
	t, _ := x.(*timer)
	t.index, t.queue = len(*q), q
	*q = append(*q, t)
}

// Pop is called by container/heap only.
func (q *timerQueue) Pop() any {
	old := *q
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*q, t.index = old[:len(old)-1], -1
	return t
}

// put enters a timer that is in no other queue, or moves it to where its changed due time
// belongs.
func (q *timerQueue) put(t *timer) {
	if t.index >= 0 {
		heap.Fix(q, t.index)
		return
	}
	heap.Push(q, t)
}

// drop takes a timer out, if it is in.
func (q *timerQueue) drop(t *timer) {
	if t.index >= 0 {
		heap.Remove(q, t.index)
	}
}

// first is the timer that is due next, nil if the queue is empty.
func (q timerQueue) first() *timer {
	if len(q) == 0 {
		return nil
	}
	return q[0]
}

// take takes out the timer that is due next. The queue must not be empty.
func (q *timerQueue) take() *timer {
	t, _ := heap.Pop(q).(*timer)
	return t
}
