package rfc2136

import (
	"context"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
	"github.com/mec-liveness/mepserver/test/nameserver"
)

func records(ttl uint32, addresses ...string) (out []driver.Record) {
	for _, a := range addresses {
		out = append(out, driver.Record{Address: netip.MustParseAddr(a), TTL: ttl})
	}
	return out
}

func TestASetIsServedAndReplacesWhatWasServed(t *testing.T) {
	p := nameserver.Start(t)
	d, ctx := newDriver(t, settings(t, p)), t.Context()
	const name = "cam.apps.edge.example"
	require.NoError(t, d.Set(ctx, name, mp1.IPv4, records(300, "10.0.0.1", "10.0.0.2", "10.0.0.1")))
	assert.ElementsMatch(t, []string{"cam.apps.edge.example.\t300\tIN\tA\t10.0.0.1", "cam.apps.edge.example.\t300\tIN\tA\t10.0.0.2"}, p.Serves(name+".", dns.TypeA))
	require.NoError(t, d.Set(ctx, name, mp1.IPv6, records(60, "2001:db8::1")), "both types of one name")
	require.NoError(t, d.Set(ctx, name, mp1.IPv4, records(30, "10.0.0.3")))
	require.NoError(t, d.Set(ctx, name, mp1.IPv4, records(30, "10.0.0.3")), "to repeat it is harmless")
	assert.Equal(t, []string{"cam.apps.edge.example.\t30\tIN\tA\t10.0.0.3"}, p.Serves(name+".", dns.TypeA))
	require.NoError(t, d.Set(ctx, name, mp1.IPv4, nil))
	require.NoError(t, d.Set(ctx, name, mp1.IPv4, nil))
	assert.Empty(t, p.Serves(name+".", dns.TypeA))
	assert.Equal(t, []string{"cam.apps.edge.example.\t60\tIN\tAAAA\t2001:db8::1"}, p.Serves(name+".", dns.TypeAAAA), "the other type stays")
}

func TestAServerWithoutTCPIsAskedByUDP(t *testing.T) {
	p := nameserver.StartUDP(t)
	d := newDriver(t, settings(t, p))
	require.NoError(t, d.Set(t.Context(), "a.apps.edge.example", mp1.IPv4, records(1, "10.0.0.1", "10.0.0.2")))
	assert.Len(t, p.Serves("a.apps.edge.example.", dns.TypeA), 2)
	var many []driver.Record
	for i := range 64 {
		many = append(many, driver.Record{Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})})
	}
	require.EqualError(t, d.Set(t.Context(), "a.apps.edge.example", mp1.IPv4, many), "the DNS server "+p.Address+" takes no TCP, and there are too many addresses for UDP")
	p.Refuse(nameserver.Refused)
	require.ErrorContains(t, d.Set(t.Context(), "a.apps.edge.example", mp1.IPv4, nil), "REFUSED")
	assert.Len(t, p.Serves("a.apps.edge.example.", dns.TypeA), 2)
}

func TestNamesThatZonesHave(t *testing.T) {
	p := nameserver.Start(t)
	d := newDriver(t, settings(t, p))
	for _, name := range []string{"apps.edge.example", "*.apps.edge.example", "_cam._tcp.apps.edge.example", "A.B.c.Apps.Edge.Example", "xn--mnchen-3ya.apps.edge.example", "trailing.apps.edge.example."} {
		require.NoError(t, d.Set(t.Context(), name, mp1.IPv4, records(0, "10.0.0.1")), name)
		assert.Len(t, p.Serves(dns.CanonicalName(name), dns.TypeA), 1, name)
		require.NoError(t, d.Set(t.Context(), name, mp1.IPv4, nil), name)
		assert.Empty(t, p.Serves(dns.CanonicalName(name), dns.TypeA), name)
	}
}

