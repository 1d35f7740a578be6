package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// leastRSA is the smallest RSA key that is taken, in bits (NIST SP 800-131A).
const leastRSA = 2048

// PrivateKeys are those of a PEM file, in its order; at least one, none of them encrypted.
// They are ECDSA (P-256, P-384, P-521), Ed25519, or RSA with at least 2048 bits.
type PrivateKeys struct{ File string }

// Files implements Source.
func (p PrivateKeys) Files() []string { return []string{p.File} }

// Parse implements Source.
func (p PrivateKeys) Parse(contents [][]byte, _ time.Time) (keys []crypto.Signer, err error) {
	blocks, err := pemBlocks(contents[0], isPrivate)
	if err == nil && len(blocks) == 0 {
		err = errors.New("has no PEM block of a private key")
	}
	for i := 0; err == nil && i < len(blocks); i++ {
		var key crypto.Signer
		if key, err = privateKey(blocks[i], nil); err == nil {
			keys = append(keys, key)
		} else if len(blocks) > 1 {
			err = fmt.Errorf("%w (key %d of the file)", err, i+1)
		}
	}
	if err != nil || contents[0] == nil {
		return nil, fault(p.File, contents[0], err)
	}
	return keys, nil
}

// PublicKeys are those of a PEM file, in its order: of public keys and of certificates,
// whose validity is not looked at. There is at least one.
type PublicKeys struct{ File string }

// Files implements Source.
func (p PublicKeys) Files() []string { return []string{p.File} }

// Parse implements Source.
func (p PublicKeys) Parse(contents [][]byte, _ time.Time) (keys []crypto.PublicKey, err error) {
	blocks, err := pemBlocks(contents[0], isPublic)
	if err == nil && len(blocks) == 0 {
		err = errors.New("has no PEM block of a public key or certificate")
	}
	for i := 0; err == nil && i < len(blocks); i++ {
		var key crypto.PublicKey
		if key, err = publicKey(blocks[i]); err == nil {
			keys = append(keys, key)
		} else if len(blocks) > 1 {
			err = fmt.Errorf("%w (block %d of the file)", err, i+1)
		}
	}
	if err != nil || contents[0] == nil {
		return nil, fault(p.File, contents[0], err)
	}
	return keys, nil
}

func publicKey(b *pem.Block) (key crypto.PublicKey, err error) {
	switch b.Type {
	case "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(b.Bytes); err == nil {
			key = c.PublicKey
		}
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(b.Bytes)
	default:
		key, err = x509.ParsePKIXPublicKey(b.Bytes)
	}
	if err != nil {
		return nil, errors.New("has a key that is damaged or of an unknown kind")
	}
	return key, strong(key)
}

// fault is the one fault that a file has; nil if it could not be read, which is said already.
func fault(file string, content []byte, err error) error {
	if err == nil || content == nil {
		return nil
	}
	return Faults{{File: file, Rule: err.Error()}}
}

func isPrivate(kind string) bool { return strings.HasSuffix(kind, "PRIVATE KEY") }

func isPublic(kind string) bool {
	return kind == "CERTIFICATE" || kind == "PUBLIC KEY" || kind == "RSA PUBLIC KEY"
}

func isCertificate(kind string) bool { return kind == "CERTIFICATE" }

// pemBlocks are the blocks of a file whose type is wanted. A block that is cut off or damaged
// is an error: encoding/pem skips it, and a certificate would be missing that nobody misses.
func pemBlocks(text []byte, wanted func(kind string) bool) (blocks []*pem.Block, err error) {
	begins := bytes.Count(text, []byte("-----BEGIN "))
	for rest := text; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		begins--
		if wanted(b.Type) {
			blocks = append(blocks, b)
		}
	}
	if begins > 0 {
		return nil, errors.New("has a PEM block that is damaged or cut off")
	}
	return blocks, nil
}

// Errors of encrypted keys, which are faults of the password's file.
var (
	errNoPassword    = errors.New("is encrypted, and no password is given")
	errWrongPassword = errors.New("does not open the key")
)

// privateKey reads the key of a block. password is nil if there is none. No error tells
// anything of the key.
func privateKey(b *pem.Block, password []byte) (crypto.Signer, error) {
	der, err := decrypted(b, password)
	if err != nil {
		return nil, err
	}
	var key any
	switch b.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(der)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(der)
	default:
		key, err = x509.ParsePKCS8PrivateKey(der)
	}
	signer, signs := key.(crypto.Signer)
	switch {
	case err != nil && len(b.Headers) > 0: // legacy encryption notices most wrong passwords only here
		return nil, errWrongPassword
	case err != nil:
		return nil, errors.New("has a key that is damaged or of an unknown kind")
	case !signs:
		return nil, errors.New("has a key that cannot sign")
	}
	return signer, strong(signer.Public())
}

// strong refuses keys that are too weak, and those that neither TLS nor JOSE has.
func strong(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < leastRSA {
			return fmt.Errorf("has an RSA key of %d bits; %d are the least", bits, leastRSA)
		}
	case *ecdsa.PublicKey:
		if k.Curve.Params().BitSize < 256 {
			return fmt.Errorf("has a key on the curve %s; P-256, P-384 and P-521 are taken", k.Curve.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		return errors.New("has a key that is neither ECDSA nor Ed25519 nor RSA")
	}
	return nil
}
