package certs

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/youmark/pkcs8"
)

// decrypted is what a block of a private key holds. Encrypted are PKCS#8 (RFC 5958 §3, with
// PBES2 of RFC 8018 §6.2) and the older form that RFC 1421 has headers for.
func decrypted(b *pem.Block, password []byte) ([]byte, error) {
	legacy := b.Headers["DEK-Info"] != ""
	switch {
	case b.Type != "ENCRYPTED PRIVATE KEY" && !legacy:
		return b.Bytes, nil
	case len(password) == 0:
		return nil, errNoPassword
	case legacy:
		der, err := x509.DecryptPEMBlock(b, password) //nolint:staticcheck // weak, but what the password guards is on our disk
		switch {
		case errors.Is(err, x509.IncorrectPasswordError): //nolint:staticcheck // the same
			return nil, errWrongPassword
		case err != nil:
			return nil, errors.New("is encrypted by a cipher that is not known, or damaged")
		}
		return der, nil
	}
	return decryptPKCS8(b.Bytes, password)
}

// decryptPKCS8 opens an EncryptedPrivateKeyInfo. The library panics where lengths do not fit.
func decryptPKCS8(der, password []byte) (out []byte, err error) {
	defer func() {
		if recover() != nil {
			out, err = nil, errors.New("is encrypted and damaged")
		}
	}()
	if err := affordable(der); err != nil {
		return nil, err
	}
	key, _, err := pkcs8.ParsePrivateKey(der, password)
	if err != nil {
		return nil, errWrongPassword
	}
	return x509.MarshalPKCS8PrivateKey(key)
}

// The most that it may cost to derive the key from the password: OpenSSL's defaults are 2048
// rounds and 16 MiB. A damaged file could demand years or all memory.
const (
	mostRounds = 2_000_000
	mostMemory = 256 << 20
)

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	oidSHA1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
	oidSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
)

// affordable says why a key cannot be decrypted whatever the password is.
func affordable(der []byte) error {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	var scheme struct{ Derivation, Encryption pkix.AlgorithmIdentifier }
	unknown := errors.New("is encrypted by a scheme that is not known; openssl pkcs8 -topk8 -v2 aes-256-cbc writes one that is")
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return errors.New("is encrypted and damaged")
	}
	if !info.Algorithm.Algorithm.Equal(oidPBES2) {
		return unknown
	}
	if _, err := asn1.Unmarshal(info.Algorithm.Parameters.FullBytes, &scheme); err != nil {
		return errors.New("is encrypted and damaged")
	}
	parameters := scheme.Derivation.Parameters.FullBytes
	switch {
	case scheme.Derivation.Algorithm.Equal(oidPBKDF2):
		var p struct {
			Salt   []byte
			Rounds int
			Length int                      `asn1:"optional"`
			Hash   pkix.AlgorithmIdentifier `asn1:"optional"`
		}
		if _, err := asn1.Unmarshal(parameters, &p); err != nil || p.Rounds < 1 || p.Rounds > mostRounds {
			return fmt.Errorf("is encrypted and damaged, or with more than %d rounds", mostRounds)
		}
		if h := p.Hash.Algorithm; len(h) > 0 && !h.Equal(oidSHA1) && !h.Equal(oidSHA256) {
			return unknown
		}
	case scheme.Derivation.Algorithm.Equal(oidScrypt):
		var p struct {
			Salt      []byte
			N, R, P   int
			KeyLength int `asn1:"optional"`
		}
		if _, err := asn1.Unmarshal(parameters, &p); err != nil || p.N < 2 || p.R < 1 || p.P < 1 ||
			p.N > mostMemory/128 || p.R > mostMemory/128/p.N || p.P > 16 {
			return fmt.Errorf("is encrypted and damaged, or needs more than %d bytes", mostMemory)
		}
	default:
		return unknown
	}
	return nil
}

// passwordOf is the one line of a password's file.
func passwordOf(content []byte) ([]byte, error) {
	line := bytes.TrimSuffix(bytes.TrimSuffix(content, []byte("\n")), []byte("\r"))
	switch {
	case len(line) == 0:
		return nil, errors.New("is empty; it must hold the password on one line")
	case bytes.ContainsAny(line, "\r\n"):
		return nil, errors.New("has several lines; it must hold the password on one")
	}
	return line, nil
}
