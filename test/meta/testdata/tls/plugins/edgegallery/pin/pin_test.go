package pin

import "crypto/tls"

var testing = tls.Config{
	InsecureSkipVerify: true,
	VerifyConnection:   func(s tls.ConnectionState) error { return verify(s.PeerCertificates[0]) },
}
