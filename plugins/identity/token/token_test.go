package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
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

func TestATokenWhoseClaimsAreNotRightIsRefused(t *testing.T) {
	key := newKey(t)
	keys := &fixed{set: setOf("a", key.Public())}
	v := verifier(keys)
	for name, c := range map[string]struct {
		change fields
		fault  Fault
	}{
		"expired":                 {fields{"exp": noon.Unix()}, Expired},
		"expired long ago":        {fields{"exp": 0}, Expired},
		"no end":                  {fields{"exp": nil}, Claims},
		"end as text":             {fields{"exp": "1900000000"}, Claims},
		"end beyond all times":    {fields{"exp": json.Number("1e300")}, Claims},
		"end before all times":    {fields{"exp": -1}, Claims},
		"begins later":            {fields{"nbf": noon.Unix() + 31}, NotYetValid},
		"begins as text":          {fields{"nbf": "now"}, Claims},
		"begins at null":          {fields{"nbf": json.RawMessage("null")}, Claims},
		"issued as text":          {fields{"iat": "now"}, Claims},
		"another issuer":          {fields{"iss": "https://issuer/"}, Issuer},
		"issuer in other letters": {fields{"iss": "https://ISSUER"}, Issuer},
		"no issuer":               {fields{"iss": nil}, Issuer},
		"list of issuers":         {fields{"iss": []string{"https://issuer"}}, Issuer},
		"another audience":        {fields{"aud": "mep2"}, Audience},
		"no audience":             {fields{"aud": nil}, Audience},
		"empty audience":          {fields{"aud": ""}, Audience},
		"empty audiences":         {fields{"aud": []string{}}, Audience},
		"audiences of all kinds":  {fields{"aud": []any{"mep", 1}}, Audience},
		"names nobody":            {fields{"sub": nil}, Claims},
		"names a number":          {fields{"sub": 1}, Claims},
		"names a path":            {fields{"sub": "../admin"}, Claims},
		"names several":           {fields{"sub": []string{"app-1"}}, Claims},
		"names everybody":         {fields{"sub": "*"}, Claims},
		"name in other letters":   {fields{"sub": nil, "Sub": "app-1"}, Claims},
		"roles as a number":       {fields{"roles": 1}, Claims},
		"roles as null":           {fields{"roles": json.RawMessage("null")}, Claims},
		"roles as an object":      {fields{"roles": fields{"admin": true}}, Claims},
		"roles with a number":     {fields{"roles": []any{"app", 1}}, Claims},
		"host of nothing":         {fields{"roles": "host"}, Claims},
		"host of an empty list":   {fields{"roles": "host", "apps": []string{}}, Claims},
		"host of everything":      {fields{"roles": "host", "apps": []string{"a", "*"}}, Claims},
		"host of a pattern":       {fields{"roles": "host", "apps": []string{"a*b"}}, Claims},
		"host of two stars":       {fields{"roles": "host", "apps": []string{"a**"}}, Claims},
		"host of a text":          {fields{"roles": "host", "apps": "a"}, Claims},
		"bound to what":           {fields{"cnf": "x"}, Confirmation},
		"bound to nothing":        {fields{"cnf": fields{}}, Confirmation},
		"bound to null":           {fields{"cnf": json.RawMessage("null")}, Confirmation},
		"bound to another key":    {fields{"cnf": fields{"jkt": "x"}}, Confirmation},
		"bound to two":            {fields{"cnf": fields{"x5t#S256": b64.EncodeToString(make([]byte, 32)), "jkt": "x"}}, Confirmation},
		"bound to a short sum":    {fields{"cnf": fields{"x5t#S256": "AAAA"}}, Confirmation},
		"bound over two lines":    {fields{"cnf": fields{"x5t#S256": b64.EncodeToString(make([]byte, 32)) + "\n"}}, Confirmation},
	} {
		_, err := verify(v, sign(t, key, header, good.with(c.change)), noon)
		require.Equal(t, c.fault, err, name)
	}
	require.Zero(t, keys.renewed, "none of them had keys fetched")
	p, err := verify(v, sign(t, key, header, good.with(fields{"nbf": noon.Unix() + 30, "exp": json.Number(fmt.Sprint(noon.Unix(), ".5"))})), noon)
	require.NoError(t, err, "the issuer's clock may be half a minute ahead")
	require.True(t, p.Expires.After(noon))
	p, err = verify(v, sign(t, key, header, good.with(fields{"cnf": fields{"x5t#S256": b64.EncodeToString(make([]byte, 32))}})), noon)
	require.NoError(t, err)
	require.Len(t, p.Thumbprint, 32)
}

