package rfc2136

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/nameserver"
)

func TestAnAnswerThatCannotBeBelievedIsNoSuccess(t *testing.T) {
	const (
		notSigned = "it is not signed with our TSIG key"
		other     = "it is none to what was asked"
		signature = "its TSIG signature is not that of our key"
	)
	type answer func(w dns.ResponseWriter, q, r *dns.Msg)
	changed := func(change func(r *dns.Msg)) answer { // before it is signed
		return func(w dns.ResponseWriter, _, r *dns.Msg) { change(r); _ = w.WriteMsg(r) }
	}
	// signedBy signs the answer r by a secret, for a question with a MAC ("": the one that came).
	signedBy := func(secret, mac string, change func(r *dns.Msg)) answer {
		return func(w dns.ResponseWriter, q, r *dns.Msg) {
			if mac == "" {
				mac = q.IsTsig().MAC
			}
			change(r)
			out, _, err := dns.TsigGenerate(r, secret, mac, false)
			assert.NoError(t, err)
			_, _ = w.Write(out)
		}
	}
	for name, tt := range map[string]struct {
		answer answer
		want   string
	}{
		"not signed": {func(w dns.ResponseWriter, q, _ *dns.Msg) { _ = w.WriteMsg(new(dns.Msg).SetReply(q)) }, notSigned},
		"not signed, no name": {func(w dns.ResponseWriter, q, _ *dns.Msg) {
			_ = w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeNameError))
		}, notSigned},
		"another id":           {changed(func(r *dns.Msg) { r.IsTsig().OrigId++ }), other},
		"a question":           {changed(func(r *dns.Msg) { r.Response = false }), other},
		"another operation":    {changed(func(r *dns.Msg) { r.Opcode = dns.OpcodeQuery }), other},
		"another zone":         {changed(func(r *dns.Msg) { r.Question[0].Name = "example." }), other},
		"two zones":            {changed(func(r *dns.Msg) { r.Question = append(r.Question, r.Question[0]) }), other},
		"refusal of another":   {changed(func(r *dns.Msg) { r.Rcode = dns.RcodeRefused; r.IsTsig().OrigId++ }), other},
		"truncated":            {changed(func(r *dns.Msg) { r.Truncated = true }), "it is truncated"},
		"of another question":  {signedBy(secret, "00ff", func(*dns.Msg) {}), signature},
		"of another secret":    {signedBy("b3RoZXI=", "", func(*dns.Msg) {}), signature},
		"of another algorithm": {signedBy(secret, "", func(r *dns.Msg) { r.IsTsig().Algorithm = dns.HmacSHA1 }), signature},
		"of another key":       {signedBy(secret, "", func(r *dns.Msg) { r.IsTsig().Hdr.Name = "other." }), signature},
		"of long ago": {signedBy(secret, "", func(r *dns.Msg) { r.IsTsig().TimeSigned -= 1000 }),
			"it was signed too long ago, or the clocks of the two machines differ by more than 300 s"},
		"without a MAC": {func(w dns.ResponseWriter, _, r *dns.Msg) {
			packed, err := r.Pack()
			assert.NoError(t, err)
			_, _ = w.Write(packed)
		}, signature},
	} {
		t.Run(name, func(t *testing.T) {
			p := nameserver.Start(t)
			respond(p, tt.answer)
			err := newDriver(t, settings(t, p)).Set(t.Context(), "a.apps.edge.example", mp1.IPv4, records(1, "10.0.0.1"))
			assert.EqualError(t, err, "the answer of the DNS server "+p.Address+" is not believed: "+tt.want)
		})
	}
}

func TestAnAnswerThatNobodyAskedToSignIsNotBelieved(t *testing.T) {
	p := nameserver.Start(t)
	respond(p, func(w dns.ResponseWriter, _, r *dns.Msg) {
		r.SetTsig(nameserver.Key, dns.HmacSHA256, nameserver.Fudge, time.Now().Unix())
		out, _, err := dns.TsigGenerate(r, secret, "", false)
		assert.NoError(t, err)
		_, _ = w.Write(out)
	})
	c := settings(t, p)
	c.TSIGKeyFile = ""
	assert.ErrorContains(t, newDriver(t, c).Set(t.Context(), "a.apps.edge.example", mp1.IPv4, records(1, "10.0.0.1")), "is not believed")
}

// Whoever can send datagrams in the server's name must neither be believed nor keep the server's
// own answer away.
func TestDatagramsOfOthersAreWaitedOut(t *testing.T) {
	p := nameserver.StartUDP(t)
	p.Instead(func(w dns.ResponseWriter, q *dns.Msg) bool {
		forged := new(dns.Msg).SetReply(q)
		_ = w.WriteMsg(forged) // unsigned
		_, _ = w.Write([]byte("x"))
		_, _ = w.Write([]byte(strings.Repeat("x", 100)))
		forged.Id++
		_ = w.WriteMsg(forged)
		return false
	})
	require.NoError(t, newDriver(t, settings(t, p)).Set(t.Context(), "a.apps.edge.example", mp1.IPv4, records(1, "10.0.0.1")))
	p.Instead(func(w dns.ResponseWriter, q *dns.Msg) bool { return w.WriteMsg(new(dns.Msg).SetReply(q)) == nil })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.EqualError(t, newDriver(t, settings(t, p)).Set(ctx, "a.apps.edge.example", mp1.IPv4, nil), "the DNS server "+p.Address+" does not answer: it took too long")
}

