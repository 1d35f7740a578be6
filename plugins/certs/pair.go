package certs

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"time"
)

// Pair is a certificate, followed by those between it and its authority, with its key.
type Pair struct {
	CertFile, KeyFile string
	PasswordFile      string // of an encrypted key; "": it has none, or Password
	Password          []byte // the same itself; nil: there is none
	// Server: clients connect to whoever has it, so it needs a name or an address. Otherwise
	// it says who we are where we are the client.
	Server bool
	// Lenient: clients that verify nothing use it, so that it may name nobody and have expired.
	Lenient bool
}

// Files implements Source.
func (p Pair) Files() []string { return []string{p.CertFile, p.KeyFile, p.PasswordFile} }

// Parse implements Source. The certificate must be valid now, fit the key, and be for what
// it is used for. Its Leaf is set.
func (p Pair) Parse(contents [][]byte, now time.Time) (*tls.Certificate, error) {
	var faults Faults
	chain := p.chain(contents[Certificate], now, &faults)
	key := p.key(contents[Key], contents[Password], &faults)
	if len(chain) > 0 && key != nil {
		p.fit(chain, key, &faults)
	}
	if err := faults.err(); err != nil || len(chain) == 0 {
		return nil, err
	}
	out := &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		out.Certificate = append(out.Certificate, c.Raw)
	}
	return out, nil
}

// chain reads the certificates and checks the first.
func (p Pair) chain(content []byte, now time.Time, faults *Faults) []*x509.Certificate {
	if content == nil {
		return nil
	}
	chain, err := certificates(content)
	if err != nil {
		faults.add(Certificate, p.CertFile, "%v", err)
		return nil
	}
	c := chain[0]
	switch {
	case p.Lenient:
	case now.After(c.NotAfter):
		faults.add(Certificate, p.CertFile, "expired at %s", c.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(c.NotBefore):
		faults.add(Certificate, p.CertFile, "is not valid before %s; is the clock right?", c.NotBefore.UTC().Format(time.RFC3339))
	}
	use := x509.ExtKeyUsageClientAuth
	if p.Server {
		use = x509.ExtKeyUsageServerAuth
	}
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 && !slices.Contains(c.ExtKeyUsage, use) && !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny) {
		faults.add(Certificate, p.CertFile, "has an extended key usage, and %s is not in it", map[bool]string{true: "serverAuth", false: "clientAuth"}[p.Server])
	}
	if p.Server && !p.Lenient && Nameless(c) {
		faults.add(Certificate, p.CertFile, "has no subject alternative name that is a DNS name or an IP address; no client takes it")
	}
	return chain
}

func (p Pair) key(content, password []byte, faults *Faults) crypto.Signer {
	if password != nil {
		var err error
		if password, err = passwordOf(password); err != nil {
			faults.add(Password, p.PasswordFile, "%v", err)
			return nil
		}
	}
	if content == nil || p.PasswordFile != "" && password == nil { // said already
		return nil
	}
	if p.PasswordFile == "" {
		password = p.Password
	}
	blocks, err := pemBlocks(content, isPrivate)
	switch {
	case err != nil:
	case len(blocks) == 0:
		err = errors.New("has no PEM block of a private key")
	case len(blocks) > 1:
		err = errors.New("has several private keys; it must have one")
	}
	var key crypto.Signer
	if err == nil {
		key, err = privateKey(blocks[0], password)
	}
	switch {
	case errors.Is(err, errNoPassword) && p.Server:
		faults.add(Key, p.KeyFile, "%v; server.tls.keyPasswordFile names the file that holds it, or MEP_SERVER_TLS_KEY_PASSWORD (TLS_KEY in EdgeGallery's environment) is it", err)
	case errors.Is(err, errWrongPassword):
		faults.add(Password, p.PasswordFile, "%v %+q", err, p.KeyFile)
	case err != nil:
		faults.add(Key, p.KeyFile, "%v", err)
	}
	if err != nil {
		return nil
	}
	return key
}

// Nameless says whether a certificate names no host that a client could have connected to.
func Nameless(c *x509.Certificate) bool { return len(c.DNSNames)+len(c.IPAddresses) == 0 }

// fit compares the keys: a pair that does not fit fails every handshake.
func (p Pair) fit(chain []*x509.Certificate, key crypto.Signer, faults *Faults) {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	at := slices.IndexFunc(chain, func(c *x509.Certificate) bool { return ok && public.Equal(c.PublicKey) })
	switch {
	case at < 0:
		faults.add(Key, p.KeyFile, "is not the key of the certificate in %+q", p.CertFile)
	case at > 0:
		faults.add(Certificate, p.CertFile, "must have the certificate of the key first; it stands in place %d", at+1)
	}
}

// certificates are all those of a PEM text, at least one.
func certificates(content []byte) ([]*x509.Certificate, error) {
	blocks, err := pemBlocks(content, isCertificate)
	if err == nil && len(blocks) == 0 {
		err = errors.New("has no PEM block of a certificate")
	}
	if err != nil {
		return nil, err
	}
	return parseAll(blocks)
}

func parseAll(blocks []*pem.Block) (all []*x509.Certificate, err error) {
	for _, b := range blocks {
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, errors.New("has a certificate that is damaged")
		}
		if err := strong(c.PublicKey); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// Pool is the certificates of authorities, at least one of which must be valid.
type Pool struct{ File string }

// Files implements Source.
func (p Pool) Files() []string { return []string{p.File} }

// Parse implements Source.
func (p Pool) Parse(contents [][]byte, now time.Time) (*x509.CertPool, error) {
	if contents[0] == nil {
		return nil, nil //nolint:nilnil // that it could not be read is said already
	}
	all, err := certificates(contents[0])
	if err != nil {
		return nil, fault(p.File, contents[0], err)
	}
	pool, valid := x509.NewCertPool(), false
	for _, c := range all {
		valid = valid || !now.After(c.NotAfter) && !now.Before(c.NotBefore)
		pool.AddCert(c)
	}
	if !valid {
		return nil, fault(p.File, contents[0], errors.New("has no certificate that is valid now"))
	}
	return pool, nil
}
