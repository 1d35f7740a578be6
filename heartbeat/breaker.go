package heartbeat

import (
	"sync"
	"time"
)

const (
	// A breaker takes so many ends of leases within one window for more than single
	// deaths: a site that lost power, or a platform that is at fault.
	minMass     = 10
	massPercent = 30
	// usualClaimRate is how many claims a second a replica makes at most.
	usualClaimRate = 2000
)

// breaker holds back what cannot be undone while very many instances vanish at once.
// It never holds back a suspension, which can be undone; that is only paced. It ends
// by itself: one window after the last of the mass at the latest, however many of
// them stay away (Eureka's preservation, which waits for them to return, never ends).
type breaker struct {
	mu      sync.Mutex
	span    time.Duration // the window, in credited time
	ends    []ending
	missing int // instances that ended within the window and have not come back

	gap  time.Duration // between two claims
	next Mono          // monotonic: when the next claim may be made
}

// ending is the end of an instance's lease.
type ending struct {
	at Credit
	of *vanished
}

// vanished is what a breaker knows of an instance.
type vanished struct {
	missing bool
	at      Credit // of the last end
}

// setUp: the window is that of the default interval.
func (b *breaker) setUp(p *Policy, claimsPerSecond int) {
	b.span = time.Duration(p.Window(p.DefaultInterval)) * time.Second
	if claimsPerSecond <= 0 {
		claimsPerSecond = usualClaimRate
	}
	b.gap = time.Second / time.Duration(claimsPerSecond)
}

// ended notes that an instance vanished.
func (b *breaker) ended(of *vanished, credited Credit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.prune(credited)
	b.ends = append(b.ends, ending{credited, of})
	if !of.missing {
		b.missing++
	}
	of.missing, of.at = true, credited
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

func (b *breaker) prune(credited Credit) {
	n := 0
	for ; n < len(b.ends) && credited.Sub(b.ends[n].at) >= b.span; n++ {
		if end := b.ends[n]; end.of.at == end.at {
			b.countReturn(end.of)
		}
	}
	if b.ends = b.ends[n:]; len(b.ends) == 0 {
		b.ends = nil
	}
}

// open tells whether removals must wait while so many instances live, and until when
// at least. It is a part of the leases that existed within the window that counts:
// records that have none cannot vanish.
func (b *breaker) assess(credited Credit, living int) (until Credit, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.prune(credited)
	mass := max(minMass, ((living+b.missing)*massPercent+99)/100)
	if len(b.ends) < mass {
		return 0, false
	}
	return b.ends[len(b.ends)-mass].at.Add(b.span), true
}

// turn says whether a claim may be made now. No more than a tick's worth of turns is
// saved up.
func (b *breaker) turn(now Mono) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next = max(b.next, now-Mono(Tick))
	if b.next > now {
		return false
	}
	b.next += Mono(b.gap)
	return true
}

// massive tells whether very many instances vanished within the last window, and
// until when it is so at least, in credited time.
func (e *Engine) massive() (until Credit, is bool) {
	return e.breaker.assess(e.health.Load().Credited, int(e.counts[living].Load()))
}
