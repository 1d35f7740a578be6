package security

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/pki"
	"github.com/mec-liveness/mepserver/test/proc"
)

// probe is one handshake.
func probe(s *mep.Secured, change func(*tls.Config)) (tls.ConnectionState, error) {
	c := &tls.Config{RootCAs: s.CA.Pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS13}
	change(c)
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Minute}, "tcp", s.Listen, c)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err = io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err == nil && conn.ConnectionState().NegotiatedProtocol != "h2" {
		_, err = io.ReadAll(conn) // in TLS 1.3 a refused certificate is seen here
	}
	return conn.ConnectionState(), err
}

// MEC 009 v3.1.1 §6.3.2: TLS 1.2 and 1.3, nothing below, and no suite without forward secrecy
// or authenticated by nothing.
func TestTLSIsProbedFromOutside(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t)
	for version, taken := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		is, err := probe(s, func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version })
		require.Equal(t, taken, err == nil, "%s: %v", tls.VersionName(version), err)
		require.Equal(t, taken, is.Version == version)
	}
	bad := regexp.MustCompile(`RC4|3DES|TLS_RSA_|CBC_SHA256`)
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if len(suite.SupportedVersions) == 1 && suite.SupportedVersions[0] == tls.VersionTLS13 {
			continue
		}
		is, err := probe(s, func(c *tls.Config) { c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{suite.ID} })
		if err == nil {
			require.NotRegexp(t, bad, tls.CipherSuiteName(is.CipherSuite))
			require.Contains(t, tls.CipherSuiteName(is.CipherSuite), "ECDHE_ECDSA")
		}
	}
	for offered, want := range map[string]string{"h2 http/1.1": "h2", "http/1.1 h2": "h2", "http/1.1": "http/1.1", "": ""} {
		is, err := probe(s, func(c *tls.Config) { c.NextProtos = strings.Fields(offered) })
		require.NoError(t, err)
		require.Equal(t, want, is.NegotiatedProtocol, "offered %q", offered)
	}
	_, err := probe(s, func(c *tls.Config) { c.NextProtos = []string{"spdy/3"} })
	require.Error(t, err, "nothing else is spoken")

	conn, err := net.Dial("tcp", s.Listen)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	_ = res.Body.Close()
	require.Equal(t, 400, res.StatusCode, "there is no HTTP without TLS")
}

// openssl is what an auditor probes with.
func TestOpenSSLSeesNothingOld(t *testing.T) {
	t.Parallel()
	openssl := proc.Find(t, "openssl")
	s := mep.Secure(t)
	for args, want := range map[string]string{"-tls1_3": "TLSv1.3", "-tls1_2": "TLSv1.2", "-tls1_1": "", "-tls1": "", "-tls1_2 -cipher kRSA:@SECLEVEL=0": "", "-tls1_2 -cipher aNULL:@SECLEVEL=0": ""} {
		_, p := proc.Command{Program: openssl, Args: append([]string{"s_client", "-connect", s.Listen, "-CAfile", s.CA.File, "-verify_return_error", "-brief"}, strings.Fields(args)...)}.Run(t, time.Minute)
		version := ""
		if m := regexp.MustCompile(`Protocol version: (\S+)`).FindStringSubmatch(p.Both.String()); m != nil {
			version = m[1]
		}
		require.Equal(t, want, version, "%s: %s", args, p.Both)
	}
}

// The probes need no certificate. One of another authority is refused, and what it says of
// itself does not get into the log as it is.
func TestAClientCertificateIsAskedForAndNotDemanded(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t)
	require.Equal(t, 200, s.Want(200, "GET", "/health", "").Status)
	own := s.CA.Client("own")
	s.WithCertificate(own).Want(200, "GET", "/health", "")
	stranger := pki.New(t).Client("stranger", func(c *x509.Certificate) { c.Subject.CommonName = "evil\n{\"level\":\"ERROR\"}\x1b[2J" })
	_, err := s.WithCertificate(stranger).Try("GET", "/health", "")
	require.Error(t, err)
	expired := s.CA.Client("expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	_, err = s.WithCertificate(expired).Try("GET", "/health", "")
	require.Error(t, err)
	server := s.CA.Server("mep.example", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	_, err = s.WithCertificate(server).Try("GET", "/health", "")
	require.Error(t, err, "a server's certificate is no client's")
	for line := range strings.Lines(s.Log()) {
		require.True(t, strings.HasPrefix(line, `{"level":`) || strings.HasPrefix(line, `{"time"`) || strings.HasPrefix(line, "{"), line)
		require.NotContains(t, line, "\x1b")
	}
}

// A handshake that does not get on is ended, and holds up nobody else's.
func TestAHandshakeThatStallsIsEnded(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t)
	var stalled []net.Conn
	for i := range 40 {
		c, err := net.Dial("tcp", s.Listen)
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		switch i % 3 {
		case 1: // the begin of a record
			_, _ = c.Write([]byte{22, 3, 1, 0, 200, 1})
		case 2: // a whole client hello, and not a word more
			hello := &stalling{Conn: c}
			go func() {
				_ = tls.Client(hello, &tls.Config{RootCAs: s.CA.Pool, ServerName: "127.0.0.2", MinVersion: tls.VersionTLS12}).Handshake()
			}()
		}
		stalled = append(stalled, c)
	}
	began := time.Now()
	for range 20 {
		client := s.HTTPClient()
		res, err := client.Get(s.URL + "/health")
		require.NoError(t, err)
		_ = res.Body.Close()
		client.CloseIdleConnections()
	}
	for i, c := range stalled {
		if i%3 != 2 {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
			_, err := io.Copy(io.Discard, c)
			require.False(t, isTimeout(err), "it was held for a minute")
			require.GreaterOrEqual(t, time.Since(began), 4*time.Second)
		}
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error) //nolint:errorlint // io.Copy returns it as it is
	return ok && timeout.Timeout()
}

// stalling writes what it is given, and reads nothing.
type stalling struct{ net.Conn }

func (s *stalling) Read([]byte) (int, error) { select {} }

// The line that says where the server is says how it is reached.
func TestTheGreetingSaysHTTPS(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t)
	require.Contains(t, s.Line, fmt.Sprintf("ready on https://%s", s.Listen))
	require.Contains(t, s.Line, fmt.Sprintf("try: curl --cacert CA.pem https://%s/health", s.Listen))
}

// What a client says in its handshake, or in place of HTTP/2, makes no line of the log long or
// forged, nor many of them.
func TestNoHandshakeWritesIntoTheLog(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t)
	const canary = "c4n4ry"
	for i := range 200 {
		forged := fmt.Sprintf("%s-%d\n{\"level\":\"ERROR\",\"msg\":\"x\"}\x1b[2J", canary, i)
		_, err := probe(s, func(c *tls.Config) {
			for len(c.NextProtos) < 100 {
				c.NextProtos = append(c.NextProtos, forged+strings.Repeat("x", 150))
			}
		})
		require.Error(t, err)
		_, _ = probe(s, func(c *tls.Config) { c.ServerName = canary + ".example" })
		conn, err := tls.Dial("tcp", s.Listen, &tls.Config{RootCAs: s.CA.Pool, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}})
		require.NoError(t, err)
		_, _ = io.WriteString(conn, (forged + strings.Repeat("y", 100))[:100])
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
	log := s.Log()
	require.Less(t, strings.Count(log, "\n"), 40, log)
	for line := range strings.Lines(log) {
		require.Less(t, len(line), 2048)
		require.True(t, strings.HasPrefix(line, "{"), line)
		require.NotContains(t, line, "\x1b")
	}
}
