package mp1

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// TrafficFilter selects packets (§7.1.5.2): all members that are there must match, and of a
// list any entry.
type TrafficFilter struct {
	SrcAddress       []string `json:"srcAddress,omitempty"` // addresses, prefixes, and ranges such as 10.0.0.1-10.0.0.9
	DstAddress       []string `json:"dstAddress,omitempty"`
	SrcPort          []string `json:"srcPort,omitempty"` // ports, and ranges such as 8000-8080
	DstPort          []string `json:"dstPort,omitempty"`
	Protocol         []string `json:"protocol,omitempty"` // names are free: MEC 011 has no list of them
	Tag              []string `json:"tag,omitempty"`
	Token            []string `json:"token,omitempty"` // the name of Tag up to v2.1.1
	SrcTunnelAddress []string `json:"srcTunnelAddress,omitempty"`
	TgtTunnelAddress []string `json:"tgtTunnelAddress,omitempty"`
	SrcTunnelPort    []string `json:"srcTunnelPort,omitempty"`
	DstTunnelPort    []string `json:"dstTunnelPort,omitempty"`
	QCI              *int     `json:"qCI,omitempty"`
	DSCP             *int     `json:"dSCP,omitempty"`
	TC               *int     `json:"tC,omitempty"`
}

// The largest values of the numbers of a filter: QCI is of TS 23.203 §6.1.7.2, DSCP of RFC
// 2474 §3, and the traffic class of RFC 8200 §7.
const (
	maxQCI  = 255
	maxDSCP = 63
	maxTC   = 255
)

const (
	// maxFilterEntries is the most entries of one list of a filter.
	maxFilterEntries = 64
	maxFilterText    = 64
	maxPort          = 65535
)

var filterMembers = []string{"srcAddress", "dstAddress", "srcPort", "dstPort", "protocol", "tag", "token", "srcTunnelAddress", "tgtTunnelAddress",
	"srcTunnelPort", "dstTunnelPort", "qCI", "dSCP", "tC"}

// decodeFilters reads the filters of a rule; nil: they are absent.
func decodeFilters(o object) ([]TrafficFilter, error) {
	const name = "trafficFilter"
	l, err := o.list(name)
	switch {
	case l == nil || err != nil:
		return nil, err
	case len(l) == 0 || len(l) > maxFilters:
		return nil, &Invalid{o.pathTo(name), fmt.Sprintf("must have 1 to %d entries", maxFilters)}
	}
	out := make([]TrafficFilter, 0, len(l))
	for _, v := range l {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, &Invalid{o.pathTo(name), "must be an array of objects"}
		}
		f, err := decodeFilter(object{path: o.pathTo(name), members: m})
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func decodeFilter(o object) (f TrafficFilter, err error) {
	if err = o.refuseOtherCase(filterMembers...); err != nil {
		return f, err
	}
	const address, port = "must be IP addresses, prefixes such as 192.0.2.0/24, or ranges such as 192.0.2.1-192.0.2.9", "must be ports from 0 to 65535, or ranges such as 8000-8080"
	free := func(string) bool { return true }
	for _, m := range []struct {
		name string
		to   *[]string
		ok   func(string) bool
		rule string
	}{
		{"srcAddress", &f.SrcAddress, addressOK, address}, {"dstAddress", &f.DstAddress, addressOK, address},
		{"srcPort", &f.SrcPort, portOK, port}, {"dstPort", &f.DstPort, portOK, port},
		{"protocol", &f.Protocol, free, ""}, {"tag", &f.Tag, free, ""}, {"token", &f.Token, free, ""},
		{"srcTunnelAddress", &f.SrcTunnelAddress, addressOK, address}, {"tgtTunnelAddress", &f.TgtTunnelAddress, addressOK, address},
		{"srcTunnelPort", &f.SrcTunnelPort, portOK, port}, {"dstTunnelPort", &f.DstTunnelPort, portOK, port},
	} {
		if *m.to, err = o.filterTexts(m.name, m.ok, m.rule); err != nil {
			return f, err
		}
	}
	for _, m := range []struct {
		name string
		to   **int
		most int
	}{{"qCI", &f.QCI, maxQCI}, {"dSCP", &f.DSCP, maxDSCP}, {"tC", &f.TC, maxTC}} {
		if *m.to, err = o.wholeNumber(m.name, m.most); err != nil {
			return f, err
		}
	}
	return f, nil
}

// filterTexts reads an optional list of strings that ok takes. A number counts as its digits:
// ports are written so where types are not looked at.
func (o object) filterTexts(name string, ok func(string) bool, rule string) ([]string, error) {
	if l, is := o.members[name].([]any); is {
		for i, v := range l {
			if n, is := v.(json.Number); is {
				l[i] = n.String()
			}
		}
	}
	out, err := o.texts(name, maxFilterText)
	switch {
	case err != nil || len(out) == 0:
		return nil, err
	case len(out) > maxFilterEntries:
		return nil, &Invalid{o.pathTo(name), fmt.Sprintf("must not have more than %d entries", maxFilterEntries)}
	}
	for _, s := range out {
		if !ok(s) {
			return nil, &Invalid{o.pathTo(name), rule}
		}
	}
	return out, nil
}

// addressOK takes an address, one with a prefix length or an IPv4 mask, and a range of
// addresses or prefixes of one family.
func addressOK(s string) bool {
	first, last, isRange := strings.Cut(s, "-")
	from, ok := addressOrPrefix(first)
	if !isRange || !ok {
		return ok
	}
	to, ok := addressOrPrefix(last)
	return ok && from.Is4() == to.Is4() && from.Compare(to) <= 0
}

func addressOrPrefix(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	address, length, hasLength := strings.Cut(s, "/")
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Zone() != "" {
		return ip, false
	}
	if !hasLength {
		return ip, true
	}
	if mask, err := netip.ParseAddr(length); err == nil {
		return ip, ip.Is4() && mask.Is4() && isMask(mask)
	}
	_, err = netip.ParsePrefix(s)
	return ip, err == nil
}

// isMask says whether an IPv4 address is ones followed by zeros.
func isMask(m netip.Addr) bool {
	b := m.As4()
	rest := ^(uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]))
	return rest&(rest+1) == 0
}

// portOK takes a port, and a range of ports.
func portOK(s string) bool {
	first, last, isRange := strings.Cut(s, "-")
	from, ok := portOf(first)
	if !isRange || !ok {
		return ok
	}
	to, ok := portOf(last)
	return ok && from <= to
}

func portOf(s string) (int, bool) {
	s = strings.TrimSpace(s)
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && n <= maxPort && s[0] != '+' && s[0] != '-'
}
