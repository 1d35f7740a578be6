package rules

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"

	"github.com/mec-liveness/mepserver/mp1"
)

const (
	mostName  = 253 // RFC 1035 §3.1, without the dot at the end
	mostLabel = 63
)

// domainName is the one form in which a domain name is kept, shown and given to drivers: lower
// case, other scripts as RFC 5891 §4.4 writes them in ASCII, without a dot at the end, and in
// a zone.
//
// Some names are refused because they would do harm, or nothing: an address is never asked for
// as a name; localhost is the machine itself (RFC 6761 §6.3); MEC 011 has rules for an FQDN, so
// that a wildcard could take the names of other applications.
func domainName(text string, in zone) (string, error) {
	bad := func(rule string) (string, error) { return "", &mp1.Invalid{Attribute: "domainName", Rule: rule} }
	name := strings.TrimSuffix(text, ".")
	if strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 }) {
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return bad("must be a domain name; some of its characters cannot be in one (RFC 5892)")
		}
		name = strings.TrimSuffix(ascii, ".")
	}
	name = strings.ToLower(name)
	if strings.HasPrefix(name, "*.") {
		return bad("must be one name; wildcards are not taken")
	}
	labels := strings.Split(name, ".")
	last := labels[len(labels)-1]
	_, notAddress := netip.ParseAddr(name)
	switch {
	case len(name) > mostName || !labelsOK(labels) || notAddress == nil || strings.Trim(last, "0123456789") == "":
		return bad("must be a domain name such as www.example.com: labels of letters, digits, hyphens and underscores")
	case last == "localhost":
		return bad("must not be localhost, which is the machine that asks")
	case !in.has(name):
		return bad("must be in the zone " + string(in) + ", as this platform serves no other names")
	}
	return name, nil
}

func labelsOK(labels []string) bool {
	for _, l := range labels {
		if l == "" || len(l) > mostLabel || l[0] == '-' || l[len(l)-1] == '-' ||
			strings.ContainsFunc(l, func(r rune) bool {
				return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
			}) {
			return false
		}
	}
	return true
}
