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

// TLS says whom to trust and who we are. Certificates are always verified.
type TLS struct {
	CAFile     string // PEM; "": the system's roots
	CertFile   string // PEM, our certificate; read again when it is needed
	KeyFile    string // PEM
	ServerName string // that the certificate must have, if not the endpoint's host
}

const (
	dialTimeout      = 2 * time.Second
	handshakeTimeout = 3 * time.Second
	// idleTimeout is shorter than servers keep connections, so that it is we who
	// close them.
	idleTimeout = 60 * time.Second
	maxConns    = requestWorkers
)

// NewTransport makes the one pool of connections that an agent uses.
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
		// each handshake reads it, for short-lived ones are replaced in place
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
