package plugins

import (
	"net"
	"net/netip"
)

// InterfaceAddress is one of this machine's addresses.
type InterfaceAddress struct {
	Addr      netip.Addr
	Interface string // its name
}

// InterfaceAddresses are those of this machine now, in the order of the system, loopback and those
// of one link among them; none if the system does not say it.
func InterfaceAddresses() (out []InterfaceAddress) {
	all, _ := net.Interfaces()
	for _, i := range all {
		of, _ := i.Addrs()
		for _, a := range of {
			if n, ok := a.(*net.IPNet); ok {
				if ip, ok := netip.AddrFromSlice(n.IP); ok {
					out = append(out, InterfaceAddress{ip.Unmap(), i.Name})
				}
			}
		}
	}
	return out
}

// OwnAddresses are the same without the interfaces.
func OwnAddresses() (out []netip.Addr) {
	for _, a := range InterfaceAddresses() {
		out = append(out, a.Addr)
	}
	return out
}