func TestAnUnequalTTLBecomesTheShortest(t *testing.T) {
	p := nameserver.Start(t)
	require.NoError(t, newDriver(t, settings(t, p)).Set(t.Context(), "a.apps.edge.example", mp1.IPv4, append(records(300, "10.0.0.1"), records(20, "10.0.0.2")...)))
	assert.ElementsMatch(t, []string{"a.apps.edge.example.\t20\tIN\tA\t10.0.0.1", "a.apps.edge.example.\t20\tIN\tA\t10.0.0.2"}, p.Serves("a.apps.edge.example.", dns.TypeA))
}

func TestWhatIsNotOfTheZoneIsNeverSent(t *testing.T) {
	p := nameserver.Start(t)
	d := newDriver(t, settings(t, p))
	for _, name := range []string{"example.org", "edge.example", "apps.edge.example.org", "xapps.edge.example", ".", "", "a..apps.edge.example",
		`a\.apps.edge.example`, "a b.apps.edge.example", "a\n.apps.edge.example", "*", "a.*.apps.edge.example", "ä.apps.edge.example"} {
		assert.Error(t, d.Set(t.Context(), name, mp1.IPv4, records(1, "10.0.0.1")), "%q", name)
	}
	require.NoError(t, d.Set(t.Context(), "example.org", mp1.IPv4, nil), "nothing of it is served there")
	for _, bad := range []struct {
		t mp1.IPAddressType
		a string
	}{{mp1.IPv4, "::1"}, {mp1.IPv6, "10.0.0.1"}, {mp1.IPv6, "::ffff:10.0.0.1"}, {mp1.IPv6, "fe80::1%eth0"}} {
		assert.Error(t, d.Set(t.Context(), "a.apps.edge.example", bad.t, records(1, bad.a)), bad.a)
	}
	assert.Error(t, d.Set(t.Context(), "a.apps.edge.example", mp1.IPv4, []driver.Record{{}}))
	assert.Empty(t, p.Updates())
}

func TestARefusalIsTheReason(t *testing.T) {
	for rcode, want := range map[int]string{
		dns.RcodeRefused:       "refuses the update: REFUSED, it does not let us change this name; see its allow-update, update-policy or check-names",
		dns.RcodeNotAuth:       "refuses the update: NOTAUTH, it is not authoritative for the zone apps.edge.example., or it does not take our key",
		dns.RcodeServerFailure: "refuses the update: SERVFAIL, it failed; its log says why", dns.RcodeNotImplemented: "refuses the update: NOTIMP, it takes no dynamic updates",
		dns.RcodeFormatError: "refuses the update: FORMERR, it did not understand it", dns.RcodeNotZone: "refuses the update: NOTZONE, the name is not in its zone apps.edge.example.",
		dns.RcodeYXDomain: "refuses the update: YXDOMAIN", 14: "refuses the update: code 14",
	} {
		for _, signed := range []bool{true, false} {
			p := nameserver.Start(t)
			respond(p, func(w dns.ResponseWriter, q, r *dns.Msg) {
				if !signed {
					r = new(dns.Msg).SetReply(q)
				}
				r.Rcode = rcode
				_ = w.WriteMsg(r)
			})
			err := newDriver(t, settings(t, p)).Set(t.Context(), "a.apps.edge.example", mp1.IPv4, records(1, "10.0.0.1"))
			assert.EqualError(t, err, "the DNS server "+p.Address+" "+want)
		}
	}
}

func TestAZoneThatTheServerDoesNotHaveIsNotAuth(t *testing.T) {
	p := nameserver.Start(t)
	c := settings(t, p)
	c.Zone = "edge.example"
	assert.ErrorContains(t, newDriver(t, c).Set(t.Context(), "a.edge.example", mp1.IPv4, records(1, "10.0.0.1")), "NOTAUTH, it is not authoritative for the zone edge.example.")
}

