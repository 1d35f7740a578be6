package plugins

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/mp1/server"
)

const (
	// newSilence is how long a new connection may send nothing, and busySilence how long one
	// may be busy with a request, before it can be closed because there are too many.
	newSilence  = time.Second
	busySilence = 3 * time.Second
	tick        = 100 * time.Millisecond
	// evictions are how many victims are chosen at a time, for choosing looks at all
	// connections.
	evictions = 64
	// sendBuffer bounds what the kernel holds of a response that is not read; the kernel
	// doubles the number. A fast reader far away gets 6 MB/s over 20 ms.
	sendBuffer = 64 << 10
)

// connections is a listener with a limit of open connections. Without it, one peer that opens
// many would keep the heartbeats of others out. When there are too many, connections that
// are silent, idle or hang in a request are closed for new ones, those of the owners with
// the most first.
type connections struct {
	net.Listener
	most int // 0: any number

	clock  atomic.Int64 // in ticks: reading the time would cost more than all else here
	closer chan struct{}

	open    atomic.Int64
	streams atomic.Int64 // requests of HTTP/2 beyond the first of their connection
	secure  *handshakes  // nil: there is no TLS
	once    sync.Once
	mu      sync.Mutex
	all     map[*connection]struct{}
	victims []victim // to be closed next

	closed *prometheus.CounterVec
}

const (
	closedSilent  = "silent"
	closedIdle    = "idle"
	closedBusy    = "hanging"
	closedTaken   = "websocket"
	closedRefused = "refused"
)

func newConnections(l net.Listener, most int, secure *handshakes) *connections {
	c := &connections{Listener: l, most: most, secure: secure, all: map[*connection]struct{}{}, closer: make(chan struct{}),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mep_connections_closed_total", Help: "Connections closed, or not taken, because there were too many, by what they did.",
		}, []string{"reason"})}
	for _, why := range []string{closedSilent, closedIdle, closedBusy, closedTaken, closedRefused} {
		c.closed.WithLabelValues(why)
	}
	return c
}

// run moves the clock until the listener is closed.
func (c *connections) run() {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			c.clock.Add(1)
		case <-c.closer:
			return
		}
	}
}

// Close implements net.Listener.
func (c *connections) Close() error {
	c.once.Do(func() { close(c.closer) })
	return c.Listener.Close()
}

// register adds the metrics; the returned function takes them away.
func (c *connections) register() func(context.Context) error {
	var cs Collectors
	cs.Add(c.closed)
	cs.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_connections", Help: "Connections that are open."},
		func() float64 { return float64(c.open.Load()) }))
	cs.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_connections_streams", Help: "Requests under way over HTTP/2, beyond the first of each connection; each counts as a connection."},
		func() float64 { return float64(c.streams.Load()) }))
	cs.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_connections_limit", Help: "Connections that may be open; 0: any number."},
		func() float64 { return float64(c.most) }))
	return cs.Unregister
}

// connection is one of them. What it does is a single word, so that a request costs no more
// than to store it.
type connection struct {
	net.Conn
	listener *connections
	peer     string
	caller   atomic.Pointer[Caller]        // who used it last, if that is known
	doing    atomic.Int64                  // since which tick, times four, and what
	requests atomic.Int64                  // of HTTP/2 that are under way; closedStreams: it is closed
	trusted  atomic.Pointer[x509.CertPool] // the authorities that its client certificate was verified by
	once     sync.Once
}

// What a connection may be doing.
const (
	silent = iota // it has not sent anything
	idle
	busy
	hijacked // by a websocket
)

func (c *connection) set(what int) { c.doing.Store(c.listener.clock.Load()<<2 | int64(what)) }

// Close implements net.Conn.
func (c *connection) Close() error {
	c.once.Do(func() {
		c.endStreams()
		c.listener.open.Add(-1)
		c.listener.mu.Lock()
		defer c.listener.mu.Unlock()
		delete(c.listener.all, c)
	})
	return c.Conn.Close()
}

// state is the server's http.Server.ConnState.
func (c *connections) state(conn net.Conn, s http.ConnState) {
	t := trackedOf(conn)
	if t == nil {
		return
	}
	switch s {
	case http.StateActive:
		t.set(busy)
	case http.StateIdle:
		t.set(idle)
	case http.StateHijacked:
		t.set(hijacked)
	}
}

