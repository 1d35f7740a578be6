package heartbeat

import (
	"cmp"
	"sync"
	"time"
)

// rateLimit lets so much happen in a time, evenly. A mass of work must leave the store
// room for heartbeats. It saves up what comes in a tick at most, unless it says otherwise; nil
// limits nothing.
type rateLimit struct {
	mu    sync.Mutex
	gap   time.Duration // between two
	saves time.Duration // 0: a tick
	next  Mono          // when there may be another
}

// take takes a token, if there is one.
func (l *rateLimit) take(now Mono) bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = max(l.next, now-Mono(cmp.Or(l.saves, Tick)))
	if l.next > now {
		return false
	}
	l.next += Mono(l.gap)
	return true
}

const (
	usualClaimRate = 2000 // a second
	// silenceGap is the least time between two silences that records keep. Among replicas
	// each costs a read besides.
	silenceGap      = time.Millisecond
	silenceGapAmong = 5 * time.Millisecond
	// changeGap is the least time between two intervals that follow the load. Many services beat
	// together in a batch, so those of a quarter of a second may come at once; more would take a
	// store that is not fast longer than such a batch may take.
	changeGap   = time.Millisecond
	changesSave = 250 * time.Millisecond
)

// setUpLimits sets the rates of what a mass of instances could cause at once.
func (e *Engine) setUpLimits() {
	if e.ClaimsPerSecond <= 0 {
		e.ClaimsPerSecond = usualClaimRate
	}
	e.claimLimit.gap = time.Second / time.Duration(e.ClaimsPerSecond)
	e.changeLimit.gap, e.changeLimit.saves = changeGap, changesSave
	e.silenceLimit.gap = silenceGapAmong
	if e.Alone {
		e.silenceLimit.gap = silenceGap
	}
}
