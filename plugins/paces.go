package plugins

import "time"

// mostPaces is how many peers are remembered before it is looked for some to forget.
const mostPaces = 1024

// paces spreads what each peer asks for by a rate, in the order in which it came. It is not safe
// for concurrent use.
type paces struct {
	interval time.Duration      // between one and the next of a peer; 0: there is no rate
	burst    time.Duration      // intervals that a peer may have ahead; at least one
	due      map[string]Instant // when the intervals of a peer end, if that is not past
	most     int                // peers, before it is looked for some to forget
}

// newPaces allows so many a second to each peer, and a tenth of that at once after a pause; 0:
// any number.
func newPaces(perSecond int) paces {
	if perSecond == 0 {
		return paces{}
	}
	interval := time.Second / time.Duration(perSecond)
	return paces{interval: interval, burst: max(time.Second/10, interval), due: map[string]Instant{}, most: mostPaces}
}

// reserve counts one of a peer and says how long it has to wait; ok is false if that is longer
// than most, and nothing is counted then.
func (p *paces) reserve(peer string, now Instant, most time.Duration) (wait time.Duration, ok bool) {
	if p.interval == 0 {
		return 0, true
	}
	due := max(p.due[peer], now)
	if wait = max(due+p.interval-p.burst-now, 0); wait > most {
		return 0, false
	}
	if len(p.due) >= p.most {
		p.forget(now)
	}
	p.due[peer] = due + p.interval
	return wait, true
}

// forget forgets the peers that have no interval ahead: for them nothing changes by it.
func (p *paces) forget(now Instant) {
	for peer, due := range p.due {
		if due <= now {
			delete(p.due, peer)
		}
	}
	p.most = max(mostPaces, 2*len(p.due))
}
