package operate

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/cmd/terminal"
)

const (
	handshakeTimeout = 10 * time.Second
	expiryOdd        = 30 * 24 * time.Hour
	expiryBad        = 72 * time.Hour
)

// certificate looks at the certificate that clients are shown, or else at its file.
func (d *Doctor) certificate(ctx context.Context) {
	switch {
	case d.Server.Base.Scheme == "https":
		chain, err := shown(ctx, d.Server.Base, d.Server.Roots)
		if err != nil {
			d.note("certificate", skipped, "", "it is not shown: %s", terminal.Cell(err.Error()))
			return
		}
		d.judge(chain, d.Server.Base.Hostname(), d.Server.Roots, true)
	case d.Local != nil && d.Local.Server.TLS.On():
		chain, err := inFile(d.Local.Server.TLS.CertFile)
		if err != nil {
			d.note("certificate", problem, "have it made with mepserver init", "%s", terminal.Cell(err.Error()))
			return
		}
		host, _, _ := net.SplitHostPort(d.Local.Server.Advertise)
		d.judge(chain, host, nil, false)
	default:
		d.note("certificate", skipped, "", "the server speaks no TLS")
	}
}

// shown is the chain that a server shows, also one that cannot be trusted: it is judged afterwards.
func shown(ctx context.Context, at *url.URL, roots *x509.CertPool) ([]*x509.Certificate, error) {
	host := at.Hostname()
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	var chain []*x509.Certificate
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12,
		VerifyConnection: func(s tls.ConnectionState) error { chain = s.PeerCertificates; return nil }}}
	c, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, cmp.Or(at.Port(), "443")))
	if err == nil {
		_ = c.Close()
	}
	var refused *tls.CertificateVerificationError
	if errors.As(err, &refused) {
		chain = refused.UnverifiedCertificates
	}
	if len(chain) > 0 { // it may refuse us for having no certificate of our own
		return chain, nil
	}
	return nil, errors.Join(err, errors.New("no certificate came"))
}

func inFile(path string) (chain []*x509.Certificate, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New(path + " holds no certificate")
	}
	return chain, nil
}

// judge says what is wrong with a chain: who does not sign it, whom it does not name, and when it
// ends.
func (d *Doctor) judge(chain []*x509.Certificate, host string, roots *x509.CertPool, verify bool) {
	const check, renew = "certificate", "have it made anew: mepserver init --renew"
	now, leaf := time.Now(), chain[0]
	ends := leaf.NotAfter
	for _, c := range chain {
		if c.NotAfter.Before(ends) {
			ends = c.NotAfter
		}
	}
	names := strings.Join(leaf.DNSNames, ", ")
	for _, ip := range leaf.IPAddresses {
		names = strings.TrimPrefix(names+", "+ip.String(), ", ")
	}
	names = terminal.Cell(names)
	switch {
	case now.After(ends):
		d.note(check, problem, renew, "it has expired, on %s", ends.UTC().Format(time.DateOnly))
		return
	case now.Before(leaf.NotBefore):
		d.note(check, problem, "set the clock, or have it made anew", "it is not valid before %s", leaf.NotBefore.UTC().Format(time.RFC3339))
		return
	case host != "" && leaf.VerifyHostname(host) != nil:
		d.note(check, problem, "have it made with mepserver init --renew --host", "it is for %s, and not for %s", names, terminal.Cell(host))
		return
	}
	if verify {
		between := x509.NewCertPool()
		for _, c := range chain[1:] {
			between.AddCert(c)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now}); err != nil {
			d.note(check, problem, "--ca FILE names the CA; a server with a certificate between must send that, too", "%s", terminal.Cell(err.Error()))
			return
		}
	}
	switch left := ends.Sub(now); {
	case left < expiryBad:
		d.note(check, problem, renew, "it ends in %s", terminal.Short(left))
	case left < expiryOdd:
		d.note(check, warning, renew, "it ends in %s", terminal.Short(left))
	default:
		d.note(check, fine, "", "for %s, until %s", names, ends.UTC().Format(time.DateOnly))
	}
}
