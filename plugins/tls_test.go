package plugins

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/test/pki"
)

// secured is our HTTP server with TLS on loopback, and its clock of files.
type secured struct {
	t       *testing.T
	ca      *pki.Authority
	pair    pki.Pair
	clients string // the file of the authorities of clients
	now     atomic.Int64
	server  *tlsServer
	conns   *connections
	addr    string
	reports []error
}

func newSecured(t *testing.T, most int, handler http.HandlerFunc) *secured {
	t.Helper()
	s := &secured{t: t, ca: pki.New(t), clients: t.TempDir() + "/clients.pem"}
	s.pair = s.ca.Server("127.0.0.1")
	s.now.Store(time.Now().UnixNano())
	s.trust(s.ca)
	var err error
	s.server, err = newTLSServer(conf.Config{Server: conf.Server{TLS: conf.TLS{CertFile: s.pair.CertFile, KeyFile: s.pair.KeyFile, ClientCAFile: s.clients}}},
		func() time.Time { return time.Unix(0, s.now.Load()) }, func(_ string, err error) { s.reports = append(s.reports, err) })
	require.NoError(t, err)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = l.Addr().String()
	s.conns = newConnections(l, most, s.server.turns())
	srv := newServer(&Host{}, countStreams(s.server.endUntrusted(newBodies().Handler(handler))))
	srv.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLSConfig, srv.HTTP2, srv.ConnContext, srv.ConnState = s.server.config(), http2(), inContext, s.conns.state
	go func() { _ = s.server.serve(srv, s.conns) }()
	t.Cleanup(func() { _ = srv.Close() })
	return s
}

// trust writes the file of the authorities of clients.
func (s *secured) trust(all ...*pki.Authority) {
	s.t.Helper()
	var text []byte
	for _, a := range all {
		b, err := os.ReadFile(a.File)
		require.NoError(s.t, err)
		text = append(text, b...)
	}
	require.NoError(s.t, os.WriteFile(s.clients, text, 0o600))
}

// pass lets time pass for the files.
func (s *secured) pass(d time.Duration) { s.now.Add(int64(d)) }

func (s *secured) client(own ...tls.Certificate) *http.Client {
	t := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: s.ca.Pool, MinVersion: tls.VersionTLS12, Certificates: own}}
	s.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: time.Minute}
}

// answer is a response whose body was read.
type answer struct {
	http.Header
	ProtoMajor int
	TLS        *tls.ConnectionState
}

func (s *secured) get(c *http.Client, path string) (status int, a answer) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "https://"+s.addr+path, http.NoBody)
	require.NoError(s.t, err)
	res, err := c.Do(r)
	require.NoError(s.t, err)
	_, err = io.Copy(io.Discard, res.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, res.Body.Close())
	return res.StatusCode, answer{res.Header, res.ProtoMajor, res.TLS}
}

func whoCalls(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Resumed", map[bool]string{true: "yes", false: "no"}[r.TLS.DidResume])
	if len(r.TLS.VerifiedChains) > 0 {
		w.Header().Set("Who", r.TLS.PeerCertificates[0].Subject.CommonName)
	}
}

// A new certificate is shown to whoever connects; connections that are open stay, and one
// that cannot be used changes nothing.
func TestANewCertificateNeedsNoRestartAndEndsNoConnection(t *testing.T) {
	s := newSecured(t, 0, whoCalls)
	before := s.client()
	_, first := s.get(before, "/")
	require.Equal(t, 2, first.ProtoMajor)
	opened := s.conns.open.Load()

	next := s.ca.Server("localhost", func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
	certText, err := os.ReadFile(next.CertFile)
	require.NoError(t, err)
	keyText, err := os.ReadFile(next.KeyFile)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(s.pair.CertFile, certText, 0o600))
	s.pass(time.Second)
	_, half := s.get(s.client(), "/")
	require.Equal(t, first.TLS.PeerCertificates[0].Raw, half.TLS.PeerCertificates[0].Raw, "its key is not there yet")
	require.Equal(t, 1, s.server.unusable())
	require.NoError(t, os.WriteFile(s.pair.KeyFile, keyText, 0o600))
	s.pass(time.Second)
	_, after := s.get(s.client(), "/")
	require.Equal(t, next.TLS.Leaf.Raw, after.TLS.PeerCertificates[0].Raw)
	require.Zero(t, s.server.unusable())
	s.get(before, "/")
	require.Equal(t, opened+2, s.conns.open.Load(), "the first connection is the same")
	require.Len(t, s.reports, 2)
	require.ErrorContains(t, s.reports[0], "is not the key of the certificate")
	require.NoError(t, s.reports[1])
}

