package notify

import (
	"cmp"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"syscall"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
)

// policy says to which addresses a callback may be dialled.
type policy struct {
	loopback bool // the server is reachable from this machine only, and so may be its consumers
	allowed  []netip.Prefix
	// own are the addresses of this machine and ports those of the programs there that believe
	// whoever is on it, in EdgeGallery's pod; else nil.
	own   func() []netip.Addr
	ports []int
}

func newPolicy(c *conf.Config) policy {
	p := policy{loopback: c.Server.Loopback(), allowed: c.Notify.AllowedCallbackCIDRs}
	if c.EdgeGallery.Site {
		p.own, p.ports = plugins.OwnAddresses, c.SitePorts()
	}
	return p
}

// permits says whether an address may be dialled. An entry such as 0.0.0.0/0 must not open
// the metadata service at 169.254.169.254 or our own port on 127.0.0.1, so networks of one
// machine or one link are allowed only by an entry that lies inside them. In EdgeGallery's pod
// loopback is like any other network, for there each port that matters is refused by itself.
func (p policy) permits(a netip.Addr) bool {
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if inner, ok := embedded(a); ok && !p.permits(inner) {
		return false
	}
	switch {
	case a.IsUnspecified(), a.IsMulticast(), a == broadcast, thisNetwork.Contains(a):
		return false
	case a.IsLoopback():
		return p.loopback || p.allowedBy(a, func(n netip.Prefix) bool { return p.own != nil || n.Addr().IsLoopback() })
	case a.IsLinkLocalUnicast():
		return p.allowedBy(a, func(n netip.Prefix) bool { return n.Addr().IsLinkLocalUnicast() })
	default:
		return p.allowedBy(a, netip.Prefix.IsValid)
	}
}

// dials says whether an address and port may be dialled: none where Kong's Admin API is, or
// another part of EdgeGallery's pod that believes whoever is in it, but by an entry that is the
// address itself.
func (p policy) dials(at netip.AddrPort) bool {
	return at.Port() != 0 && p.permits(at.Addr()) && !p.believes(at.Addr(), int(at.Port()))
}

// believes says whether a program of EdgeGallery's pod is there.
func (p policy) believes(a netip.Addr, port int) bool {
	a = a.Unmap()
	if inner, ok := embedded(a); ok && p.believes(inner, port) {
		return true
	}
	return p.own != nil && slices.Contains(p.ports, port) && (a.IsLoopback() || slices.Contains(p.own(), a)) && !p.allowedBy(a, netip.Prefix.IsSingleIP)
}

// allowedBy says whether such an entry contains a.
func (p policy) allowedBy(a netip.Addr, such func(netip.Prefix) bool) bool {
	for _, prefix := range p.allowed {
		if prefix.Contains(a) && such(prefix) {
			return true
		}
	}
	return false
}

var (
	broadcast   = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8") // Linux takes it for itself
	nat64       = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour   = netip.MustParsePrefix("2002::/16")
	compatible  = netip.MustParsePrefix("::/96")
)

// embedded is the IPv4 address that a gateway would dial for an IPv6 address.
func embedded(a netip.Addr) (netip.Addr, bool) {
	b := a.As16()
	switch {
	case !a.Is6(), a.IsLoopback(), a.IsUnspecified():
		return netip.Addr{}, false
	case nat64.Contains(a), compatible.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

// errForbidden says that the address that was about to be dialled is not allowed.
var errForbidden = errors.New("the callback's address is not allowed")

// control is net.Dialer's: it is called with each address that is about to be dialled, after
// names were resolved, so that a name cannot lead elsewhere once it was checked.
func (p policy) control(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !p.dials(a) {
		return errForbidden
	}
	return nil
}

// refuses says whether a callback can never be dialled because its host is an address that
// is not allowed. Names are checked when they are dialled.
func (p policy) refuses(callback string) bool {
	u, err := url.Parse(callback)
	if err != nil {
		return true
	}
	a, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return false
	}
	port, err := strconv.ParseUint(cmp.Or(u.Port(), defaultPort(u.Scheme)), 10, 16)
	return err != nil || !p.dials(netip.AddrPortFrom(a, uint16(port)))
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}
