package identity

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// allWrites, allBytes and allLists are how many times the limit of one caller all callers
	// together have. Otherwise a client could get any number of writes by made-up names. Bytes
	// have the smaller factor, for they fill the store.
	allWrites = 100
	allBytes  = 8
	allLists  = 100
	// perAddress is the part of that which one address gets, so that the rest is left to
	// others. It is not less, for behind a gateway or on loopback all have one address.
	perAddress = 0.5
	// listSize is how many bytes of an answer count as one list.
	listSize = 64 << 10
	listDebt = 3
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
	lists
	requests // not refused but held up: hold.go
	kinds
)

var kindNames = [kinds]string{writes: "writes", bytes: "bytes", lists: "lists", requests: "requests"}

// limits implements server.Limits. It bounds how much a caller may ask for, counted by its
// identity; or else by the application of the path; or else by the address of its connection;
// and how much all callers with one address may. It is safe for concurrent use, and remembers
// a bounded number of callers and addresses.
type limits struct {
	total   [kinds]rate
	clock   func() time.Duration
	refused func(kind, scope)
	// identities says whether callers have any. Without them whoever asks for a list is only
	// an address, which behind a gateway is everybody's: lists are not counted then.
	identities bool

	mu                 sync.Mutex
	callers, addresses table
	all                buckets
	spread             float64 // of those that are held up longest: hold.go
}

var _ server.Limits = (*limits)(nil)

func newLimits(c conf.Limits, identities bool, clock func() time.Duration, refused func(kind, scope)) *limits {
	one := [kinds]rate{
		writes: {float64(c.WritesPerSecond), float64(c.WritesBurst)},
		bytes:  {float64(c.BytesPerSecond), float64(c.BytesBurst)},
		lists:  {float64(c.ListsPerSecond), float64(c.ListsPerSecond)},
	}
	if identities {
		one[requests] = rate{float64(c.RequestsPerSecond), max(refusalCost, heldBurst*float64(c.RequestsPerSecond))}
	}
	l := &limits{identities: identities, clock: clock, refused: refused, callers: newTable(one)}
	var addresses [kinds]rate
	for k, factor := range [kinds]float64{writes: allWrites, bytes: allBytes, lists: allLists} {
		l.total[k] = one[k].times(factor)
		addresses[k] = l.total[k].times(perAddress)
	}
	l.addresses = newTable(addresses)
	return l
}

// Write implements server.Limits. It counts a write and the bytes of its body, or says how
// long to wait for them and counts nothing.
func (l *limits) Write(ctx context.Context, app, peer string, n int64) time.Duration {
	return l.take(ctx, app, peer, [kinds]float64{writes: 1, bytes: float64(n)}, false)
}

// Bytes implements server.Limits. What was read of a body counts even if it is too much.
func (l *limits) Bytes(ctx context.Context, app, peer string, n int64) time.Duration {
	return l.take(ctx, app, peer, [kinds]float64{bytes: float64(n)}, true)
}

// List implements server.Limits.
func (l *limits) List(ctx context.Context, peer string) time.Duration {
	if !l.identities {
		return 0
	}
	return l.take(ctx, "", peer, [kinds]float64{lists: 1}, false)
}

// Listed implements server.Limits. A caller may owe lists for at most listDebt seconds: what was
// asked for before the first of many large ones was counted must not lock it out for minutes.
func (l *limits) Listed(ctx context.Context, peer string, n int64) {
	more := (n - 1) / listSize
	if !l.identities || more <= 0 {
		return
	}
	caller, _ := names(plugins.CallerOf(ctx), "", peer)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock()
	of, rates := &l.callers.of(caller, now).of, l.callers.rates
	for k, n := range map[kind]float64{lists: float64(more), requests: float64(more) * listCost} {
		b, r := &of[k], rates[k]
		b.fill(r, now)
		if b.owed < listDebt*r.perSecond+r.burst {
			b.take(r, n)
		}
	}
}

func (l *limits) take(ctx context.Context, app, peer string, n [kinds]float64, anyway bool) (wait time.Duration) {
	caller, address := names(plugins.CallerOf(ctx), app, peer)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock()
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

// names are the names of the buckets for an identity or nil, an application and a peer address.
// Those of an IPv6 host are one, for it can call from a whole /64. address is "" if peer is
// none. An identity is one caller, whichever applications it acts for.
func names(id *plugins.Caller, app, peer string) (caller, address string) {
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
	case id != nil:
		return "id " + id.Name, address
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
