package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// leastReserve is how much the heap of a server that is ready grows at least before garbage is
// collected. A small server holds so little that half of it would be filled many times a second, and
// each collection looks at the stacks of all connections.
const leastReserve = 32 << 20

// keepReserve sets after each collection when the next one begins, by what is live, until stop is called.
func keepReserve() (stop func()) {
	r := &reserve{}
	r.set()
	return func() { r.over.Store(true) }
}

// reserve is the room that the heap has to grow.
type reserve struct {
	over    atomic.Bool
	percent int
}

// collected is garbage, so that its finalizer runs after the next collection.
type collected struct{ of *reserve }

func (r *reserve) set() {
	if r.over.Load() {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if percent := percentFor(live[0].Value.Uint64()); percent != r.percent {
		r.percent = percent
		debug.SetGCPercent(percent)
	}
	runtime.SetFinalizer(&collected{r}, func(c *collected) { c.of.set() })
}

// percentFor is GOGC for so much that is live, in steps of a tenth: to set it stops the process for
// a moment.
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
