package rfc2136

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
)

const (
	zone   = "apps.edge.example."
	secret = "c2VjcmV0IG9mIGEgdGVzdCB3aXRoIDMyIGJ5dGVzIQ=="
)

// primary is the primary server of a zone, over a real socket: it checks TSIG, applies updates
// as a whole (RFC 2136 §3) and answers questions.
type primary struct {
	t       testing.TB
	address string
	keys    map[string]string

	mu      sync.Mutex
	records map[string]map[uint16][]dns.RR // by name and type
	updates []*dns.Msg                     // that came
	// misbehave may answer in place of the server, and says whether it did.
	misbehave func(w dns.ResponseWriter, q *dns.Msg) bool
}

func newPrimary(t testing.TB) *primary {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &primary{t: t, address: l.Addr().String(), keys: map[string]string{"mep.": secret}, records: map[string]map[uint16][]dns.RR{}}
	started := make(chan struct{})
	s := &dns.Server{Listener: l, Handler: p, TsigSecret: p.keys, NotifyStartedFunc: func() { close(started) },
		MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }} // the default refuses updates
	go func() { _ = s.ActivateAndServe() }() // ends with an error when it is shut down
	<-started
	t.Cleanup(func() { _ = s.Shutdown() })
	return p
}

// ServeDNS implements dns.Handler.
func (p *primary) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q.Opcode == dns.OpcodeUpdate {
		p.updates = append(p.updates, q)
	}
	if p.misbehave != nil && p.misbehave(w, q) {
		return
	}
	r := new(dns.Msg).SetReply(q)
	if code := p.signed(w, q, r); code != dns.RcodeSuccess {
		r.Rcode = dns.RcodeNotAuth
		if code != dns.RcodeBadTime {
			p.raw(w, r) // RFC 8945 §5.2: it cannot be signed
			return
		}
	} else if q.Opcode == dns.OpcodeUpdate {
		r.Rcode = p.update(q)
	} else {
		p.answer(q.Question[0], r)
	}
	_ = w.WriteMsg(r)
}

// signed checks the signature of a message, and prepares that of the answer.
func (p *primary) signed(w dns.ResponseWriter, q, r *dns.Msg) (code uint16) {
	t := q.IsTsig()
	if t == nil {
		return dns.RcodeSuccess
	}
	r.SetTsig(t.Hdr.Name, t.Algorithm, fudge, time.Now().Unix())
	reply := r.IsTsig()
	switch err := w.TsigStatus(); {
	case err == nil:
		return dns.RcodeSuccess
	case errors.Is(err, dns.ErrSecret):
		code = dns.RcodeBadKey
	case errors.Is(err, dns.ErrTime):
		code = dns.RcodeBadTime
		var now [8]byte
		binary.BigEndian.PutUint64(now[:], uint64(time.Now().Unix())) //nolint:gosec // it is after 1970
		reply.TimeSigned, reply.OtherLen, reply.OtherData = t.TimeSigned, 6, hex.EncodeToString(now[2:])
	default:
		code = dns.RcodeBadSig
	}
	reply.Error = code
	return code
}

// raw writes a message as it is, without signing it.
func (p *primary) raw(w dns.ResponseWriter, r *dns.Msg) {
	packed, err := r.Pack()
	require.NoError(p.t, err)
	_, _ = w.Write(packed)
}

// update applies an update if its prerequisites hold (RFC 2136 §3).
func (p *primary) update(q *dns.Msg) (rcode int) {
	if q.Question[0].Name != zone || q.Question[0].Qtype != dns.TypeSOA {
		return dns.RcodeNotAuth
	}
	for _, rr := range q.Answer { // prerequisites; ours are of one kind
		h := rr.Header()
		if h.Class == dns.ClassNONE && len(p.records[h.Name][h.Rrtype]) > 0 {
			return dns.RcodeYXRrset
		}
	}
	for _, rr := range q.Ns {
		if !dns.IsSubDomain(zone, rr.Header().Name) {
			return dns.RcodeNotZone
		}
	}
	for _, rr := range q.Ns {
		h := rr.Header()
		switch {
		case h.Class == dns.ClassANY:
			delete(p.records[h.Name], h.Rrtype)
		case len(p.records[h.Name][dns.TypeCNAME]) > 0: // §3.4.2.2: passed over
		default:
			p.add(rr)
		}
	}
	return dns.RcodeSuccess
}

func (p *primary) add(rr dns.RR) {
	h := rr.Header()
	if p.records[h.Name] == nil {
		p.records[h.Name] = map[uint16][]dns.RR{}
	}
	p.records[h.Name][h.Rrtype] = append(p.records[h.Name][h.Rrtype], rr)
}

// answer answers a question.
func (p *primary) answer(q dns.Question, r *dns.Msg) {
	r.Authoritative = true
	has, exists := p.records[q.Name]
	if !exists {
		r.Rcode = dns.RcodeNameError
		return
	}
	if r.Answer = has[q.Qtype]; len(r.Answer) == 0 {
		r.Answer = has[dns.TypeCNAME]
	}
}

// have adds a record that somebody else made.
func (p *primary) have(text string) {
	rr, err := dns.NewRR(text)
	require.NoError(p.t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(rr)
}

// serves are the records of a name, as they stand in a zone's file, by its own client.
func (p *primary) serves(name string, kind uint16) (out []string) {
	p.t.Helper()
	m := new(dns.Msg).SetQuestion(name, kind)
	r, _, err := (&dns.Client{Net: "tcp"}).Exchange(m, p.address)
	require.NoError(p.t, err)
	for _, rr := range r.Answer {
		out = append(out, rr.String())
	}
	return out
}

// settings are those of a driver for the server, with the key that the server has.
func (p *primary) settings() conf.DNSRules {
	return conf.DNSRules{Driver: conf.DNSUpdate, Server: p.address, Zone: "apps.edge.example", TSIGKeyFile: writeKey(p.t, "mep", "hmac-sha256", secret)}
}

func (p *primary) driver(c conf.DNSRules) *Driver {
	p.t.Helper()
	d, err := New(c, time.Now, nil)
	require.NoError(p.t, err)
	return d
}

func writeKey(t testing.TB, name, algorithm, secret string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tsig.key")
	require.NoError(t, os.WriteFile(file, []byte(`key "`+name+`" { algorithm `+algorithm+`; secret "`+secret+`"; };`+"\n"), 0o600))
	return file
}
