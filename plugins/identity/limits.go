package identity

import (
	"container/list"
	"net"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/conf"
)

const (
	// maxCallers bounds the table of buckets: an application is any name that somebody
	// sends.
	maxCallers = 4096
	// allWrites and allBytes are how many callers' worth of writes and of bytes all
	// callers together have: made-up names get nobody more than that. Bytes are what
	// fills a store.
	allWrites = 100
	allBytes  = 8
)

// scope says whose bucket was empty.
type scope int

const (
	ofCaller scope = iota
	ofAll
)

var scopes = [...]string{ofCaller: "caller", ofAll: "all"}

// kind is what a bucket counts.
type kind int

const (
	writes kind = iota
	bytes
	kinds
)

var kindNames = [kinds]string{writes: "writes", bytes: "bytes"}

// buckets are those of a caller, or of all together.
type buckets struct {
	name string
	of   [kinds]bucket
}

// full says whether the buckets are as good as new.
func (b *buckets) full(r [kinds]rate, now time.Duration) bool {
	for k := range b.of {
		b.of[k].fill(r[k], now)
		if !r[k].off() && b.of[k].spent > 0 {
			return false
		}
	}
	return true
}

// limits bounds how much an application may write, counted by its name in the path, or
// by the address of its connection where the path has none. It is safe for concurrent
// use, and remembers a bounded number of callers.
type limits struct {
	rates, total [kinds]rate
	clock        func() time.Duration
	refused      func(kind, scope)

	mu      sync.Mutex
	callers map[string]*list.Element // of *buckets
	recent  list.List                // the most recently seen first
	all     buckets
	crowd   buckets // of those that the table had no room for
}

func newLimits(c conf.Limits, clock func() time.Duration, refused func(kind, scope)) *limits {
	l := &limits{clock: clock, refused: refused, callers: map[string]*list.Element{}}
	l.rates = [kinds]rate{
		writes: {float64(c.WritesPerSecond), float64(c.WritesBurst)},
		bytes:  {float64(c.BytesPerSecond), float64(c.BytesBurst)},
	}
	l.total = [kinds]rate{writes: l.rates[writes].times(allWrites), bytes: l.rates[bytes].times(allBytes)}
	return l
}

// Write implements server.Limits and the adapter's: it takes a write and the bytes of
// its body, or says how long to wait for them and takes nothing.
func (l *limits) Write(app, peer string, n int64) time.Duration {
	return l.take(app, peer, [kinds]float64{writes: 1, bytes: float64(n)}, false)
}

// Bytes takes what was read of a body whose length nobody told. It is taken in any case;
// the answer says whether there was as much.
func (l *limits) Bytes(app, peer string, n int64) time.Duration {
	return l.take(app, peer, [kinds]float64{bytes: float64(n)}, true)
}

func (l *limits) take(app, peer string, n [kinds]float64, anyway bool) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock()
	own := l.caller(callerName(app, peer), now)
	why, of := writes, ofCaller
	for k := range kinds {
		own.of[k].fill(l.rates[k], now)
		l.all.of[k].fill(l.total[k], now)
		if w := own.of[k].wait(l.rates[k], n[k]); w > wait {
			wait, why, of = w, k, ofCaller
		}
		if w := l.all.of[k].wait(l.total[k], n[k]); w > wait {
			wait, why, of = w, k, ofAll
		}
	}
	if wait > 0 {
		l.refused(why, of)
		if !anyway {
			return wait
		}
	}
	for k := range kinds {
		own.of[k].take(l.rates[k], n[k])
		l.all.of[k].take(l.total[k], n[k])
	}
	return wait
}

// callerName keeps applications and addresses apart, and those of an IPv6 host together:
// it has a whole /64 to call from.
func callerName(app, peer string) string {
	if app != "" {
		return "app " + app
	}
	host, _, err := net.SplitHostPort(peer)
	if err != nil {
		return "peer"
	}
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		host = ip.Mask(net.CIDRMask(64, 128)).String()
	}
	return "peer " + host
}

// caller finds the buckets of a caller. A table that is full makes room by forgetting
// whoever was seen the longest ago, if its buckets are full again: nothing is forgiven
// by that. Who gets no place shares the buckets of the crowd.
func (l *limits) caller(name string, now time.Duration) *buckets {
	if e := l.callers[name]; e != nil {
		l.recent.MoveToFront(e)
		b, _ := e.Value.(*buckets)
		return b
	}
	if len(l.callers) >= maxCallers {
		last := l.recent.Back()
		old, _ := last.Value.(*buckets)
		if !old.full(l.rates, now) {
			return &l.crowd
		}
		l.recent.Remove(last)
		delete(l.callers, old.name)
	}
	b := &buckets{name: name}
	l.callers[name] = l.recent.PushFront(b)
	return b
}

// known is how many callers have buckets of their own.
func (l *limits) known() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.callers)
}
