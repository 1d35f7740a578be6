package driver

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mec-liveness/mepserver/mp1"
)

// Check says why no driver can serve what Set is given: a name that is none, or an address of
// another type. Drivers check for themselves, for what they send decides where names lead.
func Check(name string, t mp1.IPAddressType, records []Record) error {
	if !PlainName(name) {
		return errors.New("the name is no domain name that can be served")
	}
	if t != mp1.IPv4 && t != mp1.IPv6 {
		return errors.New("the type of addresses is neither IP_V4 nor IP_V6")
	}
	for _, r := range records {
		if !r.Address.IsValid() || r.Address.Is4() != (t == mp1.IPv4) || r.Address.Is4In6() || r.Address.Zone() != "" {
			return fmt.Errorf("an address is not of the type %s", t)
		}
	}
	return nil
}

// PlainName says whether a name has only what names of hosts and services are made of; "*" may be
// its first label (RFC 4592). What DNS writes with a backslash would be another name to another
// reader.
func PlainName(name string) bool {
	name = strings.TrimPrefix(strings.TrimSuffix(name, "."), "*.")
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.IndexFunc(label, notInLabel) >= 0 {
			return false
		}
	}
	return true
}

func notInLabel(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
