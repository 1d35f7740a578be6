package provision

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	// serverLife is below 398 days, the longest that clients with the strictest rules take.
	serverLife = 397 * 24 * time.Hour
	// skew is how far the clock of a client may be behind.
	skew = time.Hour
)

// file is one of the platform's, before it is written.
type file struct {
	name    string
	content []byte
}

// newPairs makes the authority, the server's certificate and the keys.
func newPairs(hosts []host, now time.Time) ([]file, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "mepserver CA for " + hosts[0].short()}, NotBefore: now.Add(-skew), NotAfter: now.Add(authorityLife),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	issuer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	_, webhook, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	files, err := serverPair(hosts, now, ca, caKey)
	if err != nil {
		return nil, err
	}
	files = append(files, file{Authority, certificatePEM(der)})
	for name, key := range map[string]crypto.Signer{authorityKey: caKey, IssuerKey: issuer, WebhookKey: webhook} {
		b, err := keyPEM(key)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name, b})
	}
	return files, nil
}

// serverPair makes the server's certificate, which names exactly its hosts, with a new key.
func serverPair(hosts []host, now time.Time, ca *x509.Certificate, caKey crypto.Signer) ([]file, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: hosts[0].short()}, NotBefore: now.Add(-skew), NotAfter: now.Add(serverLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true}
	if template.NotAfter.After(ca.NotAfter) {
		template.NotAfter = ca.NotAfter
	}
	for _, h := range hosts {
		if h.addr.IsValid() {
			template.IPAddresses = append(template.IPAddresses, h.addr.AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, h.name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), caKey)
	if err != nil {
		return nil, err
	}
	b, err := keyPEM(key)
	return []file{{serverCertificate, certificatePEM(der)}, {serverKey, b}}, err
}

// short is the host as a common name, which has at most 64 characters (RFC 5280 appendix A.1).
func (h host) short() string { return h.name[:min(len(h.name), 40)] }

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Renew makes a new certificate and key for the server in the platform's directory, by its
// own authority. Without hosts the new certificate names those of the old one. A running
// server reads the pair when both files are there; until then it keeps the old one.
func Renew(dir string, hosts []string, now time.Time) (until time.Time, err error) {
	var parsed []host
	if len(hosts) > 0 {
		if parsed, err = parseHosts(hosts); err != nil {
			return until, err
		}
	}
	ca, caKey, err := readAuthority(dir)
	if err != nil {
		return until, err
	}
	if len(hosts) == 0 {
		old, err := readCertificate(filepath.Join(dir, serverCertificate))
		if err != nil {
			return until, err
		}
		if parsed, err = hostsOf(old); err != nil {
			return until, err
		}
	}
	if !now.Before(ca.NotAfter) {
		return until, fmt.Errorf("%s ended at %s: begin with a new authority in another directory", filepath.Join(dir, Authority), ca.NotAfter.UTC().Format(time.RFC3339))
	}
	files, err := serverPair(parsed, now, ca, caKey)
	if err != nil {
		return until, err
	}
	made, err := x509.ParseCertificate(mustDecode(files[0].content))
	if err != nil {
		return until, err
	}
	return made.NotAfter, replace(dir, files)
}

func mustDecode(b []byte) []byte {
	block, _ := pem.Decode(b)
	return block.Bytes
}

func hostsOf(c *x509.Certificate) ([]host, error) {
	texts := c.DNSNames
	for _, ip := range c.IPAddresses {
		texts = append(texts, ip.String())
	}
	return parseHosts(texts)
}

func readAuthority(dir string) (*x509.Certificate, crypto.Signer, error) {
	ca, err := readCertificate(filepath.Join(dir, Authority))
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, authorityKey)
	block, err := readBlock(path, "PRIVATE KEY")
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(block)
	signer, is := key.(crypto.Signer)
	if err != nil || !is {
		return nil, nil, fmt.Errorf("%s holds no key that can sign", path)
	}
	public, is := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !is || !public.Equal(ca.PublicKey) {
		return nil, nil, fmt.Errorf("%s is not the key of %s", path, filepath.Join(dir, Authority))
	}
	return ca, signer, nil
}

func readCertificate(path string) (*x509.Certificate, error) {
	block, err := readBlock(path, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(block)
	if err != nil {
		return nil, fmt.Errorf("%s holds no certificate that can be read", path)
	}
	return c, nil
}

func readBlock(path, kind string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s must begin with a PEM block %s", path, kind)
	}
	return block.Bytes, nil
}

// replace puts new files in place of old ones, each complete from its first moment on.
func replace(dir string, files []file) (err error) {
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		next := path + ".new"
		_ = os.Remove(next) // of a renewal that was killed
		if err := WriteNew(next, f.content); err != nil {
			return err
		}
		defer func() { _ = os.Remove(next) }()
	}
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		err = errors.Join(err, os.Rename(path+".new", path))
	}
	return err
}