// talker is a server that answers the first message of each connection by bytes.
func talker(t testing.TB, talk func(conn net.Conn, question []byte)) conf.DNSRules {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				var size [2]byte
				if _, err := io.ReadFull(conn, size[:]); err != nil {
					return
				}
				question := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(conn, question); err == nil {
					talk(conn, question)
				}
			}()
		}
	}()
	return conf.DNSRules{Driver: conf.DNSUpdate, Server: l.Addr().String(), Zone: "apps.edge.example"}
}

func TestBytesThatAreNoAnswerAreNoSuccess(t *testing.T) {
	const closed = "does not answer: it closed the connection"
	reply := func(question []byte, flags ...byte) []byte { // of an update, with RCODE 0
		return append(append([]byte{}, question[:2]...), flags...)
	}
	for name, tt := range map[string]struct {
		answer func(question []byte) []byte // with its length
		want   string
	}{
		"nothing":        {func([]byte) []byte { return nil }, closed},
		"half a length":  {func([]byte) []byte { return []byte{0} }, closed},
		"half an answer": {func(q []byte) []byte { return append([]byte{0, 100}, reply(q, 0xa8, 0)...) }, closed},
		"length zero":    {func([]byte) []byte { return []byte{0, 0} }, "does not answer: dns: short read"},
		"half a header":  {func(q []byte) []byte { return append([]byte{0, 4}, reply(q, 0xa8, 0)...) }, "does not answer: dns: short read"},
		"counts that lie": {func(q []byte) []byte {
			return append([]byte{0, 13}, reply(q, 0xa8, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0)...)
		}, "it is malformed"},
		"a name that points to itself": {func(q []byte) []byte {
			return append([]byte{0, 18}, reply(q, 0xa8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 6, 0, 1)...)
		}, "it is malformed"},
		"HTTP": {func([]byte) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") }, closed}, // its length is 18516
	} {
		c := talker(t, func(conn net.Conn, question []byte) { _, _ = conn.Write(tt.answer(question)) })
		d, err := New(c, time.Now, nil)
		require.NoError(t, err)
		assert.ErrorContains(t, d.Set(t.Context(), "a.apps.edge.example", mp1.IPv4, records(1, "10.0.0.1")), tt.want, name)
	}
}

func TestASetEndsWithItsContext(t *testing.T) {
	asked := make(chan struct{}, 9)
	c := talker(t, func(conn net.Conn, _ []byte) { asked <- struct{}{}; _, _ = conn.Read(make([]byte, 1)) }) // until we close
	d, err := New(c, time.Now, nil)
	require.NoError(t, err)
	set := func(ctx context.Context) error {
		return d.Set(ctx, "a.apps.edge.example", mp1.IPv4, records(1, "10.0.0.1"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	require.ErrorIs(t, set(ctx), context.Canceled)
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.EqualError(t, set(ctx), "the DNS server "+c.Server+" does not answer: it took too long")
}

func TestAServerThatIsNotThereIsSaid(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	d, err := New(conf.DNSRules{Server: l.Addr().String(), Zone: "example"}, time.Now, nil)
	require.NoError(t, err)
	require.EqualError(t, d.Set(t.Context(), "a.example", mp1.IPv4, records(1, "10.0.0.1")),
		fmt.Sprintf("the DNS server %s does not answer: read: connection refused", l.Addr()))
}

func FuzzAnswer(f *testing.F) {
	s := &session{Driver: &Driver{server: "127.0.0.1:53", zone: zone}}
	want := rrset{name: "a." + zone, kind: dns.TypeA}
	for _, m := range []*dns.Msg{want.question(), want.update(zone)} {
		m.Id = 1
		packed, err := new(dns.Msg).SetReply(m).Pack()
		require.NoError(f, err)
		f.Add(packed)
	}
	alias, err := dns.NewRR("a." + zone + " 60 IN CNAME b.")
	require.NoError(f, err)
	m := want.question()
	m.Id = 1
	r := new(dns.Msg).SetReply(m)
	r.Answer = []dns.RR{alias, &dns.A{Hdr: dns.RR_Header{Name: want.name, Rrtype: dns.TypeA, Class: dns.ClassINET}}}
	packed, err := r.Pack()
	require.NoError(f, err)
	f.Add(packed)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := new(dns.Msg)
		read := r.Unpack(data)
		for _, m := range []*dns.Msg{want.question(), want.update(zone)} {
			m.Id = 1
			if s.judge(m, r, read) != nil {
				continue
			}
			want.served(r)
			if r.Rcode == dns.RcodeSuccess && (r.Id != 1 || !r.Response || read != nil) {
				t.Fatalf("a success that is none: %v", r)
			}
			if r.Rcode != dns.RcodeSuccess {
				require.NotContains(t, s.refused(r).Error(), "\n")
			}
		}
	})
}
