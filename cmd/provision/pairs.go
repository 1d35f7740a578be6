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
	"io/fs"
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

func readAuthority(dir string) (*x509.Certificate, crypto.Signer, error) {
	ca, err := readCertificate(filepath.Join(dir, Authority))
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, authorityKey)
	block, err := readBlock(path, "PRIVATE KEY")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("this needs %s in %s: put it back for this command, and take it away again", authorityKey, dir)
	}
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