func TestTheReasonSaysWhatIsWrongWithTheKey(t *testing.T) {
	p := nameserver.Start(t)
	p.Keys["mep384."], p.Keys["mep512."] = secret, secret
	set := func(c conf.DNSRules, now func() time.Time) error {
		d, err := New(c, now, nil)
		require.NoError(t, err)
		return d.Set(t.Context(), "a.apps.edge.example", mp1.IPv4, records(1, "10.0.0.1"))
	}
	c := settings(t, p)
	for name, algorithm := range map[string]string{"mep": "HMAC-SHA256", "MEP384.": "hmac-sha384", "mep512": "hmac-sha512"} {
		c.TSIGKeyFile = nameserver.WriteKey(t, name, algorithm, secret)
		assert.NoError(t, set(c, time.Now), name)
	}
	c.TSIGKeyFile = nameserver.WriteKey(t, "unknown", "hmac-sha256", secret)
	assert.ErrorContains(t, set(c, time.Now), "does not take our signature: BADKEY, it does not know the TSIG key unknown. with the algorithm hmac-sha256.")
	c.TSIGKeyFile = nameserver.WriteKey(t, "mep", "hmac-sha256", "b3RoZXI=")
	err := set(c, time.Now)
	assert.ErrorContains(t, err, "does not take our signature: BADSIG, its TSIG key mep. has another secret than rules.dns.tsigKeyFile")
	assert.NotContains(t, err.Error(), "b3RoZXI=")
	err = set(settings(t, p), func() time.Time { return time.Now().Add(-time.Hour) })
	assert.Regexp(t, `BADTIME, the clocks of the two machines differ: that of the DNS server is 360\d s ahead of ours`, err)
	err = set(settings(t, p), func() time.Time { return time.Now().Add(time.Hour) })
	assert.Regexp(t, `BADTIME, the clocks of the two machines differ: that of the DNS server is 3(600|59\d) s behind ours`, err)
}

func TestAnAliasIsNeverCalledServed(t *testing.T) {
	for _, ignoresPrerequisites := range []bool{false, true} {
		p := nameserver.Start(t)
		p.Have("a.apps.edge.example. 60 IN CNAME elsewhere.example.")
		if ignoresPrerequisites {
			p.Instead(func(_ dns.ResponseWriter, q *dns.Msg) bool {
				if q.Opcode == dns.OpcodeUpdate {
					q.Answer = nil
				}
				return false
			})
		}
		err := newDriver(t, settings(t, p)).Set(t.Context(), "a.apps.edge.example", mp1.IPv4, records(1, "10.0.0.1"))
		assert.EqualError(t, err, "the name is an alias (CNAME) in the zone apps.edge.example., which can have no address; remove it there")
		assert.Equal(t, []string{"a.apps.edge.example.\t60\tIN\tCNAME\telsewhere.example."}, p.Serves("a.apps.edge.example.", dns.TypeA), "it is not ours to remove")
		require.NoError(t, newDriver(t, settings(t, p)).Set(t.Context(), "a.apps.edge.example", mp1.IPv4, nil), "no address of ours is there")
	}
}

// A server that answers no questions would say success for a name that it does not serve.
func TestAnUpdateDemandsThatThereIsNoAlias(t *testing.T) {
	p := nameserver.Start(t)
	require.NoError(t, newDriver(t, settings(t, p)).Set(t.Context(), "a.apps.edge.example", mp1.IPv4, records(1, "10.0.0.1")))
	require.NoError(t, newDriver(t, settings(t, p)).Set(t.Context(), "a.apps.edge.example", mp1.IPv4, nil))
	updates := p.Updates()
	require.Len(t, updates, 2)
	require.Len(t, updates[0].Answer, 1)
	assert.Equal(t, dns.RR_Header{Name: "a.apps.edge.example.", Rrtype: dns.TypeCNAME, Class: dns.ClassNONE}, *updates[0].Answer[0].Header(), "RFC 2136 §2.4.3")
	assert.Empty(t, updates[1].Answer, "a removal demands nothing")
}

