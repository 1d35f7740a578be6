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

// set changes how much may happen in a second.
func (l *rateLimit) set(rate int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gap = time.Second / time.Duration(rate)
}

// takes is how long so much takes from now on.
func (l *rateLimit) takes(n int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(n) * l.gap
}

const (
	// Claims a second: as many as keep claimsAtOnce of them under way at the store's latency,
	// within these bounds. A store that needs 20 ms for one gets 2,000, one that needs 4 ms
	// 10,000.
	leastClaimRate = 2_000
	mostClaimRate  = 20_000
	claimsAtOnce   = 40
	// latencyOver is over how many calls the latency is averaged.
	latencyOver = 32
	// silenceGap is the least time between two silences that records keep. Among replicas
	// each costs a read besides.
	silenceGap      = time.Millisecond
	silenceGapAmong = 5 * time.Millisecond
	// Writes a second for intervals that follow the load: as many as keep changesAtOnce of them under
	// way, or a store that is slow would get the more to do the slower it is; never none, for it may be
	// the heartbeats that make it slow. Many services beat together in a batch, so those of changesSave
	// may come at once.
	leastChangeRate = 20
	mostChangeRate  = 1000
	changesAtOnce   = 4
	changesSave     = 250 * time.Millisecond
)

// claimRate is how many claims a second a store may get that takes so long for one.
func claimRate(latency time.Duration) int {
	return int(min(max(claimsAtOnce*time.Second/max(latency, time.Microsecond), leastClaimRate), mostClaimRate))
}

// changeRate is how many intervals a second may follow the load then.
func changeRate(latency time.Duration) int {
	return int(min(max(changesAtOnce*time.Second/max(latency, time.Microsecond), leastChangeRate), mostChangeRate))
}

// latency is how long the store took lately; 0: nothing is known yet.
type latency struct {
	mu   sync.Mutex
	mean time.Duration
}

// note takes in how long one took that ended so, and returns how long they take. A refusal that never
// reached the store says nothing of it: known is false then.
func (l *latency) note(took time.Duration, o Outcome) (mean time.Duration, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	answered := o == Done || o == Conflict
	if !answered && (o != Unavailable || took < max(l.mean, Tick)) { // a call that timed out took longer
		return 0, false
	}
	if l.mean == 0 {
		l.mean = took
	}
	l.mean += (took - l.mean) / latencyOver
	return l.mean, true
}

// noteCommit has the rates follow how long the store took for a transaction, and how that ended.
func (e *Engine) noteCommit(k Kind, o Outcome, took time.Duration) {
	switch k {
	case Claim:
		if mean, known := e.claimLatency.note(took, o); known && e.ClaimsPerSecond == 0 {
			e.claimLimit.set(claimRate(mean))
		}
	case Raise, Lower, Settle:
		if mean, known := e.changeTook.note(took, o); known {
			e.changeLimit.set(changeRate(mean))
		}
	}
}

// setUpLimits sets the rates of what a mass of instances could cause at once.
func (e *Engine) setUpLimits() {
	e.claimLimit.set(leastClaimRate)
	if e.ClaimsPerSecond > 0 {
		e.claimLimit.set(e.ClaimsPerSecond)
	}
	e.changeLimit.set(mostChangeRate)
	e.changeLimit.saves = changesSave
	e.silenceLimit.gap = silenceGapAmong
	if e.Alone {
		e.silenceLimit.gap = silenceGap
	}
}
