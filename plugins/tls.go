package plugins

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins/certs"
)

// tlsServer is our side of TLS: 1.2 and 1.3 with Go's own suites, HTTP/2 and HTTP/1.1 (MEC 009
// v3.1.1 §6.3.2). A client certificate is asked for if there are authorities, and never
// demanded: GET /health and those who have tokens need none.
type tlsServer struct {
	pair       *certs.Kept[*tls.Certificate]
	clients    *certs.Kept[*x509.CertPool] // nil: no certificate is asked for
	handshakes *handshakes
	base       *tls.Config // makes session tickets; it is not served
	advertised string      // host of server.advertise; "": none

	mu      sync.Mutex
	current generation
}

// generation is the configuration for one state of the files.
type generation struct {
	pair    *tls.Certificate
	clients *x509.CertPool
	tag     []byte // of the tickets of clients
	config  *tls.Config
}

// newTLSServer reads the files. report is called when one of them is read anew, with what the
// files are and why they cannot be used, if so.
func newTLSServer(config conf.Config, now func() time.Time, report func(what string, err error)) (*tlsServer, error) {
	s := &tlsServer{handshakes: newHandshakes(config.Limits.HandshakesPerSecond), base: &tls.Config{MinVersion: tls.VersionTLS12}}
	var err, clientsErr error
	c := config.Server.TLS
	s.pair, err = certs.Keep(serverPair(config), now, func(err error) { report(whatServer, err) })
	if c.ClientCAFile != "" {
		s.clients, clientsErr = certs.Keep(certs.Pool{File: c.ClientCAFile}, now, func(err error) { report(whatClients, err) })
	}
	if err = errors.Join(err, clientsErr); err != nil {
		return nil, fmt.Errorf("cannot serve HTTPS: %w", err)
	}
	return s, nil
}

// What the files are, for logs and metrics.
const (
	whatServer  = "server"
	whatClients = "client authorities"
)

// config is what the HTTP server serves with.
func (s *tlsServer) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetConfigForClient: s.forClient}
}

// forClient is the configuration for one handshake, of the files as they are now.
func (s *tlsServer) forClient(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	c, ok := hello.Conn.(*tlsConnection)
	if ok {
		if err := c.takeTurn(hello.Context()); err != nil {
			return nil, err
		}
	}
	config := s.now()
	if ok {
		c.trusted.Store(config.ClientCAs)
	}
	return config, nil
}

func (s *tlsServer) now() *tls.Config {
	pair := s.pair.Current()
	var clients *x509.CertPool
	if s.clients != nil {
		clients = s.clients.Current()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.pair != pair || s.current.clients != clients {
		s.current = s.next(pair, clients)
	}
	return s.current.config
}

// next is the configuration for other files; s.mu is held.
func (s *tlsServer) next(pair *tls.Certificate, clients *x509.CertPool) generation {
	g := generation{pair: pair, clients: clients, tag: s.current.tag}
	g.config = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{*pair}}
	if clients == nil {
		return g
	}
	if clients != s.current.clients {
		g.tag = make([]byte, 16)
		_, _ = rand.Read(g.tag) // it never fails
	}
	g.config.ClientCAs, g.config.ClientAuth = clients, tls.VerifyClientCertIfGiven
	g.config.WrapSession, g.config.UnwrapSession = s.tickets(g.tag)
	return g
}

// tickets bind a session to the authorities of clients at its begin. Otherwise it could be
// resumed, and its certificate taken as verified, for days after its authority was removed.
func (s *tlsServer) tickets(tag []byte) (wrap func(tls.ConnectionState, *tls.SessionState) ([]byte, error),
	unwrap func([]byte, tls.ConnectionState) (*tls.SessionState, error)) {
	wrap = func(is tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		session.Extra = append(session.Extra, tag)
		return s.base.EncryptTicket(is, session)
	}
	unwrap = func(ticket []byte, is tls.ConnectionState) (*tls.SessionState, error) {
		session, err := s.base.DecryptTicket(ticket, is)
		if err != nil || session == nil || !slices.ContainsFunc(session.Extra, func(b []byte) bool { return bytes.Equal(b, tag) }) {
			return nil, nil //nolint:nilnil,nilerr // no session: the handshake is a full one
		}
		return session, nil
	}
	return wrap, unwrap
}

