package agent

import (
	"container/heap"
	"context"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// item is something that is due at a time. It lies in a lane until it is begun, and
// again when what it began was settled.
type item struct {
	due  time.Time
	rank int // among those that are due together, lower first
	// begin is called by the loop and returns what a worker does.
	begin  func() job
	index  int  // in the heap; -1: not in it
	flying bool // a worker has it
}

// job is carried out by a worker. What it returns is called by the loop.
type job func(ctx context.Context) (settle func(now time.Time))

// lane is the heap of what is due. The loop alone uses it.
type lane []*item

func (l lane) Len() int { return len(l) }
func (l lane) Less(i, j int) bool {
	if !l[i].due.Equal(l[j].due) {
		return l[i].due.Before(l[j].due)
	}
	return l[i].rank < l[j].rank
}
func (l lane) Swap(i, j int) { l[i], l[j] = l[j], l[i]; l[i].index, l[j].index = i, j }

// Push and Pop are container/heap's.
func (l *lane) Push(x any) {
	it, _ := x.(*item)
	it.index = len(*l)
	*l = append(*l, it)
}

func (l *lane) Pop() any {
	old := *l
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*l, it.index = old[:len(old)-1], -1
	return it
}

// put enters the item, or moves it to its new due time.
func (l *lane) put(it *item) {
	if it.index >= 0 {
		heap.Fix(l, it.index)
		return
	}
	heap.Push(l, it)
}

// drop takes the item out, if it is in.
func (l *lane) drop(it *item) {
	if it.index >= 0 {
		heap.Remove(l, it.index)
	}
}

// first is what is due next; nil: nothing ever.
func (l lane) first() *item {
	if len(l) == 0 {
		return nil
	}
	return l[0]
}

func (l *lane) take() *item {
	it, _ := heap.Pop(l).(*item)
	return it
}

// dice gives numbers in [0, 1).
type dice func() float64

var random dice = rand.Float64

// jitter shortens an interval by up to a tenth: a heartbeat is never later than the
// platform told, and many agents do not fall into step.
func (d dice) jitter(interval time.Duration) time.Duration {
	return interval - time.Duration(d()*float64(interval)/10)
}

// phase is the first interval of a service after it was heard at once: between a
// tenth and the whole of it, by the id, so that services registered together do not
// beat together.
func phase(id string, interval time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	share := float64(mix(h.Sum64())>>11) / (1 << 53)
	return time.Duration((0.1 + 0.9*share) * float64(interval))
}

// mix spreads what FNV leaves close together: ids that differ in their end only.
func mix(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// backoff is how long to wait after the n-th failure in a row: doubled each time from
// least to most, less up to a quarter.
func (d dice) backoff(n int, least, most time.Duration) time.Duration {
	wait := least
	for range n - 1 {
		if wait >= most {
			break
		}
		wait *= 2
	}
	wait = min(wait, most)
	return wait - time.Duration(d()*float64(wait)/4)
}

const (
	leastRetry    = 100 * time.Millisecond
	leastRegister = 500 * time.Millisecond
	mostRegister  = 30 * time.Second
	mostAgain     = 5 * time.Second
)

// retryBeat is the wait before a heartbeat is sent again: several fit into the
// interval.
func (d dice) retryBeat(n int, interval time.Duration) time.Duration {
	least := max(interval/16, leastRetry)
	return d.backoff(n, least, max(interval/3, least))
}

func (d dice) retryRegister(n int) time.Duration { return d.backoff(n, leastRegister, mostRegister) }

// again is the wait before what the platform forgot is registered again: it may have
// forgotten everybody at once. From the second loss in a row it backs off.
func (d dice) again(losses int, interval time.Duration) time.Duration {
	wait := time.Duration(d() * float64(min(interval/2, mostAgain)))
	if losses > 1 {
		wait += d.retryRegister(losses - 1)
	}
	return wait
}
