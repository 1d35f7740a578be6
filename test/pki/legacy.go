package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
)

// Legacy issues a server's certificate of X.509 v1: it has no extensions at all, so that it names
// nobody but by its common name. EdgeGallery's installer makes such ones.
func (a *Authority) Legacy(name string) Pair {
	a.t.Helper()
	p := a.Server(name)
	der := a.withoutExtensions(p.TLS.Leaf)
	a.must(os.WriteFile(p.CertFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	var err error
	p.TLS, err = tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
	a.must(err)
	return p
}

// withoutExtensions signs a certificate anew, as v1. crypto/x509 makes none.
func (a *Authority) withoutExtensions(c *x509.Certificate) []byte {
	a.t.Helper()
	var tbs struct { // RFC 5280 §4.1; the default version is v1
		Version    int `asn1:"optional,explicit,default:0,tag:0"`
		Serial     *big.Int
		Algorithm  asn1.RawValue
		Issuer     asn1.RawValue
		Validity   asn1.RawValue
		Subject    asn1.RawValue
		PublicKey  asn1.RawValue
		Extensions asn1.RawValue `asn1:"optional,explicit,tag:3"`
	}
	_, err := asn1.Unmarshal(c.RawTBSCertificate, &tbs)
	a.must(err)
	tbs.Version, tbs.Extensions = 0, asn1.RawValue{}
	text, err := asn1.Marshal(tbs)
	a.must(err)
	sum := sha256.Sum256(text)
	key, _ := a.self.PrivateKey.(crypto.Signer)
	signature, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	a.must(err)
	der, err := asn1.Marshal(struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}{asn1.RawValue{FullBytes: text}, tbs.Algorithm, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	a.must(err)
	return der
}
