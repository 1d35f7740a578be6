// Package pki makes certificates for the tests: an authority signs them for servers
// and clients, each written as PEM files and ready for crypto/tls; and tokens. It must not know
// who uses them, nor anything of the project.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates that hold from an hour ago for two hours.
type Authority struct {
	File string // its own certificate, in PEM form
	Pool *x509.CertPool
	t    testing.TB
	dir  string
	self tls.Certificate
}

// Pair is a certificate with its key: in PEM files, and loaded with its Leaf.
type Pair struct {
	CertFile, KeyFile string
	TLS               tls.Certificate
}

// New makes an authority, whose files go with the test.
func New(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir(), Pool: x509.NewCertPool()}
	self := a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	a.File, a.self = self.CertFile, self.TLS
	a.Pool.AddCert(self.TLS.Leaf)
	return a
}

// Server issues a certificate for a host: a name or an IP address. It is a client's too,
// as etcd needs, which calls itself. Each change alters the template before it is signed.
func (a *Authority) Server(host string, change ...func(*x509.Certificate)) Pair {
	a.t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: host}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	return a.issue(template, change)
}

// Client issues a certificate that says who calls and serves nobody. A second one for
// the same name replaces the files of the first.
func (a *Authority) Client(name string, change ...func(*x509.Certificate)) Pair {
	a.t.Helper()
	return a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, change)
}

func (a *Authority) issue(template *x509.Certificate, change []func(*x509.Certificate)) Pair {
	a.t.Helper()
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	template.BasicConstraintsValid = true
	for _, f := range change {
		f(template)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.must(err)
	parent, signer := a.self.Leaf, a.self.PrivateKey
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	a.must(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	a.must(err)
	file := filepath.Join(a.dir, template.Subject.CommonName)
	p := Pair{CertFile: file + ".pem", KeyFile: file + ".key"}
	a.must(os.WriteFile(p.CertFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	a.must(os.WriteFile(p.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	p.TLS, err = tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
	a.must(err)
	return p
}

func (a *Authority) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}