// endUntrusted is next, after which a connection ends whose client certificate is of an
// authority that was taken out. Otherwise whoever keeps a connection open would keep his
// identity. The request itself is served: a client that has a new certificate by now finds
// out in this way, and loses no heartbeat.
func (s *tlsServer) endUntrusted(next http.Handler) http.Handler {
	if s.clients == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.trustsRequest(r) {
			w.Header().Set("Connection", "close") // over HTTP/2 it is a GOAWAY
		}
		next.ServeHTTP(w, r)
	})
}

// trustsRequest says whether the authorities of now sign the certificate that came with a
// request, if one did.
func (s *tlsServer) trustsRequest(r *http.Request) bool {
	return r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || s.trusts(connectionOf(r), r.TLS.PeerCertificates)
}

// trusts says whether the authorities of now sign a certificate; once for each state of their
// file.
func (s *tlsServer) trusts(c *connection, chain []*x509.Certificate) bool {
	clients := s.clients.Current()
	if c == nil || c.trusted.Load() == clients {
		return true
	}
	between := x509.NewCertPool()
	for _, one := range chain[1:] {
		between.AddCert(one)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: clients, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return false
	}
	c.trusted.Store(clients)
	return true
}

// expires is when the server's certificate does. Those between it and its authority are not
// looked at: chains with an old one that clients need no more are usual.
func (s *tlsServer) expires() time.Time { return s.pair.Current().Leaf.NotAfter }

// secureServer gives the HTTP server TLS, if it is configured; nil: it is not. What it does in
// the background begins with the other tasks.
func secureServer(h *Host, srv *http.Server) (*tlsServer, error) {
	if !h.Config.Server.TLS.On() {
		return nil, nil //nolint:nilnil // there is none
	}
	s, err := newTLSServer(h.Config, time.Now, reportTo(h.Log))
	if err != nil {
		return nil, err
	}
	s.advertised, _, _ = net.SplitHostPort(h.Config.Server.Advertise) // which conf checked, or ""
	srv.TLSConfig, srv.HTTP2, srv.ConnContext = s.config(), http2(), inContext
	srv.Handler = countStreams(s.endUntrusted(srv.Handler))
	if s.clients != nil {
		h.Trusts = s.trustsRequest
	}
	h.Go(func(ctx context.Context) { s.watch(ctx, h.Log) })
	return s, nil
}

// turns bounds the handshakes; nil: there are none.
func (s *tlsServer) turns() *handshakes {
	if s == nil {
		return nil
	}
	return s.handshakes
}

// serve serves until the listener is closed.
func (s *tlsServer) serve(srv *http.Server, l net.Listener) error {
	if s == nil {
		return srv.Serve(l)
	}
	return srv.ServeTLS(l, "", "")
}

// register adds the metrics; the returned function takes them away.
func (s *tlsServer) register() func(context.Context) error {
	var cs Collectors
	if s == nil {
		return cs.Unregister
	}
	cs.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_tls_certificate_seconds_left",
		Help: "Until the server's certificate expires; below 0: it has."},
		func() float64 { return time.Until(s.expires()).Seconds() }))
	cs.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_tls_files_unusable",
		Help: "Files of TLS that changed and cannot be used, so that what they held before is."}, func() float64 { return float64(s.unusable()) }))
	cs.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_tls_handshakes_waiting",
		Help: "Handshakes that wait because as many are computed as half of the processors can."}, func() float64 { return float64(s.handshakes.waits()) }))
	cs.Add(s.handshakes.held)
	cs.Add(s.handshakes.refused)
	return cs.Unregister
}

func (s *tlsServer) unusable() (n int) {
	if s.pair.Failing() {
		n++
	}
	if s.clients != nil && s.clients.Failing() {
		n++
	}
	return n
}
