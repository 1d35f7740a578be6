package etcd

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/mec-liveness/mepserver/conf"
)

// maxSecretFile is more than any password or bundle of certificates needs.
const maxSecretFile = 1 << 20

// Remote is how an etcd cluster is reached.
type Remote struct {
	endpoints          []string
	tls                *tls.Config // nil: plain
	username, password string
}

// NewRemote reads what the configuration names. Its errors name the key and never
// what a file holds.
func NewRemote(s conf.Store) (*Remote, error) {
	a := &Remote{endpoints: s.Endpoints, username: s.Username, password: string(s.Password)}
	var err error
	if s.PasswordFile != "" {
		if a.password, err = readPassword(s.PasswordFile); err != nil {
			return nil, fmt.Errorf("store.passwordFile: %w", err)
		}
	}
	if strings.HasPrefix(s.Endpoints[0], "https://") {
		if a.tls, err = clientTLS(s); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func clientTLS(s conf.Store) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		pem, err := readBounded(s.CAFile)
		if err != nil {
			return nil, fmt.Errorf("store.caFile: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("store.caFile: %s holds no certificate in PEM form", s.CAFile)
		}
	}
	if s.CertFile != "" {
		if _, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile); err != nil {
			return nil, fmt.Errorf("store.certFile and store.keyFile: %w", err)
		}
		// Read anew for each connection, so that a renewed certificate needs no restart.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
			return &pair, err
		}
	}
	return c, nil
}

func readPassword(name string) (string, error) {
	b, err := readBounded(name)
	if err != nil {
		return "", err
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if line == "" || strings.ContainsAny(line, "\r\n\x00") {
		return "", fmt.Errorf("%s must hold the password alone, on one line", name)
	}
	return line, nil
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	var b bytes.Buffer
	if n, err := io.Copy(&b, io.LimitReader(f, maxSecretFile+1)); err != nil {
		return nil, err
	} else if n > maxSecretFile {
		return nil, errors.New("is too large")
	}
	return b.Bytes(), nil
}

// reason finds out why an endpoint did not answer: etcd's client retries until the
// time is over and then tells only that.
func (a *Remote) reason(ctx context.Context, endpoint string, err error) error {
	if !errors.Is(err, context.DeadlineExceeded) && grpcstatus.Code(err) != codes.DeadlineExceeded {
		return PlainError(err)
	}
	u, parseErr := url.Parse(endpoint)
	if parseErr != nil {
		return PlainError(err)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, dialErr := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if dialErr != nil {
		return dialErr
	}
	defer func() { _ = conn.Close() }()
	if a.tls != nil {
		c := a.tls.Clone()
		c.ServerName, c.NextProtos = u.Hostname(), []string{"h2"}
		secure := tls.Client(conn, c)
		if shakeErr := secure.HandshakeContext(ctx); shakeErr != nil {
			return shakeErr
		}
		conn = secure
	}
	// A server that refuses our certificate says so after the handshake; one that
	// takes us speaks first.
	_ = conn.SetReadDeadline(time.Now().Add(probeTimeout / 2))
	if _, readErr := conn.Read(make([]byte, 1)); readErr != nil && !errors.Is(readErr, os.ErrDeadlineExceeded) && !errors.Is(readErr, io.EOF) {
		return readErr
	}
	return PlainError(err)
}

const probeTimeout = time.Second
