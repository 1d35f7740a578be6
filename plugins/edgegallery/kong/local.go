package kong

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// ports that parts of EdgeGallery's platform listen on in the pod of the gateway: Kong itself (proxy
// and Admin API, plain and TLS), mepauth, mepserver, its dns-server's management.
var platformPorts = []int{8000, 8443, 8001, 8444, 10443, 8088, 8080}

// services of EdgeGallery's platform, in its namespace.
var platformNames = []string{"mep-mm5", "mepauth", "mep-api-gw"}

// guard keeps applications from registering the platform itself as their service: the gateway
// stands in the platform's pod, and would carry consumers' requests to interfaces that believe
// whoever is near, such as Kong's Admin API.
type guard struct {
	own   []netip.Addr // addresses of this machine
	ports []int
	hosts []string // by which the parts are configured
}

// newGuard knows the parts by their configured addresses and, in EdgeGallery's pod, by those that
// its chart gives them.
func newGuard(own []netip.Addr, pod bool, parts []hostPort) guard {
	g := guard{own: own}
	if pod {
		g.ports = slices.Clone(platformPorts)
	}
	for _, p := range parts {
		g.ports = append(g.ports, p.port)
		if host := strings.ToLower(p.host); host != "" {
			g.hosts = append(g.hosts, host)
		}
	}
	return g
}

type hostPort struct {
	host string
	port int
}

// allows says whether the gateway may lead to a host and port. A name that resolves to the
// platform cannot be told from others here.
func (g guard) allows(host string, port int) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	label, rest, _ := strings.Cut(host, ".")
	if slices.Contains(platformNames, label) && (rest == "" || rest == "mep" || strings.HasPrefix(rest, "mep.svc")) {
		return false
	}
	near := host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(g.hosts, host) || shortAddress(host)
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		if ip.IsLinkLocalUnicast() || ip.IsMulticast() {
			return false // of this machine alone, or a cloud's own service
		}
		near = near || ip.IsLoopback() || ip.IsUnspecified() || slices.Contains(g.own, ip)
	}
	return !near || !slices.Contains(g.ports, port)
}

// shortAddress says whether a resolver may read a host as an IPv4 address that netip does not:
// 127.1, 0x7f000001, 2130706433.
func shortAddress(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if _, err := netip.ParseAddr(host); err == nil || last == "" {
		return false
	}
	return strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x")
}

// ownAddresses are those of this machine.
func ownAddresses() (out []netip.Addr) {
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
