package plugins

import (
	"net"
	"net/netip"
)

// OwnAddresses are those of this machine now, loopback and those of one link among them; none if
// the system does not say it.
func OwnAddresses() (out []netip.Addr) {
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out
}
