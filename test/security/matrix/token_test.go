package matrix

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What the platform of these tests wants of tokens.
const (
	issuerName   = "https://issuer.example"
	audienceName = "mep.example"
	keyID        = "k1"
)

// issuer signs tokens, right ones and wrong ones. Nothing here checks anything.
type issuer struct {
	key  ed25519.PrivateKey
	file string // its public key, in PEM
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	set, err := json.Marshal(map[string]any{"keys": []any{map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": keyID, "alg": "EdDSA", "use": "sig", "x": base64.RawURLEncoding.EncodeToString(public)}}})
	require.NoError(t, err)
	dir := t.TempDir()
	file := filepath.Join(dir, "keys.json")
	require.NoError(t, os.WriteFile(file, set, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "public.pem"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
	return &issuer{key: key, file: file}
}

type claims map[string]any

// of are the claims of a token that is right in everything.
func (i *issuer) claims(subject string, more claims) claims {
	now := time.Now().Unix()
	out := claims{"iss": issuerName, "aud": audienceName, "sub": subject, "iat": now - 60, "nbf": now - 60, "exp": now + 3600}
	maps.Copy(out, more)
	for name, value := range out {
		if value == nil {
			delete(out, name)
		}
	}
	return out
}

// token signs a right token. A claim that is nil is left out.
func (i *issuer) token(subject string, more claims) string {
	return i.signed(claims{"alg": "EdDSA", "kid": keyID, "typ": "JWT"}, i.claims(subject, more))
}

// signed signs whatever it is given.
func (i *issuer) signed(header, body claims) string {
	text := encoded(header) + "." + encoded(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(i.key, []byte(text)))
}

// withSecret authenticates a token by HMAC, as if key were a secret.
func withSecret(header, body claims, key []byte) string {
	text := encoded(header) + "." + encoded(body)
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func encoded(c claims) string {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}
