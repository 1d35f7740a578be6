package kong

import (
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/mec-liveness/mepserver/conf"
)

// trustingPorts are those of conf.ChartPorts that believe whoever is in the pod, and that applications
// seldom have.
var trustingPorts = []int{8001, 8444, 10443}

// services of EdgeGallery's platform, in its namespace.
var platformNames = []string{"mep-mm5", "mepauth", "mep-api-gw"}

// guard keeps applications from registering the platform itself as their service: the gateway
// stands in the platform's pod, and would carry consumers' requests to interfaces that believe
// whoever is near, such as Kong's Admin API.
type guard struct {
	own     []netip.Addr // addresses of this machine
	hosts   []string     // names of this machine, and those by which the parts are configured
	ports   []int        // of the platform
	unnamed []int        // those that no name may have, for where it leads is a resolver's word
}

// newGuard knows the parts by their configured addresses and, in EdgeGallery's pod, by those that
// its chart gives them. Consumers know public, and applications have its port too.
func newGuard(own []netip.Addr, names []string, pod bool, public hostPort, parts []hostPort) guard {
	g := guard{own: own, hosts: slices.Clone(names)}
	for _, p := range append(slices.Clone(parts), public) {
		g.ports = append(g.ports, p.port)
		if host := strings.ToLower(p.host); host != "" {
			g.hosts = append(g.hosts, host)
		}
	}
	if pod {
		g.ports = append(g.ports, conf.ChartPorts()...)
		g.unnamed = slices.Clone(trustingPorts)
		for _, p := range parts {
			g.unnamed = append(g.unnamed, p.port)
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
	ip, err := netip.ParseAddr(host)
	if err != nil {
		near := nearName(host) || slices.Contains(g.hosts, host) || shortAddress(host)
		return !slices.Contains(g.unnamed, port) && !(near && slices.Contains(g.ports, port))
	}
	ip = ip.Unmap()
	if ip.IsLinkLocalUnicast() || ip.IsMulticast() {
		return false // of this machine alone, or a cloud's own service
	}
	near := ip.IsLoopback() || ip.IsUnspecified() || slices.Contains(g.own, ip) || slices.Contains(g.hosts, host)
	return !near || !slices.Contains(g.ports, port)
}

// nearName says whether a name is this machine's wherever it is asked for, or that of a pod's
// address (10-244-0-5.mep.pod.cluster.local), which may be ours.
func nearName(host string) bool {
	first, _, _ := strings.Cut(host, ".")
	return first == "localhost" || strings.HasSuffix(host, ".localhost") || first == "ip6-localhost" || first == "ip6-loopback" ||
		strings.Contains(host+".", ".pod.")
}

// ownNames are the names of this machine: its host name, and what its file of hosts calls its
// addresses.
func ownNames(own []netip.Addr) (out []string) {
	name, _ := os.Hostname()
	hosts, _ := os.ReadFile("/etc/hosts") // there may be none
	return namesOf(own, name, string(hosts))
}

func namesOf(own []netip.Addr, hostname, hosts string) (out []string) {
	add := func(name string) {
		if name = strings.ToLower(strings.TrimSuffix(name, ".")); name != "" {
			out = append(out, name)
		}
	}
	add(hostname)
	first, _, _ := strings.Cut(hostname, ".")
	add(first)
	for line := range strings.Lines(hosts) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if ip, err := netip.ParseAddr(words[0]); err == nil && (ip.Unmap().IsLoopback() || slices.Contains(own, ip.Unmap())) {
			for _, name := range words[1:] {
				add(name)
			}
		}
	}
	return out
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
