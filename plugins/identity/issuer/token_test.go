package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/certs"
)

// fields are the claims of a good token of a credential, to be altered.
func (p *platform) fields(id string) map[string]any {
	now := p.clock.Unix()
	return map[string]any{"iss": "mepserver", "aud": "mepserver", "sub": id, "jti": "j", "iat": now, "nbf": now, "exp": now + 900,
		"roles": []string{"app"}, "cred": p.known.get(id).Generation}
}

// signed is a token of any claims, by any key and header.
func signed(t *testing.T, alg jose.SignatureAlgorithm, key any, header map[jose.HeaderKey]any, fields map[string]any) string {
	t.Helper()
	o := (&jose.SignerOptions{}).WithType(tokenType)
	for k, v := range header {
		o = o.WithHeader(k, v)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o)
	require.NoError(t, err)
	text, err := json.Marshal(fields)
	require.NoError(t, err)
	signed, err := s.Sign(text)
	require.NoError(t, err)
	out, err := signed.CompactSerialize()
	require.NoError(t, err)
	return out
}

func unsigned(header, claims any) string {
	part := func(v any) string { b, _ := json.Marshal(v); return base64.RawURLEncoding.EncodeToString(b) }
	return part(header) + "." + part(claims) + "."
}

func TestForgedTokensAreRefused(t *testing.T) {
	p := newPlatform(t, true)
	p.added(t, NewCredential{ID: "app"})
	own := p.private[0]
	set := p.keys()
	var kid string
	for id := range set.byID {
		kid = id
	}
	by := func(change func(map[string]any)) string {
		f := p.fields("app")
		change(f)
		return signed(t, jose.ES256, own, map[jose.HeaderKey]any{"kid": kid}, f)
	}
	keep := func(map[string]any) {}
	good := by(keep)
	issued, err := p.Verify(t.Context(), good)
	require.NoError(t, err)
	require.Equal(t, "app", issued.Caller.App)

	der, err := x509.MarshalPKIXPublicKey(own.Public())
	require.NoError(t, err)
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	stranger := newKey(t)
	jwk, err := json.Marshal(jose.JSONWebKey{Key: stranger.Public()})
	require.NoError(t, err)
	parts := strings.Split(good, ".")
	at := func(d time.Duration) int64 { return p.clock.Add(d).Unix() }
	set1 := func(name string, v any) string { return by(func(f map[string]any) { f[name] = v }) }
	without := func(name string) string { return by(func(f map[string]any) { delete(f, name) }) }
	for name, token := range map[string]string{
		"nothing":                  "",
		"no token":                 "a.b.c",
		"too long":                 good + strings.Repeat("A", longestToken),
		"alg none":                 unsigned(map[string]string{"alg": "none", "kid": kid, "typ": tokenType}, p.fields("app")),
		"alg none in capitals":     unsigned(map[string]string{"alg": "NONE", "kid": kid, "typ": tokenType}, p.fields("app")),
		"no signature":             parts[0] + "." + parts[1] + ".",
		"another payload":          parts[0] + "." + strings.Split(set1("sub", "other"), ".")[1] + "." + parts[2],
		"HMAC with the public key": signed(t, jose.HS256, public, map[jose.HeaderKey]any{"kid": kid}, p.fields("app")),
		"HMAC with its DER":        signed(t, jose.HS256, der, map[jose.HeaderKey]any{"kid": kid}, p.fields("app")),
		"another key":              signed(t, jose.ES256, stranger, map[jose.HeaderKey]any{"kid": kid}, p.fields("app")),
		"an unknown kid":           signed(t, jose.ES256, own, map[jose.HeaderKey]any{"kid": "other"}, p.fields("app")),
		"a kid that is a path":     signed(t, jose.ES256, own, map[jose.HeaderKey]any{"kid": "../../../../dev/null"}, p.fields("app")),
		"no kid":                   signed(t, jose.ES256, own, nil, p.fields("app")),
		"a key of its own":         signed(t, jose.ES256, stranger, map[jose.HeaderKey]any{"kid": "x", "jwk": json.RawMessage(jwk)}, p.fields("app")),
		"a URL of a key":           signed(t, jose.ES256, stranger, map[jose.HeaderKey]any{"kid": "x", "jku": "https://127.0.0.1:1/jwks.json"}, p.fields("app")),
		"a critical header":        signed(t, jose.ES256, own, map[jose.HeaderKey]any{"kid": kid, "crit": []string{"x"}, "x": 1}, p.fields("app")),
		"of another type":          signed(t, jose.ES256, own, map[jose.HeaderKey]any{"kid": kid, "typ": "JWT"}, p.fields("app")),
		"expired":                  set1("exp", at(0)),
		"without an end":           without("exp"),
		"not yet valid":            set1("nbf", at(leeway+2*time.Second)),
		"made in the future":       set1("iat", at(leeway+2*time.Second)),
		"without a beginning":      without("nbf"),
		"of another issuer":        set1("iss", "mepserver2"),
		"for another audience":     set1("aud", []string{"other"}),
		"for nobody":               without("aud"),
		"of nobody":                without("sub"),
		"whose name is a path":     set1("sub", "../app"),
		"of another credential":    set1("sub", "other"),
		"of an older credential":   set1("cred", "x"),
		"of no credential":         without("cred"),
		"with roles of a string":   set1("roles", "admin"),
		"JSON serialization":       `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`,
	} {
		_, err := p.Verify(t.Context(), token)
		require.ErrorIs(t, err, server.ErrCredential, name)
	}
	_, err = p.Verify(t.Context(), set1("nbf", at(leeway-2*time.Second)))
	require.NoError(t, err, "the clocks of replicas differ")
}

