package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins/identity/keys"
)

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