func TestATokenWithASignatureThatIsNotTheIssuersIsRefused(t *testing.T) {
	key, other := newKey(t), newKey(t)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	v := verifier(&fixed{set: keys.NewSet([]*keys.Key{{ID: "a", Public: key.Public()}, {ID: "r", Public: rsaKey.Public()}, {ID: "e", Public: ed.Public()}})})
	for alg, k := range map[string]crypto.Signer{"ES256": key, "RS256": rsaKey, "EdDSA": ed} {
		_, err := verify(v, sign(t, k, fields{"alg": alg}, good), noon)
		require.NoError(t, err, alg)
	}
	body := func(h fields) string { return encode(t, h) + "." + encode(t, good) }
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	mac := hmac.New(sha256.New, der)
	mac.Write([]byte(body(header.with(fields{"alg": "HS256"}))))
	whole := sign(t, key, header, good)
	parts := strings.Split(whole, ".")
	for name, c := range map[string]struct {
		raw   string
		fault Fault
	}{
		"none":                     {body(fields{"alg": "none"}) + ".", Malformed},
		"none with a signature":    {body(fields{"alg": "none"}) + "." + parts[2], Algorithm},
		"None":                     {body(fields{"alg": "None"}) + "." + parts[2], Algorithm},
		"the public key as HMAC":   {body(header.with(fields{"alg": "HS256"})) + "." + b64.EncodeToString(mac.Sum(nil)), Algorithm},
		"not on the list":          {sign(t, key, header.with(fields{"alg": "ES384"}), good), Algorithm},
		"another's key":            {sign(t, other, header, good), Signature},
		"another's without kid":    {sign(t, other, header.with(fields{"kid": nil}), good), UnknownKey},
		"another kind of key":      {sign(t, rsaKey, header, good), Signature},
		"the kid of another":       {sign(t, key, header.with(fields{"kid": "r"}), good), UnknownKey},
		"unknown kid":              {sign(t, key, header.with(fields{"kid": "b"}), good), UnknownKey},
		"a path for a kid":         {sign(t, key, header.with(fields{"kid": "../../../dev/null"}), good), UnknownKey},
		"a URL for a kid":          {sign(t, key, header.with(fields{"kid": "https://evil/keys"}), good), UnknownKey},
		"no kid in it":             {sign(t, key, header.with(fields{"kid": ""}), good), Malformed},
		"a number for a kid":       {sign(t, key, header.with(fields{"kid": 1}), good), Malformed},
		"other claims":             {parts[0] + "." + encode(t, good.with(fields{"sub": "app-2"})) + "." + parts[2], Signature},
		"no signature":             {parts[0] + "." + parts[1] + ".", Malformed},
		"another form of the same": {whole[:len(whole)-1] + nextCharacter(whole), Malformed},
		"a short signature":        {parts[0] + "." + parts[1] + ".AAAA", Signature},
		"zeros":                    {parts[0] + "." + parts[1] + "." + b64.EncodeToString(make([]byte, 64)), Signature},
	} {
		_, err := verify(v, c.raw, noon)
		require.Equal(t, c.fault, err, name)
	}
}

// nextCharacter is the last one of a signature of 64 bytes with other unused bits.
func nextCharacter(whole string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, whole[len(whole)-1])+1:][:1]
}

