// Package pin knows how the other parts of EdgeGallery's platform are reached and recognised: with
// certificates that name no host, by their authority and the common name that all of them share.
// It is the only place where TLS goes without the check of the host's name, and it makes a check
// of its own there. It must not know what anybody asks them.
package pin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/plugins/certs"
)

const (
	connectTimeout = 5 * time.Second
	maxHeader      = 16 << 10 // bytes of an answer's header
	maxIdle        = 8        // connections that are kept for the next requests
	idleTimeout    = 30 * time.Second
)

// Options are how a platform's parts are recognised.
type Options struct {
	CAFile string // PEM, what signs their certificates; "": the system's authorities
	// CommonName is what the subject of their certificates must have as its common name, in place
	// of the host's name. It needs CAFile: of all authorities that the system trusts, any may give
	// anybody that name. "": the host's name is verified, as usual.
	CommonName string
	// Timeout is how long a request may take; it must be more than 0.
	Timeout time.Duration
	// Now is the wall clock, for the times of certificates; nil: that of the system.
	Now func() time.Time
	// Ends is told of each new connection when what proves it ends, authority included; it must not
	// block. nil: nobody is told.
	Ends func(time.Time)
	// Changed is told when CAFile holds something else, with nil or with why that cannot be used; it
	// must not block. nil: nobody is told.
	Changed func(error)
}

// Client makes a client for requests to one part of the platform, over HTTP/1.1. It uses no
// proxy and follows no redirect: either would lead requests elsewhere. CAFile is read here, and
// again when it changes.
func Client(o Options) (*http.Client, error) {
	t := trust{name: o.CommonName, now: o.Now, ends: o.Ends}
	if t.now == nil {
		t.now = time.Now
	}
	if t.ends == nil {
		t.ends = func(time.Time) {}
	}
	switch {
	case o.CAFile != "":
		var err error
		if t.authorities, err = certs.Keep(certs.Pool{File: o.CAFile}, t.now, o.Changed); err != nil {
			return nil, err
		}
	case o.CommonName != "":
		return nil, errors.New("a common name alone proves nothing: a file of authorities must be given with it")
	}
	dial := (&net.Dialer{Timeout: connectTimeout}).DialContext
	return &http.Client{
		Timeout:       o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            dial,
			DialTLSContext:         certs.Secured(dial, connectTimeout, t.config),
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost:    maxIdle,
			IdleConnTimeout:        idleTimeout,
			DisableCompression:     true,
		},
	}, nil
}

// trust is whom connections are made to.
type trust struct {
	authorities *certs.Kept[*x509.CertPool] // nil: the system's
	name        string                      // the pinned common name; "": the host's name counts
	now         func() time.Time
	ends        func(time.Time)
}

// config is that of one connection, by what the file of authorities holds now.
func (t trust) config(host string) *tls.Config {
	if t.name == "" {
		c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, Time: t.now, VerifyConnection: func(s tls.ConnectionState) error {
			t.ends(endOf(s.VerifiedChains))
			return nil
		}}
		if t.authorities != nil {
			c.RootCAs = t.authorities.Current()
		}
		return c
	}
	// crypto/tls has no way to leave out the name alone, so it is told to check nothing, and
	// VerifyConnection checks the rest. It is called on each connection, resumed ones too.
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         host,
		InsecureSkipVerify: true,
		VerifyConnection:   func(s tls.ConnectionState) error { return t.verify(s.PeerCertificates) },
	}
}

// verify checks what crypto/tls would but for the host's name: that a chain leads to one of the
// authorities, and that all of it holds now and is for servers. In place of the host's name it
// checks the common name, which the legacy certificates of EdgeGallery have in common.
func (t trust) verify(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("the server shows no certificate")
	}
	o := x509.VerifyOptions{Roots: t.authorities.Current(), Intermediates: x509.NewCertPool(), CurrentTime: t.now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	verified, err := chain[0].Verify(o)
	if err != nil {
		return err
	}
	if is := chain[0].Subject.CommonName; is != t.name {
		return fmt.Errorf("the certificate's common name is %+q, and must be %+q", is, t.name)
	}
	t.ends(endOf(verified))
	return nil
}

// endOf is when the last of some chains ends; each does with the first of its certificates.
func endOf(chains [][]*x509.Certificate) (last time.Time) {
	for _, chain := range chains {
		end := chain[0].NotAfter
		for _, c := range chain {
			if c.NotAfter.Before(end) {
				end = c.NotAfter
			}
		}
		if end.After(last) {
			last = end
		}
	}
	return last
}
