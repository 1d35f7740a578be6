// Package quota knows how full the embedded store's database is, which writes it still
// takes, and when its history and its free pages are worth clearing away. It is told
// the time and every figure; it must not know etcd, keys, or what a write means.
package quota

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Class says what a write does to the store's size.
type Class uint8

const (
	// Grow adds to what is kept: a registration, a subscription, a larger description.
	Grow Class = iota
	// Change replaces what is kept by no more than there was. It still leaves history
	// until the next compaction.
	Change
	// Free frees, or judges life and death: deletions, claims, re-arms, cursors, locks.
	// It is never refused here.
	Free
)

// Classes are all there are; metrics name them.
var Classes = []Class{Grow, Change, Free}

// String is the class as metrics name it.
func (c Class) String() string {
	switch c {
	case Grow:
		return "grow"
	case Change:
		return "change"
	default:
		return "free"
	}
}

// The headroom, in parts of a hundred of the quota: from there on the classes are
// refused. What is left is for the writes that make room, for whom a full store has no
// other remedy.
const (
	growPercent   = 90
	changePercent = 95
)

// Gate admits writes as long as they keep out of the headroom. Many writers cannot
// jump over it together: each reserves its cost before it writes, and the reservation
// stays until the database was measured with the write in it.
type Gate struct {
	limit   int64
	inUse   func() int64
	flush   func() // has the next call of inUse count every write that has returned
	refused func(Class)

	mu        sync.Mutex
	flying    int64         // cost of the writes under way
	returned  int64         // cost of those that returned and were not measured yet
	measuring chan struct{} // is closed when flush has returned; nil: it does not run
	closed    bool
}

// measureWait is how long a write waits to be measured. The database takes no notice of
// a context: while its disk hangs or it is copied, a measurement takes as long.
const measureWait = time.Second

// Config of a Gate.
type Config struct {
	Limit   int64        // bytes; the quota
	InUse   func() int64 // bytes that the database uses, free pages left out
	Flush   func()       // makes InUse count all writes that have returned
	Refused func(Class)  // is told of each write that is not admitted
}

// NewGate makes a gate. A nil Gate admits everything: the store has no quota of ours.
func NewGate(c Config) *Gate {
	return &Gate{limit: c.Limit, inUse: c.InUse, flush: c.Flush, refused: c.Refused}
}

func (g *Gate) threshold(c Class) int64 {
	switch c {
	case Grow:
		return g.limit / 100 * growPercent
	default:
		return g.limit / 100 * changePercent
	}
}

// Admit says whether a write of this class and about this many bytes is taken. done
// must be called once it has returned, whatever came of it. It waits for a measurement
// until ctx ends, and a second at most; without one, the write is not taken.
func (g *Gate) Admit(ctx context.Context, c Class, cost int64) (done func(), ok bool) {
	if g == nil {
		return func() {}, true
	}
	if done, ok = g.reserve(c, cost); ok {
		return done, true
	}
	ctx, cancel := context.WithTimeout(ctx, measureWait)
	defer cancel()
	// What has returned may be counted twice, or have freed as much as it wrote. A
	// measurement that was under way may have begun before that.
	for range 2 {
		joined := g.Measure(ctx)
		if ctx.Err() != nil {
			break
		}
		if done, ok = g.reserve(c, cost); ok || !joined {
			break
		}
	}
	if !ok {
		g.refused(c)
	}
	return done, ok
}

func (g *Gate) reserve(c Class, cost int64) (done func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c != Free && g.inUse()+g.flying+g.returned+cost > g.threshold(c) {
		return nil, false
	}
	g.flying += cost
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.flying -= cost
		g.returned += cost
	}, true
}

// Measure has the database count what was written, so that it is not counted twice, and
// waits for that until ctx ends. It costs a commit of the database if there was a write.
// There is one measurement at a time; joined says that this one was under way already.
func (g *Gate) Measure(ctx context.Context) (joined bool) {
	if g == nil {
		return false
	}
	g.mu.Lock()
	end := g.measuring
	joined = end != nil
	switch {
	case joined:
	case g.returned == 0 || g.closed:
		g.mu.Unlock()
		return false
	default:
		end = make(chan struct{})
		g.measuring = end
		go g.measure(g.returned)
	}
	g.mu.Unlock()
	select {
	case <-end:
	case <-ctx.Done():
	}
	return joined
}

func (g *Gate) measure(counted int64) {
	g.flush()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.returned -= counted
	close(g.measuring)
	g.measuring = nil
}

// Close waits for the measurement that is under way, and lets no other begin: the
// database is closed next, and a commit of one that is closed ends the process.
func (g *Gate) Close() {
	if g == nil {
		return
	}
	g.mu.Lock()
	g.closed = true
	end := g.measuring
	g.mu.Unlock()
	if end != nil {
		<-end
	}
}

// Short says whether what grows by that many bytes is refused, as far as is measured;
// 0 bytes: whatever grows is.
func (g *Gate) Short(cost int64) bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inUse()+g.flying+g.returned+max(cost, 1) > g.threshold(Grow)
}

// Limit is the quota in bytes; 0: there is none of ours.
func (g *Gate) Limit() int64 {
	if g == nil {
		return 0
	}
	return g.limit
}

// Bytes writes a number of bytes for a log line.
func Bytes(n int64) string { return fmt.Sprintf("%.1fMiB", float64(n)/(1<<20)) }
