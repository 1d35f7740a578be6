// Package kong checks certificates itself.
package kong

import (
	"crypto/tls"
	"crypto/x509"
)

func verify(c *x509.Certificate) error {
	_, err := c.Verify(x509.VerifyOptions{})
	return err
}

func accept(*x509.Certificate) error { return nil }

// checked has a check of its own.
var checked = tls.Config{
	InsecureSkipVerify: true,
	VerifyConnection:   func(s tls.ConnectionState) error { return verify(s.PeerCertificates[0]) },
}
