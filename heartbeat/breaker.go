package heartbeat

import (
	"context"
	"sync"
	"time"
)

const (
	// A breaker takes so many ends of leases within one window for more than single
	// deaths: a site that lost power, or a platform that is at fault.
	massLeast   = 10
	massPercent = 30
	// usualClaimRate is how many claims a second a replica makes at most.
	usualClaimRate = 2000
)

// breaker holds back what cannot be undone while very many instances vanish at once.
// It never holds back a suspension, which can be undone; that is only paced. It ends
// by itself: one window after the last of the mass at the latest, however many of
// them stay away (Eureka's preservation, which waits for them to return, never ends).
type breaker struct {
	mu   sync.Mutex
	span Instant   // the window, in credited time
	at   []Instant // when leases ended, credited, oldest first

	gap  Instant // between two claims
	next Instant // monotonic: when the next claim may be made
}

// setUp: the window is that of the default interval.
func (b *breaker) setUp(p *Policy, claimsPerSecond int) {
	b.span = Instant(p.Window(p.DefaultInterval)) * time.Second
	if claimsPerSecond <= 0 {
		claimsPerSecond = usualClaimRate
	}
	b.gap = time.Second / Instant(claimsPerSecond)
}

// ended notes that an instance vanished.
func (b *breaker) ended(credited Instant) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(credited)
	b.at = append(b.at, credited)
}

func (b *breaker) forget(credited Instant) {
	n := 0
	for n < len(b.at) && credited-b.at[n] >= b.span {
		n++
	}
	b.at = b.at[n:]
}

// open tells whether removals must wait, with so many instances in all.
func (b *breaker) open(credited Instant, instances int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(credited)
	return len(b.at) >= max(massLeast, (instances*massPercent+99)/100)
}

// pace is how long a claim that is ready now must wait for its turn.
func (b *breaker) pace(now Instant) Instant {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next = max(b.next, now)
	wait := b.next - now
	b.next += b.gap
	return wait
}

// massive tells whether very many instances vanished within the last window.
func (e *Engine) massive() bool {
	e.mu.RLock()
	n := len(e.entries)
	e.mu.RUnlock()
	return e.breaker.open(e.gate.Load().Credited, n)
}

// turn waits for a claim's turn and says whether it had to. What became of the
// instance meanwhile must be looked at again.
func (e *Engine) turn(ctx context.Context) (waited bool) {
	now, _ := e.Clock()
	wait := e.breaker.pace(now)
	if wait <= 0 {
		return false
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
	return true
}
