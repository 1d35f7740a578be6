// Package quota knows how full the embedded store's database is, which writes it still
// takes, and when its history and its free pages are worth clearing away. It is told
// the time and every figure; it must not know etcd, keys, or what a write means.
package quota

import (
	"fmt"
	"sync"
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

	measuring sync.Mutex // held while flush runs, before mu
	mu        sync.Mutex
	flying    int64 // cost of the writes under way
	returned  int64 // cost of those that returned and were not measured yet
}

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
// must be called once it has returned, whatever came of it.
func (g *Gate) Admit(c Class, cost int64) (done func(), ok bool) {
	if g == nil {
		return func() {}, true
	}
	if done, ok = g.reserve(c, cost); ok {
		return done, true
	}
	// What has returned may be counted twice, or have freed as much as it wrote.
	g.Measure()
	if done, ok = g.reserve(c, cost); !ok {
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

// Measure has the database count what was written, so that it is not counted twice.
// It is called now and then, and costs a commit of the database if there was a write.
func (g *Gate) Measure() {
	if g == nil {
		return
	}
	g.measuring.Lock()
	defer g.measuring.Unlock()
	g.mu.Lock()
	counted := g.returned
	g.mu.Unlock()
	if counted == 0 {
		return
	}
	g.flush()
	g.mu.Lock()
	g.returned -= counted
	g.mu.Unlock()
}

// Refusing says whether what grows is refused, whatever its size.
func (g *Gate) Refusing() bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inUse()+g.flying+g.returned >= g.threshold(Grow)
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
