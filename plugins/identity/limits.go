package identity

import (
	"net"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/conf"
)

const (
	// allWrites and allBytes are how many times the limit of one caller all callers together
	// have. Otherwise a client could get any number of writes by made-up names. Bytes have
	// the smaller factor, for they fill the store.
	allWrites = 100
	allBytes  = 8
	// perAddress is the part of that which one address gets, so that the rest is left to
	// others. It is not less, for behind a gateway or on loopback all have one address.
	perAddress = 0.5
)

// scope says whose bucket was empty.
type scope int

const (
	ofCaller scope = iota
	ofAddress
	ofAll
	scopeCount
)

var scopes = [scopeCount]string{ofCaller: "caller", ofAddress: "address", ofAll: "all"}

// kind is what a bucket counts.
type kind int

const (
	writes kind = iota
	bytes
	kinds
)

var kindNames = [kinds]string{writes: "writes", bytes: "bytes"}

// limits implements plugins.Limits. It bounds how much an application may write, counted by
// its name in the path, or by the address of its connection where the path has none, and how
// much all callers with one address may write. It is safe for concurrent use, and remembers
// a bounded number of callers and addresses.
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

// Write implements plugins.Limits. It counts a write and the bytes of its body, or says how
// long to wait for them and counts nothing.
func (l *limits) Write(app, peer string, n int64) time.Duration {
	return l.take(app, peer, [kinds]float64{writes: 1, bytes: float64(n)}, false)
}

// Bytes implements plugins.Limits. What was read of a body counts even if it is too much.
func (l *limits) Bytes(app, peer string, n int64) time.Duration {
	return l.take(app, peer, [kinds]float64{bytes: float64(n)}, true)
}

func (l *limits) take(app, peer string, n [kinds]float64, anyway bool) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock()
	caller, address := names(app, peer)
	charges := [scopeCount]charge{
		ofCaller:  {l.callers.of(caller, now), l.callers.rates},
		ofAddress: {nil, l.addresses.rates},
		ofAll:     {&l.all, l.total},
	}
	if address != "" {
		charges[ofAddress].buckets = l.addresses.of(address, now)
	}
	why, of := writes, ofCaller
	for k := range kinds {
		for s, b := range charges {
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
		for _, b := range charges {
			b.take(k, n[k])
		}
	}
	return wait
}

// charge is what a write is counted by: buckets, or nil, and how they fill.
type charge struct {
	*buckets
	rates [kinds]rate
}

func (a *charge) wait(k kind, n float64, now time.Duration) time.Duration {
	if a.buckets == nil {
		return 0
	}
	a.of[k].fill(a.rates[k], now)
	return a.of[k].wait(a.rates[k], n)
}

func (a *charge) take(k kind, n float64) {
	if a.buckets != nil {
		a.of[k].take(a.rates[k], n)
	}
}

// names are the names of the buckets for an application and a peer address. Those of an IPv6
// host are one, for it can call from a whole /64. address is "" if peer is none.
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

// tracked is how many callers have buckets of their own.
func (l *limits) tracked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.callers.byName)
}