func TestATokenThatBringsItsOwnKeyOrWantsMoreToBeUnderstoodIsRefused(t *testing.T) {
	key := newKey(t)
	v := verifier(&fixed{set: setOf("a", key.Public())})
	own := newKey(t)
	jwk, err := json.Marshal(jose.JSONWebKey{Key: own.Public()})
	require.NoError(t, err)
	foreign := fields{
		"jwk": json.RawMessage(jwk), "jku": "https://evil/keys", "x5u": "https://evil/cert", "x5c": []string{"AAAA"},
		"crit": []string{"b64"}, "b64": false, "typ": "dpop+jwt",
	}
	for name, value := range foreign {
		for _, k := range []*ecdsa.PrivateKey{key, own} {
			_, err := verify(v, sign(t, k, header.with(fields{name: value}), good), noon)
			require.Equal(t, Malformed, err, name)
		}
	}
}

func TestWhatIsNoTokenIsRefused(t *testing.T) {
	key := newKey(t)
	whole := sign(t, key, header, good)
	parts := strings.Split(whole, ".")
	raw := func(header, claims string) string {
		return signText(t, key, b64.EncodeToString([]byte(header))+"."+b64.EncodeToString([]byte(claims)))
	}
	claims, err := json.Marshal(good)
	require.NoError(t, err)
	for _, bad := range []string{
		"", ".", "..", "...", "a.b.c", whole + ".", "." + whole, whole + "=", whole + "\n", " " + whole, strings.Replace(whole, ".", "..", 1),
		parts[0][:8] + "\n" + parts[0][8:] + "." + parts[1] + "." + parts[2],
		parts[0] + "." + parts[1] + "." + parts[2] + ".AAAA.AAAA",
		raw("null", string(claims)), raw("[]", string(claims)), raw(`{"alg":"ES256"}`, "null"), raw(`{"alg":"ES256"}`, `"text"`),
		raw(`{}`, string(claims)), raw(`{"alg":1}`, string(claims)), raw(`{"ALG":"ES256"}`, string(claims)),
		raw(`{"alg":"ES256","alg":"none"}`, string(claims)), raw(`{"alg":"ES256"} x`, string(claims)),
		raw(`{"alg":"ES256"}`, `{"sub":"a",`+string(claims)[1:]),
		sign(t, key, header, good.with(fields{"fill": strings.Repeat("x", MaxBytes)})),
	} {
		_, err := Parse(bad)
		require.Equal(t, Malformed, err, "%.100q", bad)
	}
}

func TestAnUnknownKeyIsLookedForOnceAndARotatedOneIsFound(t *testing.T) {
	first, second := newKey(t), newKey(t)
	source := &fixed{set: setOf("a", first.Public()), newer: setOf("b", second.Public())}
	v := verifier(source)
	old := sign(t, first, header, good)
	p, err := verify(v, old, noon)
	require.NoError(t, err)
	require.Same(t, source.set, p.Keys)
	_, err = verify(v, sign(t, second, header.with(fields{"kid": "b"}), good), noon)
	require.NoError(t, err)
	require.Equal(t, 1, source.renewed)
	_, err = verify(v, old, noon)
	require.Equal(t, UnknownKey, err, "a key that is withdrawn verifies nothing any more")
	require.Equal(t, 2, source.renewed)

	source = &fixed{set: setOf("", first.Public()), newer: setOf("", second.Public())}
	_, err = verify(verifier(source), sign(t, second, header.with(fields{"kid": nil}), good), noon)
	require.NoError(t, err, "nor need keys have names for that")
	_, err = verify(verifier(&fixed{}), old, noon)
	require.Equal(t, NoKeys, err)
}

func TestErrorsSayNothingOfTheToken(t *testing.T) {
	for _, f := range Faults() {
		require.Equal(t, "the token is not taken: "+string(f), f.Error())
	}
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