// A session is resumed as long as the authorities of clients are what they were at its begin,
// whatever becomes of the server's own certificate.
func TestSessionsDoNotOutliveTheAuthoritiesOfClients(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s := newSecured(t, 0, whoCalls)
		other := pki.New(t)
		own := other.Client("app").TLS
		s.trust(s.ca, other)
		s.pass(time.Second)
		cache := tls.NewLRUClientSessionCache(1)
		connect := func() (header http.Header, err error) {
			c := s.client()
			transport, _ := c.Transport.(*http.Transport)
			transport.TLSClientConfig.ClientSessionCache, transport.TLSClientConfig.MaxVersion = cache, version
			transport.TLSClientConfig.Certificates = []tls.Certificate{own}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.addr+"/", http.NoBody)
			require.NoError(t, err)
			res, err := c.Do(r)
			if err != nil {
				return nil, err
			}
			defer c.CloseIdleConnections()
			return res.Header, res.Body.Close()
		}
		want := func(resumed string) {
			t.Helper()
			header, err := connect()
			require.NoError(t, err)
			require.Equal(t, resumed, header.Get("Resumed"))
			require.Equal(t, "app", header.Get("Who"))
		}
		want("no")
		want("yes")
		s.pass(10 * time.Minute)
		want("yes")
		s.trust(other, s.ca) // the same authorities, and yet another file
		s.pass(time.Second)
		want("no")
		want("yes")
		s.trust(s.ca)
		s.pass(time.Second)
		_, err := connect()
		require.Error(t, err, "its authority was removed")
		s.trust(other)
		s.pass(time.Second)
		want("no")
	}
}

// Whoever keeps a connection open does not keep the identity of an authority that was taken
// out: the connection ends after its next answer. Those of others stay.
func TestAConnectionEndsWithTheAuthorityOfItsCertificate(t *testing.T) {
	for _, http1 := range []bool{true, false} {
		s := newSecured(t, 0, whoCalls)
		other := pki.New(t)
		s.trust(s.ca, other)
		s.pass(time.Second)
		opens := func(own ...tls.Certificate) (c *http.Client, opened *atomic.Int32) {
			c, opened = s.client(own...), new(atomic.Int32)
			transport, _ := c.Transport.(*http.Transport)
			transport.ForceAttemptHTTP2 = !http1
			transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				opened.Add(1)
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
			return c, opened
		}
		stays, staying := opens(s.ca.Client("stays").TLS)
		goes, going := opens(other.Client("goes").TLS)
		for range 3 {
			s.get(stays, "/")
			s.get(goes, "/")
		}
		s.trust(s.ca)
		s.pass(time.Second)
		for range 3 {
			s.get(stays, "/")
		}
		status, last := s.get(goes, "/")
		require.Equal(t, 200, status, "it is answered once more")
		require.Equal(t, "goes", last.Get("Who"))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.addr+"/", http.NoBody)
		require.NoError(t, err)
		res, err := goes.Do(r)
		if err == nil {
			_ = res.Body.Close()
		}
		require.Error(t, err, "and cannot come back")
		require.EqualValues(t, 1, staying.Load())
		require.Greater(t, going.Load(), int32(1))
	}
}

// A certificate that expires is warned of in time for it: a fifth of its life before, and at
// most two weeks.
func TestACertificateThatExpiresIsWarnedOf(t *testing.T) {
	ca := pki.New(t)
	pair := ca.Server("127.0.0.1")
	synctest.Test(t, func(t *testing.T) {
		out := &lines{}
		// the bubble's clock begins in the year 2000, before the certificate is valid
		time.Sleep(time.Until(pair.TLS.Leaf.NotBefore) + time.Minute)
		s, err := newTLSServer(conf.Config{Server: conf.Server{TLS: conf.TLS{CertFile: pair.CertFile, KeyFile: pair.KeyFile}}}, time.Now, func(string, error) {})
		require.NoError(t, err)
		go s.watch(t.Context(), NewLog(out, "INFO"))
		time.Sleep(time.Hour) // of two
		require.Empty(t, out.all())
		time.Sleep(50 * time.Minute)
		require.Equal(t, 1, strings.Count(out.all(), "expires soon"))
		require.NotContains(t, out.all(), "has expired")
		time.Sleep(150 * time.Minute)
		require.Equal(t, 3, strings.Count(out.all(), "has expired"), "every hour")
		require.Negative(t, time.Until(s.expires()))
	})
}

func TestACertificateWithoutTheAdvertisedNameIsWarnedOf(t *testing.T) {
	pair := pki.New(t).Server("127.0.0.1")
	for host, want := range map[string]int{"": 0, "127.0.0.1": 0, "127.0.0.2": 1, "mep.example": 1} {
		out := &lines{}
		(&tlsServer{advertised: host}).checkName(&pair.TLS, NewLog(out, "INFO"))
		require.Equal(t, want, strings.Count(out.all(), "does not name"), host)
	}
}

// Whatever is written is kept until all is asked for.
type lines struct {
	text atomic.Pointer[string]
}

func (l *lines) Write(p []byte) (int, error) {
	all := l.all() + string(p)
	l.text.Store(&all)
	return len(p), nil
}

func (l *lines) all() string {
	if s := l.text.Load(); s != nil {
		return *s
	}
	return ""
}

// Files can go bad between the configuration's check and the start.
func TestAServerWithoutItsFilesDoesNotStart(t *testing.T) {
	_, err := newTLSServer(conf.Config{Server: conf.Server{TLS: conf.TLS{CertFile: "/none", KeyFile: "/none", ClientCAFile: "/none"}}}, time.Now, func(string, error) {})
	require.ErrorContains(t, err, "cannot serve HTTPS")
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h := &Host{Log: NewLog(io.Discard, "INFO")}
	h.Config.Server.TLS = conf.TLS{CertFile: "/none", KeyFile: "/none"}
	require.ErrorContains(t, serve(t.Context(), l, h, nil, func(net.Addr) {}), "cannot serve HTTPS")
	_, err = l.Accept()
	require.True(t, errors.Is(err, net.ErrClosed))
}
