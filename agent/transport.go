package agent

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// TLS is how an agent and its platform prove who they are. The zero value trusts the
// system's roots and shows no certificate. The platform's certificate is always verified.
type TLS struct {
	// CAFile is a PEM file of the authorities to trust. "": the system's.
	CAFile string
	// CertFile and KeyFile are the PEM files of the agent's own certificate, either both or
	// none. They are read again at each handshake, so that they may be replaced at any time.
	CertFile string
	KeyFile  string
	// ServerName is the name that the platform's certificate must have. "": the host of the
	// endpoint.
	ServerName string
}

const (
	dialTimeout      = 2 * time.Second
	handshakeTimeout = 3 * time.Second
	// idleTimeout is shorter than servers keep connections. A request that meets a
	// connection just closed by the server fails.
	idleTimeout = 60 * time.Second
	// maxConns lets connections follow the requests: one that waits for a connection is late
	// unseen.
	maxConns = maxUrgent + maxOther
)

// NewTransport makes a transport for Options.Transport: TLS 1.2 or later, HTTP/2 where the
// platform has it, as many connections to each endpoint as there are requests at a time
// (576 at most), and the proxy of the environment (HTTPS_PROXY, NO_PROXY). It returns an
// error if a file cannot be read or holds no certificate, and if only one of CertFile and
// KeyFile is given.
func NewTransport(t TLS) (*http.Transport, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the CA file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("the CA file holds no PEM certificate")
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, errors.New("a client certificate needs both its file and its key's")
	}
	if t.CertFile != "" {
		load := func() (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
			return &pair, err
		}
		if _, err := load(); err != nil {
			return nil, fmt.Errorf("read the client certificate: %w", err)
		}
		// read at each handshake, for short-lived certificates are replaced in place
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:     c,
		TLSHandshakeTimeout: handshakeTimeout,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: maxConns,
		MaxConnsPerHost:     maxConns,
		IdleConnTimeout:     idleTimeout,
		WriteBufferSize:     2 << 10,
		ReadBufferSize:      2 << 10,
	}, nil
}
