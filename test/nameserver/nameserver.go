// Package nameserver stands in for the primary DNS server of a zone, over real sockets: it checks
// TSIG (RFC 8945), applies dynamic updates as a whole (RFC 2136 §3) and answers questions. It must
// not know who sends updates.
package nameserver

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
)

// What a server has, and a key of it as BIND's key files write it.
const (
	Zone      = "apps.edge.example."
	Key       = "mep."
	Algorithm = "hmac-sha256"
	Secret    = "c2VjcmV0IG9mIGEgdGVzdCB3aXRoIDMyIGJ5dGVzIQ=="
	Fudge     = 300 // seconds by which clocks may differ
)

// The types of records, and the refusal of a server.
const (
	A       = dns.TypeA
	AAAA    = dns.TypeAAAA
	Refused = dns.RcodeRefused
)

// Server is the primary server of Zone.
type Server struct {
	Address string            // host:port
	Keys    map[string]string // secrets by canonical name; to be changed before the first message

	t       testing.TB
	network string // tcp or udp
	mu      sync.Mutex
	records map[string]map[uint16][]dns.RR // by name and type
	updates []*dns.Msg
	instead func(w dns.ResponseWriter, q *dns.Msg) bool
}

// Start starts a server by TCP, which ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return start(t, l.Addr(), &dns.Server{Listener: l})
}

// StartUDP starts a server that takes UDP alone.
func StartUDP(t testing.TB) *Server {
	t.Helper()
	c, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	return start(t, c.LocalAddr(), &dns.Server{PacketConn: c})
}

func start(t testing.TB, at net.Addr, server *dns.Server) *Server {
	t.Helper()
	s := &Server{t: t, Address: at.String(), network: at.Network(), Keys: map[string]string{Key: Secret}, records: map[string]map[uint16][]dns.RR{}}
	started := make(chan struct{})
	server.Handler, server.TsigSecret, server.NotifyStartedFunc = s, s.Keys, func() { close(started) }
	server.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept } // the default refuses updates
	server.UDPSize = dns.MaxMsgSize
	go func() { _ = server.ActivateAndServe() }() // ends with an error when it is shut down
	<-started
	t.Cleanup(func() { _ = server.Shutdown() })
	return s
}

// Instead has f called with each message; it may change it, or answer in place of the server and
// return true. Requests wait while f runs.
func (s *Server) Instead(f func(w dns.ResponseWriter, q *dns.Msg) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instead = f
}

// Refuse has updates answered by a code; 0: carried out again.
func (s *Server) Refuse(rcode int) {
	s.Instead(func(w dns.ResponseWriter, q *dns.Msg) bool {
		if rcode == dns.RcodeSuccess || q.Opcode != dns.OpcodeUpdate {
			return false
		}
		r := new(dns.Msg).SetReply(q)
		s.Sign(w, q, r)
		r.Rcode = rcode
		return w.WriteMsg(r) == nil
	})
}

// Updates are the updates that came.
func (s *Server) Updates() []*dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*dns.Msg{}, s.updates...)
}

// Have adds a record, written as in a zone's file, that somebody else made.
func (s *Server) Have(record string) {
	rr, err := dns.NewRR(record)
	require.NoError(s.t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(rr)
}

// Serves are the records of a name and a type (A) as a resolver gets them, each as in a
// zone's file.
func (s *Server) Serves(name string, kind uint16) (out []string) {
	s.t.Helper()
	r, _, err := (&dns.Client{Net: s.network}).Exchange(new(dns.Msg).SetQuestion(dns.CanonicalName(name), kind), s.Address)
	require.NoError(s.t, err)
	for _, rr := range r.Answer {
		out = append(out, rr.String())
	}
	return out
}

// WriteKey writes a key file as tsig-keygen does, and returns its path.
func WriteKey(t testing.TB, name, algorithm, secret string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tsig.key")
	require.NoError(t, os.WriteFile(file, []byte("key \""+name+"\" {\n\talgorithm "+algorithm+";\n\tsecret \""+secret+"\";\n};\n"), 0o600))
	return file
}

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.Opcode == dns.OpcodeUpdate {
		s.updates = append(s.updates, q)
	}
	if s.instead != nil && s.instead(w, q) {
		return
	}
	r := new(dns.Msg).SetReply(q)
	switch code := s.Sign(w, q, r); {
	case code != dns.RcodeSuccess:
		r.Rcode = dns.RcodeNotAuth
	case q.Opcode == dns.OpcodeUpdate:
		r.Rcode = s.update(q)
	default:
		s.answer(q.Question[0], r)
	}
	_ = w.WriteMsg(r) // signs it, but for what RFC 8945 §5.2 has unsigned
}

// Sign checks the signature of a message, if it has one, and has that of the answer made with it.
// It returns what is wrong with it, or dns.RcodeSuccess.
func (s *Server) Sign(w dns.ResponseWriter, q, r *dns.Msg) (code uint16) {
	t := q.IsTsig()
	if t == nil {
		return dns.RcodeSuccess
	}
	r.SetTsig(t.Hdr.Name, t.Algorithm, Fudge, time.Now().Unix())
	reply := r.IsTsig()
	switch err := w.TsigStatus(); {
	case err == nil:
		return dns.RcodeSuccess
	case errors.Is(err, dns.ErrSecret):
		code = dns.RcodeBadKey
	case errors.Is(err, dns.ErrTime):
		code = dns.RcodeBadTime
		now := binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix())) //nolint:gosec // it is after 1970
		reply.TimeSigned, reply.OtherLen, reply.OtherData = t.TimeSigned, 6, hex.EncodeToString(now[2:])
	default:
		code = dns.RcodeBadSig
	}
	reply.Error = code
	return code
}

// update applies an update if its prerequisites hold.
func (s *Server) update(q *dns.Msg) (rcode int) {
	if q.Question[0].Name != Zone || q.Question[0].Qtype != dns.TypeSOA {
		return dns.RcodeNotAuth
	}
	for _, rr := range q.Answer { // those of RFC 2136 §2.4.3 alone
		if h := rr.Header(); h.Class == dns.ClassNONE && len(s.records[h.Name][h.Rrtype]) > 0 {
			return dns.RcodeYXRrset
		}
	}
	for _, rr := range q.Ns {
		if !dns.IsSubDomain(Zone, rr.Header().Name) {
			return dns.RcodeNotZone
		}
	}
	for _, rr := range q.Ns {
		switch h := rr.Header(); {
		case h.Class == dns.ClassANY:
			delete(s.records[h.Name], h.Rrtype)
		case len(s.records[h.Name][dns.TypeCNAME]) > 0: // §3.4.2.2: passed over
		default:
			s.add(rr)
		}
	}
	return dns.RcodeSuccess
}

func (s *Server) add(rr dns.RR) {
	h := rr.Header()
	if s.records[h.Name] == nil {
		s.records[h.Name] = map[uint16][]dns.RR{}
	}
	s.records[h.Name][h.Rrtype] = append(s.records[h.Name][h.Rrtype], rr)
}

func (s *Server) answer(q dns.Question, r *dns.Msg) {
	r.Authoritative = true
	has, exists := s.records[q.Name]
	if !exists {
		r.Rcode = dns.RcodeNameError
		return
	}
	if r.Answer = has[q.Qtype]; len(r.Answer) == 0 {
		r.Answer = has[dns.TypeCNAME]
	}
}
