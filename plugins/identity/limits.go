package identity

import (
	"net"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/conf"
)

const (
	// allWrites and allBytes are how many callers' worth of writes and of bytes all
	// callers together have: made-up names get nobody more than that. Bytes are what
	// fills a store.
	allWrites = 100
	allBytes  = 8
	// perAddress is the part of that which one address gets: whoever else calls has the
	// rest. It is not less, for behind a gateway or on loopback all have one address.
	perAddress = 0.5
)

// scope says whose bucket was empty.
type scope int

const (
	ofCaller scope = iota
	ofAddress
	ofAll
	nobodys
)

var scopes = [nobodys]string{ofCaller: "caller", ofAddress: "address", ofAll: "all"}

// kind is what a bucket counts.
type kind int

const (
	writes kind = iota
	bytes
	kinds
)

var kindNames = [kinds]string{writes: "writes", bytes: "bytes"}

// limits bounds how much an application may write, counted by its name in the path, or
// by the address of its connection where the path has none; and how much all who call
// from one address may. It is safe for concurrent use, and remembers a bounded number of
// callers and addresses.
type limits struct {
	total   [kinds]rate
	clock   func() time.Duration
	refused func(kind, scope)

	mu                 sync.Mutex
	callers, addresses table
	all                buckets
}

func newLimits(c conf.Limits, clock func() time.Duration, refused func(kind, scope)) *limits {
	one := [kinds]rate{
		writes: {float64(c.WritesPerSecond), float64(c.WritesBurst)},
		bytes:  {float64(c.BytesPerSecond), float64(c.BytesBurst)},
	}
	l := &limits{clock: clock, refused: refused, callers: newTable(one)}
	l.total = [kinds]rate{writes: one[writes].times(allWrites), bytes: one[bytes].times(allBytes)}
	l.addresses = newTable([kinds]rate{writes: l.total[writes].times(perAddress), bytes: l.total[bytes].times(perAddress)})
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
	caller, address := names(app, peer)
	asked := [nobodys]asked{
		ofCaller:  {l.callers.of(caller, now), l.callers.rates},
		ofAddress: {nil, l.addresses.rates},
		ofAll:     {&l.all, l.total},
	}
	if address != "" {
		asked[ofAddress].buckets = l.addresses.of(address, now)
	}
	why, of := writes, ofCaller
	for k := range kinds {
		for s, b := range asked {
			if w := b.wait(k, n[k], now); w > wait {
				wait, why, of = w, k, scope(s)
			}
		}
	}
	if wait > 0 {
		l.refused(why, of)
		if !anyway {
			return wait
		}
	}
	for k := range kinds {
		for _, b := range asked {
			b.take(k, n[k])
		}
	}
	return wait
}

// asked are the buckets that a write is taken from, or nil, and how they fill.
type asked struct {
	*buckets
	rates [kinds]rate
}

func (a *asked) wait(k kind, n float64, now time.Duration) time.Duration {
	if a.buckets == nil {
		return 0
	}
	a.of[k].fill(a.rates[k], now)
	return a.of[k].wait(a.rates[k], n)
}

func (a *asked) take(k kind, n float64) {
	if a.buckets != nil {
		a.of[k].take(a.rates[k], n)
	}
}

// names keeps applications and addresses apart, and those of an IPv6 host together: it
// has a whole /64 to call from. address is "" where peer is none.
func names(app, peer string) (caller, address string) {
	host, _, err := net.SplitHostPort(peer)
	if ip := net.ParseIP(host); ip.To4() != nil {
		host = ip.String()
	} else if ip != nil {
		host = ip.Mask(net.CIDRMask(64, 128)).String()
	}
	if err == nil {
		address = "peer " + host
	}
	switch {
	case app != "":
		return "app " + app, address
	case err != nil:
		return "peer", ""
	default:
		return address, address
	}
}

// known is how many callers have buckets of their own.
func (l *limits) known() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.callers.places)
}
