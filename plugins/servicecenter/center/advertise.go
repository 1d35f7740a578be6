package center

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/mec-liveness/mepserver/plugins"
)

const restScheme = "rest://"

// AdvertisedEndpoint is the URL at which ServiceComb's clients reach this replica. They take
// it for plain HTTP unless its query says otherwise.
func AdvertisedEndpoint(h *plugins.Host) string {
	endpoint := restScheme + advertisedAddress(h)
	if h.Config.Server.TLS.On() {
		endpoint += "?sslEnabled=true"
	}
	return endpoint
}

// advertisedAddress is host:port at which clients reach this replica: what the configuration
// says, else where it listens. For a listener on every address that is one that others
// can reach, as far as this machine knows: behind NAT, or of several networks, only the
// configuration can say it.
func advertisedAddress(h *plugins.Host) string {
	if a := h.Config.Server.Advertise; a != "" {
		return a
	}
	listen := h.Config.Server.Listen
	if h.Address != nil {
		listen = h.Address.String() // its port was perhaps chosen by the system
	}
	at, err := netip.ParseAddrPort(listen)
	if err != nil || !at.Addr().IsUnspecified() {
		return listen
	}
	return net.JoinHostPort(reachable(plugins.OwnAddresses()).String(), strconv.Itoa(int(at.Port())))
}

// reachable is the address that most clients can use: IPv4 before IPv6, and loopback where
// there is nothing else.
func reachable(addrs []netip.Addr) netip.Addr {
	best, rank := netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0
	for _, ip := range addrs {
		now := 0
		switch {
		case !ip.IsGlobalUnicast(): // loopback, link-local
		case ip.Is4():
			now = 2
		default:
			now = 1
		}
		if now > rank {
			best, rank = ip, now
		}
	}
	return best
}
