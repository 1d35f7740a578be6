package agent

import (
	"container/heap"
	"context"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// timer is something that is due at a time. It lies in a lane until it is begun, and
// again when what it began was settled.
type timer struct {
	due  time.Time
	rank int // among those that are due together, lower first
	// start is called by the loop and returns what a worker does.
	start   func() job
	index   int  // in the heap; -1: not in it
	running bool // a worker has it
}

// job is carried out by a worker. What it returns is called by the loop.
type job func(ctx context.Context) (settle func(now time.Time))

// timerQueue is the heap of what is due. The loop alone uses it.
type timerQueue []*timer

func (q timerQueue) Len() int { return len(q) }
func (q timerQueue) Less(i, j int) bool {
	if !q[i].due.Equal(q[j].due) {
		return q[i].due.Before(q[j].due)
	}
	return q[i].rank < q[j].rank
}
func (q timerQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i]; q[i].index, q[j].index = i, j }

// Push and Pop are container/heap's.
func (q *timerQueue) Push(x any) {
	t, _ := x.(*timer)
	t.index = len(*q)
	*q = append(*q, t)
}

func (q *timerQueue) Pop() any {
	old := *q
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*q, t.index = old[:len(old)-1], -1
	return t
}

// put enters the item, or moves it to its new due time.
func (q *timerQueue) put(t *timer) {
	if t.index >= 0 {
		heap.Fix(q, t.index)
		return
	}
	heap.Push(q, t)
}

// drop takes the item out, if it is in.
func (q *timerQueue) drop(t *timer) {
	if t.index >= 0 {
		heap.Remove(q, t.index)
	}
}

// first is what is due next; nil: nothing ever.
func (q timerQueue) first() *timer {
	if len(q) == 0 {
		return nil
	}
	return q[0]
}

func (q *timerQueue) take() *timer {
	t, _ := heap.Pop(q).(*timer)
	return t
}

// jitter gives numbers in [0, 1).
type jitter func() float64

var randomJitter jitter = rand.Float64

// shorten shortens an interval by up to a tenth: a heartbeat is never later than the
// platform told, and many agents do not fall into step.
func (j jitter) shorten(interval time.Duration) time.Duration {
	return interval - time.Duration(j()*float64(interval)/10)
}

// firstInterval is the first interval of a service after it was heard at once: between a
// tenth and the whole of it, by the id, so that services registered together do not
// beat together.
func firstInterval(id string, interval time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	share := float64(scramble(h.Sum64())>>11) / (1 << 53)
	return time.Duration((0.1 + 0.9*share) * float64(interval))
}

// scramble spreads what FNV leaves close together: ids that differ in their end only.
func scramble(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// backoff is how long to wait after the n-th failure in a row: doubled each time from
// least to most, less up to a quarter.
func (j jitter) backoff(n int, least, most time.Duration) time.Duration {
	wait := least
	for range n - 1 {
		if wait >= most {
			break
		}
		wait *= 2
	}
	wait = min(wait, most)
	return wait - time.Duration(j()*float64(wait)/4)
}

const (
	minRetry           = 100 * time.Millisecond
	minRequestBackoff  = 500 * time.Millisecond
	maxRequestBackoff  = 30 * time.Second
	maxReregisterDelay = 5 * time.Second
)

// heartbeatBackoff is the wait before a heartbeat is sent again: several fit into the
// interval.
func (j jitter) heartbeatBackoff(n int, interval time.Duration) time.Duration {
	least := max(interval/16, minRetry)
	return j.backoff(n, least, max(interval/3, least))
}

func (j jitter) requestBackoff(n int) time.Duration {
	return j.backoff(n, minRequestBackoff, maxRequestBackoff)
}

// reregisterDelay is the wait before what the platform forgot is registered again: it may have
// forgotten everybody at once. From the second loss in a row it backs off.
func (j jitter) reregisterDelay(losses int, interval time.Duration) time.Duration {
	wait := time.Duration(j() * float64(min(interval/2, maxReregisterDelay)))
	if losses > 1 {
		wait += j.requestBackoff(losses - 1)
	}
	return wait
}
