// Package rfc2136 has domain names served by a DNS server: it sends dynamic updates (RFC 2136),
// signed by TSIG (RFC 8945), to the primary server of one zone. It must not know rules nor
// applications, and believes no answer that is not signed as it should be.
package rfc2136

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
	"github.com/mec-liveness/mepserver/plugins/certs"
)

const (
	// setTimeout bounds one Set with a server that does not answer.
	setTimeout = 10 * time.Second
	// checkTimeout is how long a Set waits, after a server confirmed its update, for what the
	// server answers to the name.
	checkTimeout = time.Second
)

// Driver keeps names of one zone. It is safe for concurrent use.
type Driver struct {
	server string
	zone   string            // canonical, with its dot
	key    *certs.Kept[*key] // nil: nothing is signed
	now    func() time.Time
}

var _ driver.DNS = (*Driver)(nil)

// New makes a driver of the settings of conf.DNSUpdate. now is the wall clock, by which messages
// are signed. report is called when the key file changed while the server runs: with nil, or with
// why it cannot be used and the key before it stays. New fails if the key file cannot be used.
func New(c conf.DNSRules, now func() time.Time, report func(error)) (*Driver, error) {
	d := &Driver{server: c.Server, zone: dns.CanonicalName(c.Zone), now: now}
	if c.TSIGKeyFile == "" {
		return d, nil
	}
	var err error
	if d.key, err = certs.Keep(keyFile{c.TSIGKeyFile}, now, report); err != nil {
		return nil, fmt.Errorf("rules.dns.tsigKeyFile: %w", err)
	}
	return d, nil
}

// Set implements driver.DNS. A name outside the zone is never sent; none is served there.
func (d *Driver) Set(ctx context.Context, name string, t mp1.IPAddressType, records []driver.Record) error {
	if err := driver.Check(name, t, records); err != nil {
		return err
	}
	want := newRRset(name, t, records)
	if !dns.IsSubDomain(d.zone, want.name) {
		if len(records) == 0 {
			return nil
		}
		return fmt.Errorf("the name is not in the zone %s that rules.dns.zone names", d.zone)
	}
	ctx, cancel := context.WithTimeout(ctx, setTimeout)
	defer cancel()
	s, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	r, err := s.exchange(ctx, want.update(d.zone))
	if err != nil {
		return err
	}
	if r.Rcode != dns.RcodeSuccess {
		return s.refused(r)
	}
	if len(records) == 0 {
		return nil
	}
	return s.contradicted(ctx, want)
}

// rrset is everything of one type that a name is to have.
type rrset struct {
	name      string // canonical, with its dot
	kind      uint16 // dns.TypeA or dns.TypeAAAA
	ttl       uint32
	addresses []netip.Addr // in their order, each once
}

// newRRset makes one of what Set is given. Records of one set have one TTL (RFC 2181 §5.2): the
// shortest, for what is to be forgotten soon must not be kept for longer.
func newRRset(name string, t mp1.IPAddressType, records []driver.Record) rrset {
	s := rrset{name: dns.CanonicalName(name), kind: dns.TypeA, ttl: mp1.MaxTTL}
	if t == mp1.IPv6 {
		s.kind = dns.TypeAAAA
	}
	for _, r := range records {
		s.addresses, s.ttl = append(s.addresses, r.Address), min(r.TTL, s.ttl)
	}
	slices.SortFunc(s.addresses, netip.Addr.Compare)
	s.addresses = slices.Compact(s.addresses)
	return s
}

// update is the message that makes the server serve exactly this set, at once or not at all
// (RFC 2136 §3.4.2.7). Servers pass over an address for a name that is an alias and say success
// (§3.4.2.2), so that there must be none.
func (s rrset) update(zone string) *dns.Msg {
	m := new(dns.Msg).SetUpdate(zone)
	header := dns.RR_Header{Name: s.name, Rrtype: s.kind, Class: dns.ClassINET, Ttl: s.ttl}
	m.RemoveRRset([]dns.RR{&dns.ANY{Hdr: header}})
	if len(s.addresses) == 0 {
		return m
	}
	m.RRsetNotUsed([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: s.name, Rrtype: dns.TypeCNAME}}})
	for _, a := range s.addresses {
		if s.kind == dns.TypeA {
			m.Insert([]dns.RR{&dns.A{Hdr: header, A: a.AsSlice()}})
		} else {
			m.Insert([]dns.RR{&dns.AAAA{Hdr: header, AAAA: a.AsSlice()}})
		}
	}
	return m
}

// question asks what is served now.
func (s rrset) question() *dns.Msg {
	m := new(dns.Msg).SetQuestion(s.name, s.kind)
	m.RecursionDesired = false // what the server knows from others does not count
	return m
}

// served are the addresses of the set's name and type in an answer, and whether the answer says
// that the name is an alias.
func (s rrset) served(r *dns.Msg) (addresses []netip.Addr, alias bool) {
	for _, rr := range r.Answer {
		if dns.CanonicalName(rr.Header().Name) != s.name || rr.Header().Class != dns.ClassINET {
			continue
		}
		var a netip.Addr
		switch rr := rr.(type) {
		case *dns.CNAME:
			alias = true
			continue
		case *dns.A:
			a, _ = netip.AddrFromSlice(rr.A.To4())
		case *dns.AAAA:
			a, _ = netip.AddrFromSlice(rr.AAAA.To16())
		}
		if a.IsValid() && rr.Header().Rrtype == s.kind {
			addresses = append(addresses, a)
		}
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses), alias
}
