package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"testing"
)

// TokenKey signs tokens (JWT) with ES256, also such that nobody should take.
type TokenKey struct {
	ID      string // kid
	Private *ecdsa.PrivateKey
	t       testing.TB
}

// NewTokenKey makes a key.
func NewTokenKey(t testing.TB, id string) *TokenKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &TokenKey{id, private, t}
}

// Token makes a token of the claims. Members of header are added to the usual ones, or
// replace them.
func (k *TokenKey) Token(claims map[string]any, header ...map[string]any) string {
	k.t.Helper()
	all := map[string]any{"alg": "ES256", "typ": "JWT", "kid": k.ID}
	for _, more := range header {
		maps.Copy(all, more)
	}
	text := k.encode(all) + "." + k.encode(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, k.Private, sum[:])
	if err != nil {
		k.t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func (k *TokenKey) encode(v any) string {
	k.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		k.t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// PEM is the public key as a PEM file has it.
func (k *TokenKey) PEM() []byte {
	k.t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.Private.Public())
	if err != nil {
		k.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// JWKS is the set of some public keys (RFC 7517).
func JWKS(t testing.TB, keys ...*TokenKey) []byte {
	t.Helper()
	list := []map[string]string{}
	for _, k := range keys {
		point, err := k.Private.PublicKey.Bytes() // 4, x, y
		if err != nil {
			t.Fatal(err)
		}
		b64 := base64.RawURLEncoding.EncodeToString
		list = append(list, map[string]string{"kty": "EC", "crv": "P-256", "kid": k.ID, "use": "sig", "x": b64(point[1:33]), "y": b64(point[33:])})
	}
	b, err := json.Marshal(map[string]any{"keys": list})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
