package issuer

import (
	"net"
	"sync"
	"time"
)

const (
	maxNames  = 4096 // that are counted apart
	tidyPause = time.Second
)

// attempts counts something by names that callers choose: addresses and ids. Each may be used
// a number of times in a row, and then so often in a second. It remembers a bounded number of
// names; those for which there is no room share one allowance.
type attempts struct {
	perSecond, burst float64

	mu     sync.Mutex
	by     map[string]*allowance
	shared allowance
	tidied time.Time
}

// allowance is what one name has used up, as of a time.
type allowance struct {
	used float64
	at   time.Time
}

func newAttempts(perSecond, burst float64) *attempts {
	return &attempts{perSecond: perSecond, burst: burst, by: map[string]*allowance{}}
}

// take counts one for each name, unless one of them has used up its allowance: then it
// returns how long that lasts, and counts nothing.
func (a *attempts) take(now time.Time, names ...string) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]*allowance, len(names))
	for i, name := range names {
		all[i] = a.of(name, now)
		if over := all[i].used + 1 - a.burst; over > 0 {
			wait = max(wait, time.Duration(over/a.perSecond*float64(time.Second)))
		}
	}
	if wait == 0 {
		for _, one := range all {
			one.used++
		}
	}
	return wait
}

// of is the allowance of a name as of now; a.mu is held.
func (a *attempts) of(name string, now time.Time) *allowance {
	one := a.by[name]
	if one == nil && len(a.by) >= maxNames && now.Sub(a.tidied) >= tidyPause {
		a.tidied = now
		for name, old := range a.by {
			if a.refill(old, now); old.used == 0 {
				delete(a.by, name)
			}
		}
	}
	switch {
	case one != nil:
	case len(a.by) >= maxNames:
		one = &a.shared
	default:
		one = &allowance{at: now}
		a.by[name] = one
	}
	a.refill(one, now)
	return one
}

func (a *attempts) refill(one *allowance, now time.Time) {
	one.used = max(0, one.used-a.perSecond*now.Sub(one.at).Seconds())
	one.at = now
}

// addressOf is the name of a peer: its address without the port. A host of IPv6 has a whole /64.
func addressOf(peer string) string {
	host, _, err := net.SplitHostPort(peer)
	if err != nil {
		host = peer
	}
	if ip := net.ParseIP(host); ip.To4() != nil {
		host = ip.String()
	} else if ip != nil {
		host = ip.Mask(net.CIDRMask(64, 128)).String()
	}
	return "address " + host
}