// Accept implements net.Listener.
func (c *connections) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c.full(1) && !c.evict() {
			c.closed.WithLabelValues(closedRefused).Inc()
			c.refuse(conn)
			continue
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetWriteBuffer(sendBuffer) // on failure the system's own size stays
		}
		if c.secure != nil {
			return &tlsConnection{connection: c.track(conn), handshakes: c.secure}, nil
		}
		return c.track(conn), nil
	}
}

// full says whether there is no room for so many more connections or streams.
func (c *connections) full(more int64) bool {
	return c.most > 0 && c.open.Load()+c.streams.Load()+more > int64(c.most)
}

func (c *connections) track(conn net.Conn) *connection {
	t := &connection{Conn: conn, listener: c}
	t.peer = peerOf(conn.RemoteAddr())
	t.set(silent)
	c.open.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[t] = struct{}{}
	return t
}

// peerOf is the address that connections are counted by. A host of IPv6 is one, for it can call
// from a whole /64.
func peerOf(a net.Addr) string {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return ""
	}
	host := at.Addr().Unmap().WithZone("")
	if host.Is4() {
		return host.String()
	}
	block, _ := host.Prefix(64) // it has 128 bits
	return block.String()
}

// noRoom is the response to a connection for which there is no room.
var noRoom = server.Refusal(http.StatusServiceUnavailable, "The platform has as many connections as it may; try again in a second.", 1)

// refuse answers at once that there is no room; otherwise the client would wait. To one that
// awaits TLS nothing can be said.
func (c *connections) refuse(conn net.Conn) {
	if c.secure != nil {
		_ = conn.Close()
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write(noRoom)
	_ = conn.Close()
}

// victim is a connection that may be closed, if it still does what it did when it was chosen.
type victim struct {
	*connection
	doing       int64
	withinShare bool // its owner has no more than its share
}

// evict closes one connection that can make room.
func (c *connections) evict() bool {
	for range 2 {
		for {
			c.mu.Lock()
			if len(c.victims) == 0 {
				c.mu.Unlock()
				break
			}
			next := c.victims[0]
			c.victims = c.victims[1:]
			_, open := c.all[next.connection]
			c.mu.Unlock()
			if !open || next.connection.doing.Load() != next.doing {
				continue
			}
			c.closed.WithLabelValues([]string{silent: closedSilent, idle: closedIdle, busy: closedBusy, hijacked: closedTaken}[next.doing&3]).Inc()
			_ = next.Close()
			return true
		}
		c.chooseVictims()
	}
	return false
}

// chooseVictims finds the connections to close first: those of owners with more than their
// share, then those of the others unless they are busy; the silent before the idle before
// the busy before the websockets, and the longest first.
func (c *connections) chooseVictims() {
	c.mu.Lock()
	defer c.mu.Unlock()
	perOwner := map[string]int{}
	for t := range c.all {
		perOwner[t.owner()] += t.weight()
	}
	share := c.most / (2 * max(len(perOwner), 1))
	now := c.clock.Load()
	least := [...]int64{silent: int64(newSilence / tick), idle: 0, busy: int64(busySilence / tick), hijacked: int64(busySilence / tick)}
	var candidates []victim
	for t := range c.all {
		one := victim{t, t.doing.Load(), perOwner[t.owner()] <= share}
		what := one.doing & 3
		if now-one.doing>>2 < least[what] || one.withinShare && what >= busy {
			continue
		}
		candidates = append(candidates, one)
	}
	slices.SortFunc(candidates, func(a, b victim) int {
		switch {
		case a.withinShare != b.withinShare:
			if b.withinShare {
				return -1
			}
			return 1
		case a.doing&3 != b.doing&3:
			return int(a.doing&3 - b.doing&3)
		case a.doing < b.doing:
			return -1
		}
		return 1
	})
	n := min(len(candidates), evictions)
	if others := slices.IndexFunc(candidates, func(one victim) bool { return one.withinShare }); others >= 0 {
		n = min(n, max(others, 1)) // only one within its share, if there is no other, and chosen anew each time
	}
	c.victims = slices.Clone(candidates[:n])
}
