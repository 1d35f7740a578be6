package identity

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// knownFor is how long what was found out about networks is believed.
	knownFor = 10 * time.Second
	// mostRoutes bounds for how many peers that is.
	mostRoutes = 1024
)

// machine knows which of this machine's addresses is its primary one, and which peers reach it
// there. Others of its networks may be those of applications. It is safe for concurrent use.
type machine struct {
	network network
	clock   func() time.Duration // monotonic

	mu      sync.Mutex
	known   bool
	asked   time.Duration
	own     map[netip.Addr]string // its addresses, and their interfaces
	primary []netip.Addr
	routes  map[netip.Addr]string // of peers: the interface of the address that leads to them
}

// network is what the operating system says.
type network interface {
	// addresses are those of this machine, and the names of their interfaces.
	addresses() map[netip.Addr]string
	// named are those that this machine's own files give its host name.
	named() []netip.Addr
	// source is the one that a packet to somebody has; not valid: nothing leads there.
	source(to netip.Addr) netip.Addr
}

// admits says whether a connection is on loopback, or on the primary address and comes by its
// network. That it is on the primary address does not suffice: Linux takes a packet for any of
// its addresses by any of its interfaces, so that whoever is in a network of applications may
// send it there.
func (m *machine) admits(local, peer netip.Addr) bool {
	if fromHere(local, peer) && local.IsLoopback() {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.clock(); !m.known || now-m.asked > knownFor {
		m.own = m.network.addresses()
		m.primary, m.routes, m.known, m.asked = primaryOf(m.network, m.own), map[netip.Addr]string{}, true, now
	}
	switch {
	case !slices.Contains(m.primary, local):
		return false
	case fromHere(local, peer):
		return true
	}
	by, ok := m.routes[peer]
	if !ok {
		by = m.own[m.network.source(peer)]
		if len(m.routes) < mostRoutes {
			m.routes[peer] = by
		}
	}
	return by != "" && by == m.own[local]
}

// Only a default route leads to these, and nothing is sent there: they are reserved (RFC 1112 §4) and
// unassigned (RFC 4291 §2.4). The addresses for documents would not do, for some have networks of
// them.
var (
	anywhere4 = netip.MustParseAddr("240.0.0.1")
	anywhere6 = netip.MustParseAddr("4000::1")
)

// primaryOf are the primary addresses of a machine, one a family at most but for what its host
// name has. Kubernetes writes the pod's own into its files. Where nobody did, they are those of
// the default route; but the one of IPv6 counts only in the same network, for anybody there may
// announce such a route.
func primaryOf(n network, own map[netip.Addr]string) (primary []netip.Addr) {
	for _, a := range n.named() {
		if own[a] != "" && !a.IsLoopback() {
			primary = append(primary, a)
		}
	}
	if len(primary) > 0 {
		return primary
	}
	by := ""
	for _, to := range []netip.Addr{anywhere4, anywhere6} {
		a := n.source(to)
		if at := own[a]; at != "" && !a.IsLoopback() && (by == "" || by == at) {
			primary, by = append(primary, a), at
		}
	}
	return primary
}

// kernel is the network of the machine that this process runs on.
type kernel struct{}

func (kernel) addresses() map[netip.Addr]string {
	own := map[netip.Addr]string{}
	for _, a := range plugins.InterfaceAddresses() {
		if !a.Addr.IsLinkLocalUnicast() { // such a one is ours on one link only
			own[a.Addr] = a.Interface
		}
	}
	return own
}

func (kernel) named() (out []netip.Addr) {
	name, err := os.Hostname()
	if err != nil {
		return nil
	}
	files := net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no server is asked: what it says of us could be anything")
	}}
	found, _ := files.LookupNetIP(context.Background(), "ip", name)
	for _, a := range found {
		out = append(out, a.Unmap())
	}
	return out
}

// source has the kernel choose by connecting a socket, by which nothing is sent.
func (kernel) source(to netip.Addr) netip.Addr {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		return netip.Addr{}
	}
	defer func() { _ = c.Close() }()
	if at, ok := c.LocalAddr().(*net.UDPAddr); ok {
		return at.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