func TestAnUpdateThatIsPassedOverIsNoSuccess(t *testing.T) {
	p := nameserver.Start(t)
	p.Instead(func(_ dns.ResponseWriter, q *dns.Msg) bool { q.Ns = nil; return false })
	err := newDriver(t, settings(t, p)).Set(t.Context(), "a.apps.edge.example", mp1.IPv4, records(1, "10.0.0.1"))
	assert.EqualError(t, err, "the DNS server "+p.Address+" took the update but serves other addresses")
	respond(p, func(w dns.ResponseWriter, _, r *dns.Msg) { _ = w.WriteMsg(r) }) // as to a name below a delegation
	err = newDriver(t, settings(t, p)).Set(t.Context(), "a.apps.edge.example", mp1.IPv4, records(1, "10.0.0.1"))
	assert.ErrorContains(t, err, "took the update but leaves the name to others")
}

// Not every server answers questions of ours, and the update was confirmed.
func TestAServerThatAnswersNoQuestionsDoesNotContradict(t *testing.T) {
	for name, misbehave := range map[string]func(w dns.ResponseWriter, q *dns.Msg){
		"refuses":  func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeRefused)) },
		"unsigned": func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(new(dns.Msg).SetReply(q)) },
		"closes":   func(w dns.ResponseWriter, _ *dns.Msg) { _ = w.Close() },
		"hangs":    func(dns.ResponseWriter, *dns.Msg) {},
	} {
		t.Run(name, func(t *testing.T) {
			p := nameserver.Start(t)
			p.Instead(func(w dns.ResponseWriter, q *dns.Msg) bool {
				if q.Opcode == dns.OpcodeUpdate || q.IsTsig() == nil {
					return false
				}
				misbehave(w, q)
				return true
			})
			require.NoError(t, newDriver(t, settings(t, p)).Set(t.Context(), "a.apps.edge.example", mp1.IPv4, records(1, "10.0.0.1")))
			assert.Len(t, p.Serves("a.apps.edge.example.", dns.TypeA), 1)
		})
	}
}

func TestWithoutAKeyNothingIsSigned(t *testing.T) {
	p := nameserver.Start(t)
	c := settings(t, p)
	c.TSIGKeyFile = ""
	require.NoError(t, newDriver(t, c).Set(t.Context(), "a.apps.edge.example", mp1.IPv4, records(1, "10.0.0.1")))
	require.Len(t, p.Updates(), 1)
	assert.Nil(t, p.Updates()[0].IsTsig())
}

func TestAChangedKeyFileCountsWithoutARestart(t *testing.T) {
	p := nameserver.Start(t)
	p.Keys["new."] = "bmV3IHNlY3JldA=="
	c := settings(t, p)
	now := time.Now()
	var reports []error
	d, err := New(c, func() time.Time { return now }, func(err error) { reports = append(reports, err) })
	require.NoError(t, err)
	set := func() string {
		now = now.Add(2 * time.Second)
		require.NoError(t, d.Set(context.Background(), "a.apps.edge.example", mp1.IPv4, records(1, "10.0.0.1")))
		return p.Updates()[len(p.Updates())-1].IsTsig().Hdr.Name
	}
	assert.Equal(t, "mep.", set())
	require.NoError(t, os.WriteFile(c.TSIGKeyFile, []byte("key new { algorithm hmac-sha256; secret bmV3IHNlY3JldA==; };"), 0o600))
	assert.Equal(t, "new.", set())
	require.NoError(t, os.WriteFile(c.TSIGKeyFile, []byte("key new { algorithm hmac-md5; secret bmV3IHNlY3JldA==; };"), 0o600))
	assert.Equal(t, "new.", set(), "what cannot be used changes nothing")
	require.Len(t, reports, 2)
	require.NoError(t, reports[0])
	require.ErrorContains(t, reports[1], "must have the algorithm hmac-sha256")
	assert.NotContains(t, reports[1].Error(), "bmV3")
}
