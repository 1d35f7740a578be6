package rfc2136

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/mec-liveness/mepserver/plugins/appsupport/rules/driver"
)

// fudge is by how many seconds the clocks may differ (RFC 8945 §10).
const fudge = 300

const (
	// maxDatagram is what passes every network in one piece (RFC 9715).
	maxDatagram = 1232
	// datagramTimeout is how long an answer by UDP is waited for: it may be lost.
	datagramTimeout = 3 * time.Second
)

// session is one connection to the server. It is TCP, as each server has it (RFC 7766); UDP only
// where nobody listens there.
type session struct {
	*Driver
	conn      net.Conn
	key       *key // nil: nothing is signed
	datagrams bool // by UDP
}

func (d *Driver) connect(ctx context.Context) (*session, error) {
	s := &session{Driver: d}
	var err error
	if s.conn, err = new(net.Dialer).DialContext(ctx, "tcp", d.server); errors.Is(err, syscall.ECONNREFUSED) {
		s.datagrams = true
		s.conn, err = new(net.Dialer).DialContext(ctx, "udp", d.server)
	}
	if err != nil {
		return nil, fmt.Errorf("the DNS server %s cannot be reached: %w", d.server, driver.Cause(ctx, err))
	}
	if d.key != nil {
		s.key = d.key.Current()
	}
	return s, nil
}

// close ends the connection; everything was read that counts.
func (s *session) close() { _ = s.conn.Close() }

// exchange sends a message and returns the answer to it, which is signed if the message is; or
// why there is none that can be believed. When ctx ends, so does the connection.
func (s *session) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	if s.datagrams {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, datagramTimeout)
		defer cancel()
	}
	stop := context.AfterFunc(ctx, s.close)
	defer stop()
	// A dns.Conn of its own, for it puts what it signed before into the next signature.
	c := &dns.Conn{Conn: s.conn, UDPSize: maxDatagram}
	if s.key != nil {
		c.TsigProvider = s.key
		m.SetTsig(s.key.name, s.key.algorithm, fudge, s.now().Unix())
	}
	if s.datagrams && m.Len() > maxDatagram {
		return nil, fmt.Errorf("the DNS server %s takes no TCP, and there are too many addresses for UDP", s.server)
	}
	if err := c.WriteMsg(m); err != nil {
		return nil, fmt.Errorf("the DNS server %s takes no message: %w", s.server, driver.Cause(ctx, err))
	}
	for {
		r, err := c.ReadMsg()
		if r == nil && !(s.datagrams && errors.Is(err, dns.ErrShortRead)) {
			return nil, fmt.Errorf("the DNS server %s does not answer: %w", s.server, driver.Cause(ctx, err))
		}
		wrong := errMalformed
		if r != nil {
			wrong = s.judge(m, r, err)
		}
		switch {
		case wrong == nil:
			return r, nil
		case !s.datagrams: // there, what others send in the server's name must not keep its answer away
			return nil, fmt.Errorf("the answer of the DNS server %s is not believed: %w", s.server, wrong)
		}
	}
}

// Why an answer is not believed.
var (
	errMalformed = errors.New("it is malformed")
	errOther     = errors.New("it is none to what was asked")
	errCut       = errors.New("it is truncated")
	errNotSigned = errors.New("it is not signed with our TSIG key")
	errSignature = errors.New("its TSIG signature is not that of our key")
	errTime      = errors.New("it was signed too long ago, or the clocks of the two machines differ by more than 300 s")
)

// judge says why the answer r to m is not to be believed. read is the error with which it was
// read: miekg/dns verifies the signature of what has one, and lets pass what has none. A refusal
// needs none: a server that lacks our key cannot sign, miekg/dns takes no NOTAUTH for signed, and
// whoever can send us a refusal could as well have kept the message from the server.
func (s *session) judge(m, r *dns.Msg, read error) error {
	tsig := r.IsTsig()
	switch {
	case r.Id != m.Id || !r.Response || r.Opcode != m.Opcode:
		return errOther
	case read != nil && tsig == nil:
		return errMalformed
	case len(r.Question) > 1, len(r.Question) == 1 && !sameQuestion(r.Question[0], m.Question[0]): // none: RFC 2136 §3.8
		return errOther
	case r.Rcode != dns.RcodeSuccess && r.Rcode != dns.RcodeNameError:
		return nil
	case tsig == nil && s.key != nil:
		return errNotSigned
	case errors.Is(read, dns.ErrTime):
		return errTime
	case read != nil:
		return errSignature
	case r.Truncated:
		return errCut
	}
	return nil
}

func sameQuestion(a, b dns.Question) bool {
	return a.Qtype == b.Qtype && a.Qclass == b.Qclass && dns.CanonicalName(a.Name) == dns.CanonicalName(b.Name)
}

// contradicted asks the server what it serves, and returns why it is not what is wanted. Only an
// answer that can be believed contradicts the success of the update: some servers answer no
// questions of ours, do not sign such answers, or take one message on each connection.
func (s *session) contradicted(ctx context.Context, want rrset) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	r, err := s.exchange(ctx, want.question())
	if err != nil || r.Rcode != dns.RcodeSuccess && r.Rcode != dns.RcodeNameError {
		return nil //nolint:nilerr // see above
	}
	switch addresses, alias := want.served(r); {
	case alias:
		return s.alias()
	case slices.Equal(addresses, want.addresses):
		return nil
	case !r.Authoritative:
		return fmt.Errorf("the DNS server %s took the update but leaves the name to others: a zone of its own below %s has it, or this is not the primary server", s.server, s.zone)
	}
	return fmt.Errorf("the DNS server %s took the update but serves other addresses", s.server)
}
