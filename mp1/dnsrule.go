package mp1

import (
	"errors"
	"math"
	"net/netip"
	"strconv"
)

// RuleState says whether a rule is in effect (§7.1.2.2, §7.1.2.3).
type RuleState string

// The states of a rule.
const (
	RuleActive   RuleState = "ACTIVE"
	RuleInactive RuleState = "INACTIVE"
)

// IPAddressType is the kind of an address (§7.1.2.3).
type IPAddressType string

// The types of addresses.
const (
	IPv4 IPAddressType = "IP_V4"
	IPv6 IPAddressType = "IP_V6"
)

var (
	ruleStates     = []string{string(RuleActive), string(RuleInactive)}
	ipAddressTypes = []string{string(IPv4), string(IPv6), "IPv4", "IPv6"} // the last two are EdgeGallery's
	dnsRuleMembers = []string{"dnsRuleId", "domainName", "ipAddressType", "ipAddress", "ttl", "state"}
)

// MaxTTL is the longest time to live of a DNS record, in seconds (RFC 2181 §8).
const MaxTTL = math.MaxInt32

// maxDomainName is how many characters a domain name may have before it is normalised: those of
// other scripts become longer.
const maxDomainName = 255

// DNSRule says at which address a domain name is reached (§7.1.2.3).
type DNSRule struct {
	DNSRuleID     string        `json:"dnsRuleId"`
	DomainName    string        `json:"domainName"`
	IPAddressType IPAddressType `json:"ipAddressType"`
	IPAddress     string        `json:"ipAddress"`
	// TTL is how long an answer may be kept, in seconds. Absent: the platform chooses.
	TTL   *int      `json:"ttl,omitempty"`
	State RuleState `json:"state"`
}

// DNSRuleUpdate is what a PUT of a DNS rule says (§7.2.10.3.2): the members that it has. The
// others stay as they are.
type DNSRuleUpdate struct {
	DNSRuleID     string // of no meaning
	DomainName    string // "": absent
	IPAddressType IPAddressType
	IPAddress     string
	TTL           *int
	State         RuleState
}

// DecodeDNSRuleUpdate reads the body of a PUT of a DNS rule. Clients made from ETSI's OpenAPI
// v3.1.1 wrap it in a member DnsRule. A body without any member of a rule is refused: its
// sender meant something else. Its errors are *Invalid.
func DecodeDNSRuleUpdate(data []byte) (u DNSRuleUpdate, err error) {
	o, err := readRule(data, "DnsRule", dnsRuleMembers)
	if err != nil {
		return u, err
	}
	return decodeDNSRule(o)
}

// decodeDNSRule reads the members that are there.
func decodeDNSRule(o object) (u DNSRuleUpdate, err error) {
	if u.DNSRuleID, err = o.optionalID("dnsRuleId"); err != nil {
		return u, err
	}
	if u.DomainName, err = o.optionalText("domainName", maxDomainName); err != nil {
		return u, err
	}
	kind, err := o.optionalEnum("ipAddressType", ipAddressTypes)
	if err != nil {
		return u, err
	}
	switch u.IPAddressType = IPAddressType(kind); kind {
	case "IPv4":
		u.IPAddressType = IPv4
	case "IPv6":
		u.IPAddressType = IPv6
	}
	if u.IPAddress, err = o.optionalText("ipAddress", maxText); err != nil {
		return u, err
	}
	if u.IPAddress != "" {
		ip, err := netip.ParseAddr(u.IPAddress)
		if err != nil || ip.Zone() != "" {
			return u, &Invalid{o.pathTo("ipAddress"), "must be an IP address, such as 192.0.2.1 or 2001:db8::1"}
		}
		u.IPAddress = ip.String()
	}
	if u.TTL, err = o.wholeNumber("ttl", MaxTTL); err != nil {
		return u, err
	}
	state, err := o.optionalEnum("state", ruleStates)
	u.State = RuleState(state)
	return u, err
}

// Applied is the rule as the update leaves it, or *Invalid: the update must not name another
// domain name, which only the platform's side may change, and the address must be of its type.
// sameName says whether two domain names are the same. The URI says which rule is meant, whatever
// id the body has: the suites of ETSI send another and want 200 (TC_MEC_SRV_DNS_003_OK).
func (u DNSRuleUpdate) Applied(to DNSRule, sameName func(string) bool) (DNSRule, error) {
	if u.DomainName != "" && !sameName(u.DomainName) {
		return to, &Invalid{"domainName", "cannot be changed by the application; have the rule defined anew by the platform's administrator"}
	}
	if u.IPAddressType != "" {
		to.IPAddressType = u.IPAddressType
	}
	if u.IPAddress != "" {
		to.IPAddress = u.IPAddress
	}
	if u.TTL != nil {
		to.TTL = u.TTL
	}
	if u.State != "" {
		to.State = u.State
	}
	return to, to.checkAddress("ipAddress")
}

// checkAddress refuses an address of another type.
func (r *DNSRule) checkAddress(path string) error {
	ip, err := netip.ParseAddr(r.IPAddress)
	switch {
	case err != nil || r.IPAddressType == IPv4 && !ip.Is4():
		return &Invalid{path, "must be an IPv4 address, as ipAddressType says"}
	case r.IPAddressType == IPv6 && (!ip.Is6() || ip.Is4In6()):
		return &Invalid{path, "must be an IPv6 address, as ipAddressType says"}
	}
	return nil
}

// completeDNSRule is the rule that a definition says, all of whose mandatory members must be
// there. state may be absent: the rule waits for its application to activate it.
func completeDNSRule(o object) (r DNSRule, err error) {
	u, err := decodeDNSRule(o)
	if err != nil {
		return r, err
	}
	for _, m := range []struct{ name, value string }{{"dnsRuleId", u.DNSRuleID}, {"domainName", u.DomainName},
		{"ipAddressType", string(u.IPAddressType)}, {"ipAddress", u.IPAddress}} {
		if m.value == "" {
			return r, o.required(m.name, errAbsent)
		}
	}
	r = DNSRule(u)
	if r.State == "" {
		r.State = RuleInactive
	}
	return r, r.checkAddress(o.pathTo("ipAddress"))
}

// optionalText reads an optional string. "" counts as absent: clients whose types have no
// absence send it.
func (o object) optionalText(name string, most int) (string, error) {
	s, err := o.text(name, most)
	return s, ignoreAbsent(err)
}

// optionalID reads an optional id.
func (o object) optionalID(name string) (string, error) {
	s, err := o.optionalText(name, maxText)
	if err == nil && s != "" {
		err = CheckID(o.pathTo(name), s)
	}
	return s, err
}

// wholeNumber reads an optional whole number from 0 to most.
func (o object) wholeNumber(name string, most int) (*int, error) {
	n, err := o.nonNegative(name, most+1)
	if err == nil && n != nil && *n > most {
		err = errors.New("beyond")
	}
	if err != nil {
		return nil, &Invalid{o.pathTo(name), "must be a whole number from 0 to " + strconv.Itoa(most)}
	}
	return n, nil
}
