package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// leastReserve is how much the heap of a server that is ready grows at least before garbage is
// collected. A small server holds so little that half of it would be filled many times a second, and
// each collection looks at the stacks of all connections.
const leastReserve = 32 << 20

// A start makes much that it throws away at once, and all processors wait for its end: what is live
// may grow fivefold while that is no more than startReserve in all, and threefold in any case.
const (
	startReserve                        = 512 << 20
	leastStartPercent, mostStartPercent = 200, 400
)

// keepReserve has a server that is ready keep its reserve, until stop is called.
func keepReserve() (stop func()) { return collectBy(percentFor) }

// collectBy sets after each collection when the next one begins, by what is live, until stop is called.
func collectBy(percentFor func(live uint64) int) (stop func()) {
	r := &reserve{percentFor: percentFor}
	r.set()
	return r.end
}

// reserve is the room that the heap has to grow.
type reserve struct {
	percentFor func(live uint64) int // GOGC

	mu      sync.Mutex
	over    bool
	percent int
}

func (r *reserve) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
}

// collected is garbage, so that its finalizer runs after the next collection.
type collected struct{ of *reserve }

func (r *reserve) set() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if percent := r.percentFor(live[0].Value.Uint64()); percent != r.percent {
		r.percent = percent
		debug.SetGCPercent(percent)
	}
	runtime.SetFinalizer(&collected{r}, func(c *collected) { c.of.set() })
}

// startPercentFor is GOGC of a start for so much that is live.
func startPercentFor(live uint64) int {
	if live == 0 {
		return mostStartPercent
	}
	return max(leastStartPercent, min(mostStartPercent, int((startReserve-min(live, startReserve))*100/live)))
}

// percentFor is GOGC of a server that is ready for so much that is live, in steps of a tenth: to set it stops the
// process for a moment.
func percentFor(live uint64) int {
	percent := int(leastReserve * 100 / max(live, 1<<20))
	if percent <= gcPercent {
		return gcPercent
	}
	for step := 1; ; step *= 10 {
		if percent < 100*step {
			return max(percent/step*step, gcPercent)
		}
	}
}
