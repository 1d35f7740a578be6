package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins/identity/keys"
)

var (
	b64     = base64.RawURLEncoding
	noon    = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	allowed = []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.PS256, jose.RS256}
)

// fixed are keys that do not change until a test changes them.
type fixed struct {
	set     *keys.Set
	newer   *keys.Set
	renewed int
}

func (f *fixed) Current() *keys.Set { return f.set }

func (f *fixed) Renew(context.Context, *keys.Set) *keys.Set {
	f.renewed++
	if f.newer != nil {
		f.set, f.newer = f.newer, nil
		return f.set
	}
	return nil
}

func setOf(id string, public crypto.PublicKey) *keys.Set {
	return keys.NewSet([]*keys.Key{{ID: id, Public: public}})
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return k
}

// fields are the members of a header or of claims.
type fields map[string]any

// with returns the fields with some changed; nil removes one.
func (f fields) with(changes fields) fields {
	out := maps.Clone(f)
	for k, v := range changes {
		if out[k] = v; v == nil {
			delete(out, k)
		}
	}
	return out
}

var (
	header = fields{"alg": "ES256", "typ": "JWT", "kid": "a"}
	good   = fields{"iss": "https://issuer", "aud": "mep", "sub": "app-1", "exp": noon.Unix() + 60, "iat": noon.Unix()}
)

func encode(t testing.TB, f fields) string {
	b, err := json.Marshal(f)
	require.NoError(t, err)
	return b64.EncodeToString(b)
}

// sign makes a token as any key may sign it, whatever the header says.
func sign(t testing.TB, key crypto.Signer, header, claims fields) string {
	t.Helper()
	return signText(t, key, encode(t, header)+"."+encode(t, claims))
}

func signText(t testing.TB, key crypto.Signer, text string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	var signature []byte
	var err error
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		r, s, e := ecdsa.Sign(rand.Reader, k, sum[:])
		require.NoError(t, e)
		signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case ed25519.PrivateKey:
		signature = ed25519.Sign(k, []byte(text))
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
	}
	require.NoError(t, err)
	return text + "." + b64.EncodeToString(signature)
}

func verifier(k Keys) *Verifier {
	return &Verifier{Issuer: "https://issuer", Audience: "mep", Algorithms: allowed, Claim: "sub", RolesClaim: "roles", Keys: k}
}

func verify(v *Verifier, raw string, now time.Time) (*Proof, error) {
	t, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	return v.Verify(context.Background(), t, now)
}

func TestAValidTokenSaysWhoCalls(t *testing.T) {
	key := newKey(t)
	v := verifier(&fixed{set: setOf("a", key.Public())})
	p, err := verify(v, sign(t, key, header, good), noon)
	require.NoError(t, err)
	require.Equal(t, "app-1", p.Name)
	require.Equal(t, []string{"app"}, p.Roles)
	require.True(t, p.Expires.Equal(noon.Add(time.Minute)))
	require.Nil(t, p.Thumbprint)

	p, err = verify(v, sign(t, key, header.with(fields{"typ": "application/AT+JWT"}), good.with(fields{"aud": []string{"x", "mep"}, "roles": "offline_access host  reader", "apps": []string{"a", "b-*"}})), noon)
	require.NoError(t, err)
	require.Equal(t, []string{"host", "reader"}, p.Roles)
	require.Equal(t, []string{"a", "b-*"}, p.Apps)

	p, err = verify(v, sign(t, key, header.with(fields{"typ": nil}), good.with(fields{"roles": []string{"somebody else's"}})), noon)
	require.NoError(t, err)
	require.Empty(t, p.Roles, "roles of others are none here, and app is only for those that have no roles at all")
}

func TestATokenOfAnIssuerWithoutAudiences(t *testing.T) {
	key := newKey(t)
	v := verifier(&fixed{set: setOf("a", key.Public())})
	v.Audience, v.NoAudience, v.RolesClaim, v.AddressClaim = "", true, "", "clientip"
	own := good.with(fields{"aud": nil, "": "admin", "roles": "admin"})
	for claim, address := range map[any]string{"10.0.0.1": "10.0.0.1", "::ffff:10.0.0.1": "10.0.0.1", "fd00::1": "fd00::1", "UNKNOWN_IP": "invalid IP", "": "invalid IP", 7: "invalid IP", nil: "invalid IP"} {
		p, err := verify(v, sign(t, key, header, own.with(fields{"clientip": claim})), noon)
		require.NoError(t, err)
		require.Equal(t, []string{"app"}, p.Roles)
		require.Equal(t, address, p.Address.String())
	}
	for _, aud := range []any{"mep", "", []string{}, []string{"mep"}} {
		_, err := verify(v, sign(t, key, header, own.with(fields{"aud": aud})), noon)
		require.Equal(t, Audience, err, "one that is for somebody")
	}
	v.NoAudience = false
	_, err := verify(v, sign(t, key, header, own), noon)
	require.Equal(t, Audience, err)
}

func FuzzVerify(f *testing.F) {
	key := newKey(f)
	v := verifier(&fixed{set: setOf("a", key.Public())})
	for _, h := range []string{`{"alg":"ES256","kid":"a"}`, `{"alg":"none"}`, `{"alg":"ES256","crit":["exp"]}`, `{"alg":"HS256","kid":"../x"}`} {
		for _, c := range []string{`{"iss":"https://issuer","aud":"mep","sub":"a","exp":1e12}`, `{"sub":"a","sub":"b"}`, `{"cnf":{"x5t#S256":""},"roles":["host"],"apps":["*"]}`, "[[[[["} {
			f.Add(h, c)
		}
	}
	f.Fuzz(func(t *testing.T, header, claims string) {
		text := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(claims))
		p, err := verify(v, signText(t, key, text), noon)
		if err != nil {
			require.Contains(t, Faults(), err)
			return
		}
		require.Equal(t, noon.Before(p.Expires), true)
		require.NotEmpty(t, p.Name)
		_, err = verify(v, text+"."+b64.EncodeToString(make([]byte, 64)), noon)
		require.Error(t, err, "without the issuer's signature nothing counts")
	})
}

func FuzzParse(f *testing.F) {
	key := newKey(f)
	f.Add(sign(f, key, header, good))
	f.Add("a.b.c")
	f.Add(fmt.Sprintf("%s.%s.", encode(f, fields{"alg": "none"}), encode(f, good)))
	f.Fuzz(func(t *testing.T, raw string) {
		if parsed, err := Parse(raw); err == nil {
			require.LessOrEqual(t, len(raw), MaxBytes)
			require.Equal(t, 2, strings.Count(raw, "."))
			_ = parsed.Issuer()
		}
	})
}
