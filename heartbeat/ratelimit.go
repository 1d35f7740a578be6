package heartbeat

import (
	"sync"
	"time"
)

// rateLimit lets so much happen in a time, evenly. A mass of work must leave the store
// room for heartbeats. It saves up a tick's worth at most.
type rateLimit struct {
	mu   sync.Mutex
	gap  time.Duration // between two
	next Mono          // when there may be another
}

// take takes a token, if there is one.
func (l *rateLimit) take(now Mono) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = max(l.next, now-Mono(Tick))
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
)

// setUpLimits sets the rates of what a mass of instances could cause at once.
func (e *Engine) setUpLimits() {
	if e.ClaimsPerSecond <= 0 {
		e.ClaimsPerSecond = usualClaimRate
	}
	e.claimLimit.gap = time.Second / time.Duration(e.ClaimsPerSecond)
	e.silenceLimit.gap = silenceGapAmong
	if e.Alone {
		e.silenceLimit.gap = silenceGap
	}
}
