package agent

import (
	"container/heap"
	"context"
	"time"
)

// timer is something to be done at a time. It is in a queue until a worker takes its job,
// and is put there again when the outcome was applied.
type timer struct {
	due     time.Time
	rank    int        // of those due at one time the lower comes first
	start   func() job // called by the loop when it is due
	index   int        // in the queue; -1: not in it
	running bool       // a worker has its job
}

// job is carried out by a worker, without the agent's mutex. apply is called by the loop,
// under the mutex.
type job func(ctx context.Context) (apply func(now time.Time))

// timerQueue is a heap of timers, the first due at its top. The loop alone uses it.
type timerQueue []*timer

// Len, Less, Swap, Push and Pop are what container/heap calls.
func (q timerQueue) Len() int { return len(q) }
func (q timerQueue) Less(i, j int) bool {
	if !q[i].due.Equal(q[j].due) {
		return q[i].due.Before(q[j].due)
	}
	return q[i].rank < q[j].rank
}
func (q timerQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i]; q[i].index, q[j].index = i, j }

// Push is called by container/heap only.
func (q *timerQueue) Push(x any) {
	t, _ := x.(*timer)
	t.index = len(*q)
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

// put enters a timer, or moves it to where its changed due time belongs.
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
