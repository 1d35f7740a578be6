package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/pki"
)

func newEC(t testing.TB) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return k
}

func newRSA(t testing.TB, bits int) *rsa.PrivateKey {
	t.Setenv("GODEBUG", "rsa1024min=0")
	k, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	return k
}

func jwks(t testing.TB, all ...any) []byte {
	b, err := json.Marshal(map[string]any{"keys": all})
	require.NoError(t, err)
	return b
}

func pemOf(t testing.TB, public crypto.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func TestAJWKSGivesTheKeysThatVerifySignaturesAndNoOthers(t *testing.T) {
	ec, weak := newEC(t), newRSA(t, 1024)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	set, err := Parse(jwks(t,
		jose.JSONWebKey{Key: ec.Public(), KeyID: "good"},
		jose.JSONWebKey{Key: ed.Public(), KeyID: "ed", Use: "sig", Algorithm: "EdDSA"},
		jose.JSONWebKey{Key: ec.Public(), KeyID: "encrypts", Use: "enc"},
		jose.JSONWebKey{Key: ec, KeyID: "private"},
		jose.JSONWebKey{Key: []byte("a secret of an HMAC, thirty-two b"), KeyID: "hmac"},
		jose.JSONWebKey{Key: weak.Public(), KeyID: "weak"},
		map[string]any{"kty": "of the future", "kid": "future"},
		map[string]any{"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA", "kid": "not on the curve"},
		"no object",
	))
	require.NoError(t, err)
	require.Equal(t, 2, set.Len())
	require.Len(t, set.Find("good", jose.ES256), 1)
	require.Len(t, set.Find("ed", jose.EdDSA), 1)
	require.Len(t, set.Find("", jose.ES256), 1, "a token that names no key")
	for _, id := range []string{"encrypts", "private", "hmac", "weak", "future", "../../etc/passwd", "GOOD"} {
		require.Empty(t, set.Find(id, jose.ES256), id)
	}
	for _, a := range []jose.SignatureAlgorithm{jose.ES384, jose.RS256, jose.PS256, jose.EdDSA, jose.HS256, "none", ""} {
		require.Empty(t, set.Find("good", a), "a key is for its own kind of algorithm, not for %s", a)
	}
}

func TestAKeyThatIsForOneAlgorithmIsForNoOther(t *testing.T) {
	set, err := Parse(jwks(t, jose.JSONWebKey{Key: newRSA(t, 2048).Public(), KeyID: "r", Algorithm: "PS256"}))
	require.NoError(t, err)
	require.Len(t, set.Find("r", jose.PS256), 1)
	require.Empty(t, set.Find("r", jose.RS256))
}

func TestPEMGivesPublicKeysAndThoseOfCertificates(t *testing.T) {
	ec, cert := newEC(t), pki.New(t).Client("issuer")
	der := x509.MarshalPKCS1PublicKey(&newRSA(t, 2048).PublicKey)
	data := append(pemOf(t, ec.Public()), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.TLS.Certificate[0]})...)
	data = append(data, pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: der})...)
	set, err := Parse(data)
	require.NoError(t, err)
	require.Len(t, set.Find("", jose.ES256), 2)
	require.Len(t, set.Find("any name: these have none", jose.RS256), 1)
}

func TestWhatIsNoSetOfKeysIsRefusedWithTheReason(t *testing.T) {
	private, err := x509.MarshalPKCS8PrivateKey(newEC(t))
	require.NoError(t, err)
	good := string(pemOf(t, newEC(t).Public()))
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	for data, why := range map[string]string{
		"": "has no PEM block",
		strings.Replace(good, "END", "EMD", 1) + good: "damaged or cut off", // whose key would be missing
		"text":                          "neither a JSON Web Key Set nor PEM",
		good + "text":                   "behind its last key",
		"{":                             "not JSON",
		`{"keys":[],"keys":[]}`:         "twice",
		`{"keys":[]}`:                   "no public key",
		`{"keys":"x"}`:                  "no JSON Web Key Set",
		strings.Repeat(good, maxKeys+1): "at most 64",
		string(pemOf(t, p224.Public())): "on the curve P-224",
		string(pemOf(t, newRSA(t, 1024).Public())):                                  "1024 bits",
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})): "has a private key",
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: private})):  "damaged",
		string(pem.EncodeToMemory(&pem.Block{Type: "MESSAGE", Bytes: private})):     "neither PUBLIC KEY",
	} {
		_, err := Parse([]byte(data))
		require.ErrorContains(t, err, why)
	}
}

func TestSetsAreTheSameIfTheirKeysAndNamesAre(t *testing.T) {
	a, b := newEC(t), newEC(t)
	set := func(id string, k *ecdsa.PrivateKey) *Set { return NewSet([]*Key{{ID: id, Public: k.Public()}}) }
	require.True(t, set("a", a).Same(set("a", a)))
	require.False(t, set("a", a).Same(set("b", a)))
	require.False(t, set("a", a).Same(set("a", b)))
	require.False(t, set("a", a).Same(nil))
	require.Zero(t, (*Set)(nil).Len())
	require.Empty(t, (*Set)(nil).Find("a", jose.ES256))
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a","use":"sig","key_ops":["verify"]}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","alg":"ES256"}]}`))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n"))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"oct","k":"AAAA"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := Parse(data)
		if err != nil {
			return
		}
		require.Positive(t, set.Len())
		require.LessOrEqual(t, set.Len(), maxKeys)
		for _, k := range set.keys {
			require.NoError(t, Usable(k.Public))
		}
		again, err := Parse(data)
		require.NoError(t, err)
		require.True(t, set.Same(again))
	})
}
