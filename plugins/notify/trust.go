package notify

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins/certs"
)

// trust is how we and a consumer with an https callback prove who we are. The zero value
// trusts the system's authorities and shows no certificate. The consumer's certificate is
// always verified.
type trust struct {
	authorities *certs.Kept[*x509.CertPool]
	pair        *certs.Kept[*tls.Certificate]
}

// newTrust reads the files that are configured. Its error has the faults of all of them.
func newTrust(n conf.Notify, now func() time.Time, report func(error)) (t trust, err error) {
	var noAuthorities, noPair error
	if n.CAFile != "" {
		t.authorities, noAuthorities = certs.Keep(certs.Pool{File: n.CAFile}, now, report)
	}
	if n.CertFile != "" {
		t.pair, noPair = certs.Keep(certs.Pair{CertFile: n.CertFile, KeyFile: n.KeyFile}, now, report)
	}
	return t, errors.Join(noAuthorities, noPair)
}

// config is that of one connection, by what the files hold now.
func (t trust) config(host string) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if t.authorities != nil {
		c.RootCAs = t.authorities.Current()
	}
	if t.pair != nil {
		c.Certificates = []tls.Certificate{*t.pair.Current()}
	}
	return c
}

// secured is dial with a handshake after it.
func (t trust) secured(dial certs.DialFunc) certs.DialFunc {
	return certs.Secured(dial, tlsTimeout, t.config)
}
