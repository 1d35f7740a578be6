package heartbeat

import (
	"sync"
	"time"
)

const (
	// So many ends of leases within one window are more than single deaths: a site that
	// lost power, or a platform that is at fault.
	minMass     = 10
	massPercent = 30 // of the leases that existed within the window
)

// breaker holds back what cannot be undone while very many instances vanish at once: a
// removal. It never holds back a suspension, which can be undone; that is only limited
// in its rate. It ends by itself: one window after the last of the mass at the latest,
// however many of them stay away (Eureka's preservation, which waits for them to return,
// never ends).
type breaker struct {
	mu      sync.Mutex
	window  time.Duration // of credited time
	ends    []leaseEnd    // within the window, in order
	missing int           // instances that ended within the window and have not come back
}

type leaseEnd struct {
	at Credit
	of *vanished
}

// vanished is what a breaker knows of an instance.
type vanished struct {
	missing bool
	at      Credit // of the last end
}

// ended notes that an instance vanished.
func (b *breaker) ended(of *vanished, now Credit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.prune(now)
	b.ends = append(b.ends, leaseEnd{now, of})
	if !of.missing {
		b.missing++
	}
	of.missing, of.at = true, now
}

// returned notes that an instance has a lease again.
func (b *breaker) returned(of *vanished) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.countReturn(of)
}

func (b *breaker) countReturn(of *vanished) {
	if of.missing {
		of.missing = false
		b.missing--
	}
}

// prune forgets the ends that are older than the window.
func (b *breaker) prune(now Credit) {
	n := 0
	for ; n < len(b.ends) && now.Sub(b.ends[n].at) >= b.window; n++ {
		if end := b.ends[n]; end.of.at == end.at {
			b.countReturn(end.of)
		}
	}
	if b.ends = b.ends[n:]; len(b.ends) == 0 {
		b.ends = nil
	}
}

// assess prunes, and tells whether removals must wait while so many instances live, and
// until when at least. It is a part of the leases that existed within the window that
// counts: records that have none cannot vanish.
func (b *breaker) assess(now Credit, living int) (until Credit, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.prune(now)
	mass := max(minMass, ((living+b.missing)*massPercent+99)/100)
	if len(b.ends) < mass {
		return 0, false
	}
	return b.ends[len(b.ends)-mass].at.Add(b.window), true
}

// massEnd tells whether very many instances vanished within the last window, and until
// when it is so at least.
func (e *Engine) massEnd() (until Credit, massive bool) {
	return e.breaker.assess(e.health.Load().Credited, int(e.counts[living].Load()))
}