func TestATokenSaysWhoAndWhatItMay(t *testing.T) {
	p := newPlatform(t, true)
	secret := p.added(t, NewCredential{ID: "host-1", Roles: []string{"host", "reader"}, Apps: []string{"a-*", "b"}})
	issued, err := p.Verify(t.Context(), p.tokenOf(t, "host-1", secret))
	require.NoError(t, err)
	require.Equal(t, plugins.Caller{Name: "host-1", Apps: []string{"a-*", "b"}, Roles: []string{"host", "reader"}, Source: "token"}, issued.Caller)
	require.WithinDuration(t, p.clock.Add(15*time.Minute), issued.Ends, time.Second)
	out, err := p.grant(t.Context(), "host-1", secret, "reader", "192.0.2.1:1")
	require.NoError(t, err)
	issued, err = p.Verify(t.Context(), out.token)
	require.NoError(t, err)
	require.Equal(t, plugins.Caller{Name: "host-1", Roles: []string{"reader"}, Source: "token"}, issued.Caller, "a narrower token acts for nobody")
	for _, scope := range []string{"admin", "reader admin", "reader reader", " ", "reader "} {
		_, err := p.grant(t.Context(), "host-1", secret, scope, "192.0.2.1:1")
		require.ErrorIs(t, err, errScope, "%q", scope)
	}
	longest := p.added(t, NewCredential{ID: strings.Repeat("i", 128), Roles: []string{"host", "reader", "admin", "registry", "app"}, Apps: strings.Split(strings.Repeat("abcdefg,", 181)+"abcdefg", ",")})
	require.Less(t, len(p.tokenOf(t, strings.Repeat("i", 128), longest)), longestCookie, "browsers keep it")
}

// A client that uses its token up to the last moment of expires_in must not be refused: it
// would miss a heartbeat.
func TestATokenIsValidAsLongAsItsClientIsTold(t *testing.T) {
	p := newPlatform(t, true)
	secret := p.added(t, NewCredential{ID: "app"})
	for range 20 {
		p.clock = p.clock.Add(123456789)
		made := p.clock
		token := p.tokenOf(t, "app", secret)
		p.clock = made.Add(p.life - 1)
		_, err := p.Verify(t.Context(), token)
		require.NoError(t, err)
		p.clock = made.Add(p.life + time.Second)
		_, err = p.Verify(t.Context(), token)
		require.ErrorIs(t, err, server.ErrCredential)
	}
}

// The first key signs, the others only verify; a key that is taken away ends its tokens.
func TestKeysAreReplacedWithoutAnInterruption(t *testing.T) {
	p := newPlatform(t, true)
	secret := p.added(t, NewCredential{ID: "app"})
	old, next := p.private[0], newKey(t)
	before, err := p.Verify(t.Context(), p.tokenOf(t, "app", secret))
	require.NoError(t, err)
	p.private = []crypto.Signer{old, next}
	still, err := p.Verify(t.Context(), p.tokenOf(t, "app", secret))
	require.NoError(t, err)
	require.Equal(t, before.Key, still.Key)
	p.private = []crypto.Signer{next, old, next}
	require.Len(t, p.keys().byID, 2)
	after, err := p.Verify(t.Context(), p.tokenOf(t, "app", secret))
	require.NoError(t, err)
	require.NotEqual(t, before.Key, after.Key)
	require.NoError(t, p.Check(before))
	p.private = []crypto.Signer{next}
	require.ErrorIs(t, p.Check(before), server.ErrCredential)
	require.NoError(t, p.Check(after))
}

func TestKeysOfEachKindSignAndOthersAreFaults(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p := newPlatform(t, true)
	secret := p.added(t, NewCredential{ID: "app"})
	for _, key := range []crypto.Signer{newKey(t), ed, rsaKey} {
		p.private = []crypto.Signer{key}
		_, err := p.Verify(t.Context(), p.tokenOf(t, "app", secret))
		require.NoError(t, err)
		var set jose.JSONWebKeySet
		require.NoError(t, json.Unmarshal(p.keys().published, &set))
		require.Len(t, set.Keys, 1)
		require.True(t, set.Keys[0].IsPublic() && set.Keys[0].Valid())
		require.NotContains(t, string(p.keys().published), `"d":`)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	require.NoError(t, err)
	for _, bad := range [][]crypto.Signer{nil, {p521}, {newKey(t), p521}} {
		_, err := newKeySet(bad)
		require.Error(t, err)
	}
}

func TestAKeyFileIsReadAsItIsUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "issuer.key")
	_, err := certs.Load(keyFile{file}, time.Now())
	require.ErrorContains(t, err, file)
	var text []byte
	for range 2 {
		der, err := x509.MarshalPKCS8PrivateKey(newKey(t))
		require.NoError(t, err)
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	}
	require.NoError(t, os.WriteFile(file, text, 0o600))
	set, err := certs.Load(keyFile{file}, time.Now())
	require.NoError(t, err)
	require.Len(t, set.byID, 2)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(p384)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	_, err = certs.Load(keyFile{file}, time.Now())
	require.ErrorContains(t, err, "P-256, Ed25519")
}
