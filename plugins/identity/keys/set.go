// Package keys knows the public keys that verify the tokens of an issuer: how they are
// written, where they come from, and how old they are. It must not know what a token says,
// nor who asks.
package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"github.com/mec-liveness/mepserver/plugins/certs"
)

const (
	maxKeys  = 64   // of a set; each may be tried on a token that names none
	leastRSA = 2048 // bits of an RSA key; shorter ones can be factored (RFC 7518 §3.3)
	mostRSA  = 8192 // bits; longer ones take long to verify with
)

// Key is a public key.
type Key struct {
	// ID is what tokens name it by; "": they do not.
	ID string
	// Public is an *ecdsa.PublicKey, an *rsa.PublicKey or an ed25519.PublicKey.
	Public crypto.PublicKey

	algorithm jose.SignatureAlgorithm // the only one that it is for; "": any that fits
}

// Set is the keys of an issuer. It is not changed after it is made.
type Set struct {
	keys   []*Key
	digest [sha256.Size]byte
}

// NewSet makes a set of some keys.
func NewSet(all []*Key) *Set {
	s := &Set{keys: all}
	h := sha256.New()
	for _, k := range all {
		der, _ := x509.MarshalPKIXPublicKey(k.Public) // of these types: cannot fail
		_, _ = fmt.Fprintf(h, "%q %q %x\n", k.ID, k.algorithm, der)
	}
	h.Sum(s.digest[:0])
	return s
}

// Len is how many keys there are. A nil set has none.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.keys)
}

// Same says whether both have the same keys under the same names.
func (s *Set) Same(o *Set) bool { return s != nil && o != nil && s.digest == o.digest }

// Find returns the keys that may have signed a token: those that fit the algorithm and have
// the id that the token names, or have none. A token without an id may be any key's. An id is
// compared and nothing else: it is neither a file nor a URL.
func (s *Set) Find(id string, a jose.SignatureAlgorithm) (found []*Key) {
	if s == nil {
		return nil
	}
	for _, k := range s.keys {
		if (id == "" || k.ID == "" || k.ID == id) && k.fits(a) {
			found = append(found, k)
		}
	}
	return found
}

// fits says whether the key is one for the algorithm. Without this, a public key could be
// taken for the secret of an HMAC (RFC 8725 §2.1).
func (k *Key) fits(a jose.SignatureAlgorithm) bool {
	if k.algorithm != "" && k.algorithm != a {
		return false
	}
	switch p := k.Public.(type) {
	case *ecdsa.PublicKey:
		return a == jose.ES256 && p.Curve == elliptic.P256() || a == jose.ES384 && p.Curve == elliptic.P384() ||
			a == jose.ES512 && p.Curve == elliptic.P521()
	case *rsa.PublicKey:
		return slices.Contains([]jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}, a)
	case ed25519.PublicKey:
		return a == jose.EdDSA
	}
	return false
}

// Usable says why a public key verifies no tokens; nil: it does.
func Usable(public crypto.PublicKey) error {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		if c := p.Curve; c == elliptic.P256() || c == elliptic.P384() || c == elliptic.P521() {
			return nil
		}
		return errors.New("has an elliptic curve other than P-256, P-384 and P-521")
	case *rsa.PublicKey:
		if n := p.N.BitLen(); n < leastRSA || n > mostRSA {
			return fmt.Errorf("has an RSA key of %d bits; from %d to %d are taken", n, leastRSA, mostRSA)
		}
		return nil
	case ed25519.PublicKey:
		return nil
	}
	return errors.New("has a key that is neither ECDSA, Ed25519 nor RSA")
}

// Parse reads a set of public keys: a JSON Web Key Set (RFC 7517 §5), or PEM with public
// keys and certificates.
func Parse(data []byte) (*Set, error) {
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseJWKS(trimmed)
	}
	return parsePEM(data)
}

// parseJWKS takes the keys that verify signatures, and leaves out others and those that it
// does not understand, as RFC 7517 §5 wants it.
func parseJWKS(data []byte) (*Set, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, errors.New("is no JSON Web Key Set: not JSON, or a name stands twice in it")
	}
	var all []*Key
	for _, raw := range doc.Keys {
		if k := parseJWK(raw); k != nil {
			all = append(all, k)
		}
	}
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("has no public key that verifies signatures, of %d keys", len(doc.Keys))
	case len(all) > maxKeys:
		return nil, fmt.Errorf("has %d keys; at most %d are taken", len(all), maxKeys)
	}
	return NewSet(all), nil
}

func parseJWK(raw []byte) *Key {
	var k jose.JSONWebKey
	var use struct {
		Operations []string `json:"key_ops"`
	}
	if json.Unmarshal(raw, &use) != nil || json.Unmarshal(raw, &k) != nil {
		return nil
	}
	if !k.Valid() || !k.IsPublic() || k.Use != "" && k.Use != "sig" || use.Operations != nil && !slices.Contains(use.Operations, "verify") {
		return nil
	}
	if Usable(k.Key) != nil {
		return nil
	}
	return &Key{ID: k.KeyID, Public: k.Key, algorithm: jose.SignatureAlgorithm(k.Algorithm)}
}

// parsePEM takes the keys of a file that has nothing else. A private key in it is one that
// somebody gave away by mistake.
func parsePEM(data []byte) (*Set, error) {
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if len(bytes.TrimSpace(rest)) > 0 {
				return nil, errors.New("is neither a JSON Web Key Set nor PEM, or has something behind its last key")
			}
			break
		}
		switch block.Type {
		case "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE":
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("has a private key; only the issuer may have that, give the public one")
		default:
			return nil, errors.New("has a PEM block that is neither PUBLIC KEY, RSA PUBLIC KEY nor CERTIFICATE")
		}
	}
	public, err := certs.PublicKeys{}.Parse([][]byte{data}, time.Time{})
	var faults certs.Faults
	if errors.As(err, &faults) {
		return nil, errors.New(faults[0].Rule)
	}
	var all []*Key
	for _, p := range public {
		if err := Usable(p); err != nil {
			return nil, err
		}
		all = append(all, &Key{Public: p})
	}
	if len(all) > maxKeys {
		return nil, fmt.Errorf("has %d keys; at most %d are taken", len(all), maxKeys)
	}
	return NewSet(all), nil
}
