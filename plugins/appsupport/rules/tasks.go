package rules

import (
	"container/heap"
	"time"

	"github.com/mec-liveness/mepserver/plugins"
)

// task is an application of which the driver is to be given names.
type task struct {
	app      string
	due      plugins.Instant
	place    int // in the heap; -1: it is in none
	failures int
	since    plugins.Instant // since when the driver fails for it; 0: it does not
	resync   bool            // what is settled is set again, too
	running  bool
	delayed  bool // the worker that runs it took it from the delayed ones
	queued   bool // it is among the runnable ones
	rerun    bool // something changed while it ran
}

// taskHeap is a heap by due.
type taskHeap []*task

func (h taskHeap) Len() int           { return len(h) }
func (h taskHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h taskHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements heap.Interface.
func (h *taskHeap) Push(x any) {
	t := x.(*task)
	t.place = len(*h)
	*h = append(*h, t)
}

// Pop implements heap.Interface.
func (h *taskHeap) Pop() any {
	t := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	t.place = -1
	return t
}

// enqueue has an application's names set as soon as a worker is free; b.mu is held. One that
// is running runs once more afterwards; if it failed, after a delay, for that its own failure is
// written down is such a change, too.
func (b *byName) enqueue(app string) {
	t := b.tasks[app]
	if t == nil {
		t = &task{app: app, place: -1}
		b.tasks[app] = t
	}
	if t.running {
		t.rerun = true
		return
	}
	if t.place >= 0 {
		heap.Remove(&b.delayed, t.place)
	}
	if !t.queued {
		t.queued = true
		b.runnable = append(b.runnable, t)
	}
}

// scheduleResync has all names of an application set again at due; b.mu is held.
func (b *byName) scheduleResync(app string, due plugins.Instant) {
	if b.tasks[app] != nil {
		b.tasks[app].resync = true
		return
	}
	t := &task{app: app, due: due, resync: true}
	b.tasks[app] = t
	heap.Push(&b.delayed, t)
}

// next is a task that may run now; nil: none.
func (b *byName) next() *task {
	now, _ := b.clock()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.running >= maxWorkers:
		return nil
	case len(b.runnable) > 0:
		t := b.runnable[0]
		b.runnable = b.runnable[1:]
		t.queued, t.running = false, true
		b.running++
		return t
	case len(b.delayed) > 0 && b.delayed[0].due <= now && b.runningDelayed < maxDelayedWorkers:
		t := heap.Pop(&b.delayed).(*task)
		t.running, t.delayed = true, true
		b.running++
		b.runningDelayed++
		return t
	}
	return nil
}

// wait is how long there is nothing to do, unless something changes.
func (b *byName) wait() time.Duration {
	now, _ := b.clock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.delayed) > 0 && b.runningDelayed < maxDelayedWorkers {
		return min(leadEvery, max(b.delayed[0].due-now, time.Millisecond))
	}
	return leadEvery
}

// isCurrent says whether a task is this replica's still. Once another has taken over, it is the
// other's calls that count: they may have come later.
func (b *byName) isCurrent(t *task) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tasks[t.app] == t
}

// finish takes in how a task went.
func (b *byName) finish(t *task, ok bool) {
	now, _ := b.clock()
	b.mu.Lock()
	b.running--
	delayed := t.delayed
	if delayed {
		b.runningDelayed--
	}
	t.running, t.delayed, t.due = false, false, 0
	rerun := t.rerun
	t.rerun = false
	switch {
	case b.tasks[t.app] != t: // another replica has taken over meanwhile
	case ok && rerun:
		t.failures, t.since = 0, 0
		b.enqueue(t.app)
	case ok:
		delete(b.tasks, t.app)
	default:
		if delayed || t.failures == 0 { // what is tried early, for it was changed, makes nothing wait longer
			t.failures++
		}
		if t.since == 0 {
			t.since = now
		}
		t.due = now + backoff(t.failures)
		if rerun && b.awaited(t.app) {
			t.due = now + rerunDelay
		}
		heap.Push(&b.delayed, t)
	}
	b.mu.Unlock()
	b.signal()
}

// awaited says whether a rule of an application waits for the first result of the driver.
func (b *byName) awaited(app string) bool {
	doc := b.peek(app)
	return pending(doc.DNS...)
}
