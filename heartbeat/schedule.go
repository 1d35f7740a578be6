package heartbeat

import (
	"container/heap"
	"math"
	"sync"
)

// schedule holds the instances that this replica must examine again, so that a tick costs
// what is due and not what exists. A key that is too late keeps a death from being found;
// one that is too early does no harm, for what an instance waits for is examined anew when
// its time has come. An instance waits in one queue at most.
type schedule struct {
	mu sync.Mutex
	// due: an absence that is new, a hold that may be over, a refutation to be tried
	// again, a removal; by credited time.
	due waitQueue
	// rateLimited: claims that wait for a token only, the oldest first.
	rateLimited waitQueue
	// awaitingSpace: what cannot go on before the store takes writes again.
	awaitingSpace waitQueue
	// awaitingPeers: claims that wait for what other replicas have settled, by the end of the lease.
	awaitingPeers waitQueue
	// silences: living instances, by the credited time at which their silence may matter.
	silences waitQueue
	// ends: living instances that may have been silent for their window, by the credited time at
	// which that is over.
	ends waitQueue
	// removals: SUSPENDED instances, by the wall clock, which somebody may set.
	removals waitQueue

	// wake gets an element when what counts to the moment is due before wakeAt, which is when the
	// next look is meant to be.
	wake   chan struct{}
	wakeAt int64
}

// waitQueue is a heap of instances.
type waitQueue []*entry

// queuePosition is where an entry waits; it is guarded by schedule.mu.
type queuePosition struct {
	in    *waitQueue // nil: nowhere
	key   int64
	index int
}

const anyKey = math.MaxInt64

// put has the instance wait in a queue, and in no other.
func (s *schedule) put(in *waitQueue, en *entry, key int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if en.position.in == in {
		en.position.key = key
		heap.Fix(in, en.position.index)
		return
	}
	s.remove(en)
	en.position = queuePosition{in: in, key: key}
	heap.Push(in, en)
	if (in == &s.due || in == &s.ends) && key < s.wakeAt {
		s.wakeAt = key
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// next is the credited time at which the first is due of what counts to the moment. What is put
// before that later says so in wake.
func (s *schedule) next() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wakeAt = anyKey
	for _, q := range []waitQueue{s.due, s.ends} {
		if len(q) > 0 {
			s.wakeAt = min(s.wakeAt, q[0].position.key)
		}
	}
	return s.wakeAt
}

// move has the instance wait in another queue, if it waits in this one.
func (s *schedule) move(from, to *waitQueue, en *entry, key int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if en.position.in != from {
		return
	}
	s.remove(en)
	en.position = queuePosition{in: to, key: key}
	heap.Push(to, en)
}

// drop has the instance wait for nothing.
func (s *schedule) drop(en *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(en)
}

func (s *schedule) remove(en *entry) {
	if q := en.position.in; q != nil {
		heap.Remove(q, en.position.index)
	}
}

// take returns the first of a queue, if its key is not above the one given.
func (s *schedule) take(from *waitQueue, upTo int64) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(*from) == 0 || (*from)[0].position.key > upTo {
		return nil
	}
	return heap.Pop(from).(*entry)
}

// release has all that wait in one queue be due.
func (s *schedule) release(from *waitQueue, at Credit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, en := range *from {
		en.position = queuePosition{in: &s.due, key: int64(at)}
		heap.Push(&s.due, en)
	}
	*from = nil
}

// length is how many wait in a queue, and the key of the first.
func (s *schedule) length(q *waitQueue) (n int, first int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n = len(*q); n > 0 {
		first = (*q)[0].position.key
	}
	return n, first
}

// absences are the instances that wait for something else than their removal.
func (s *schedule) absences() []*entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*entry
	for _, q := range []waitQueue{s.due, s.rateLimited, s.awaitingSpace, s.awaitingPeers} {
		out = append(out, q...)
	}
	return out
}

func (q waitQueue) Len() int           { return len(q) }
func (q waitQueue) Less(i, j int) bool { return q[i].position.key < q[j].position.key }
func (q waitQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].position.index, q[j].position.index = i, j
}

// Push implements heap.Interface.
func (q *waitQueue) Push(x any) {
	en := x.(*entry)
	en.position.index = len(*q)
	*q = append(*q, en)
}

// Pop implements heap.Interface.
func (q *waitQueue) Pop() any {
	old := *q
	n := len(old) - 1
	en := old[n]
	old[n] = nil
	en.position = queuePosition{}
	if *q = old[:n]; n == 0 {
		*q = nil // a mass leaves no memory behind
	}
	return en
}
