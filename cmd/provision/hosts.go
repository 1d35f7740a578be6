package provision

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// host is a name or an address that the server's certificate is for.
type host struct {
	name string
	addr netip.Addr // invalid for a DNS name
}

// The longest DNS name and label (RFC 1035 §2.3.4), and how many hosts one certificate names.
const (
	longestName  = 253
	longestLabel = 63
	mostHosts    = 100
)

// parseHosts checks the hosts of a certificate. Clients compare them with the URL that they
// use, so a host that no URL can have would make a certificate that nobody can verify.
func parseHosts(texts []string) (hosts []host, err error) {
	for _, text := range texts {
		h, err := parseHost(text)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
	}
	switch {
	case len(hosts) == 0:
		return nil, errors.New("--host must say at which DNS name or IP address clients reach the server")
	case len(hosts) > mostHosts:
		return nil, fmt.Errorf("a certificate is made for at most %d hosts, not %d", mostHosts, len(hosts))
	}
	return hosts, nil
}

func parseHost(text string) (host, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		if a = a.Unmap(); a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
			return host{}, fmt.Errorf("--host %s is no address that a client can call; name the one by which clients reach the server", a)
		}
		return host{a.String(), a}, nil
	}
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	bad := len(name) > longestName
	for label := range strings.SplitSeq(name, ".") {
		bad = bad || label == "" || len(label) > longestLabel || strings.Trim(label, "-") != label || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != ""
	}
	// A name whose last label is a number is an IPv4 address to clients (WHATWG URL §3.5).
	last := name[strings.LastIndexByte(name, '.')+1:]
	if bad || strings.Trim(last, "0123456789") == "" {
		return host{}, fmt.Errorf("--host must be a DNS name such as mep.example.org or an IP address such as 10.0.0.5, without a port, not %+q", text)
	}
	return host{name: name}, nil
}

func (h host) loopback() bool { return h.name == "localhost" || h.addr.IsLoopback() }

// joined is the host with a port, as in a URL.
func (h host) joined(port string) string {
	if h.addr.Is6() {
		return "[" + h.name + "]:" + port
	}
	return h.name + ":" + port
}
