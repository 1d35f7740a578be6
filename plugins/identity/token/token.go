// Package token knows JSON Web Tokens: which forms of them are taken, what their claims mean
// here, and how they are verified. It must not know where a token came from, nor what its
// bearer wants to do. Nothing of a token stands in its errors.
package token

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// MaxBytes is how long a token may be.
const MaxBytes = 16 << 10

// Fault is why a token is not taken.
type Fault string

// The faults, by the first thing that is wrong with a token.
const (
	Malformed    Fault = "malformed"
	Algorithm    Fault = "algorithm"
	UnknownKey   Fault = "unknown_key"
	Signature    Fault = "signature"
	Issuer       Fault = "issuer"
	Audience     Fault = "audience"
	Expired      Fault = "expired"
	NotYetValid  Fault = "not_yet_valid"
	Claims       Fault = "claims"
	Confirmation Fault = "confirmation"
	// NoKeys is not the token's: there never were keys that could verify it.
	NoKeys Fault = "no_keys"
)

// Error implements error.
func (f Fault) Error() string { return "the token is not taken: " + string(f) }

// Faults are all faults there are.
func Faults() []Fault {
	return []Fault{Malformed, Algorithm, UnknownKey, Signature, Issuer, Audience, Expired, NotYetValid, Claims, Confirmation, NoKeys}
}

// Token is a token as it was presented. Nothing that it says is proved.
type Token struct {
	raw       string
	keyID     string
	algorithm jose.SignatureAlgorithm
	claims    claims
}

// claims are those of the payload, by their exact names.
type claims map[string]json.RawMessage

// Parse takes a token apart: a JWS in compact serialization (RFC 7515 §7.1) whose payload is
// a JSON object. Names that stand twice are refused in header and payload, for another reader
// could take the other value.
func Parse(raw string) (*Token, error) {
	parts := strings.Split(raw, ".")
	if len(raw) > MaxBytes || len(parts) != 3 {
		return nil, Malformed
	}
	header, payload := claims{}, claims{}
	if !decode(parts[0], &header) || !decode(parts[1], &payload) {
		return nil, Malformed
	}
	if _, ok := decodeBase64(parts[2]); !ok {
		return nil, Malformed
	}
	t := &Token{raw: raw, claims: payload}
	algorithm, isText := header.text("alg")
	if !isText {
		return nil, Malformed
	}
	t.algorithm = jose.SignatureAlgorithm(algorithm)
	if header.has("kid") {
		if t.keyID, isText = header.text("kid"); !isText || t.keyID == "" {
			return nil, Malformed
		}
	}
	if !header.isPlain() {
		return nil, Malformed
	}
	return t, nil
}

// isPlain refuses headers that bring a key of their own or say where to fetch one, those that
// must be understood (RFC 7515 §4.1.11; nothing of the kind is), and what is signed by the
// same issuer for another purpose (RFC 8725 §3.11).
func (c claims) isPlain() bool {
	for _, name := range []string{"crit", "b64", "jwk", "jku", "x5u", "x5c"} {
		if c.has(name) {
			return false
		}
	}
	if !c.has("typ") {
		return true
	}
	typ, isText := c.text("typ")
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	return isText && slices.Contains([]string{"jwt", "at+jwt"}, typ)
}

// Issuer is the iss of the token, or "".
func (t *Token) Issuer() string {
	iss, _ := t.claims.text("iss")
	return iss
}

// Subject is the sub of the token, or "".
func (t *Token) Subject() string {
	sub, _ := t.claims.text("sub")
	return sub
}

// Claim is the value of a claim, as JSON; nil: it has none of that name.
func (t *Token) Claim(name string) []byte { return t.claims[name] }

// decode reads a part of a token into a JSON object.
func decode(part string, into *claims) bool {
	data, ok := decodeBase64(part)
	return ok && json.Unmarshal(data, into) == nil && *into != nil
}

// decodeBase64 takes base64url without padding (RFC 4648 §5), in its one canonical form. The
// standard library's decoder passes over line breaks and, unless it is strict, over the last
// bits: one token could be written in many ways then.
func decodeBase64(part string) ([]byte, bool) {
	if part == "" || strings.ContainsAny(part, "\r\n") {
		return nil, false
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(part)
	return data, err == nil
}
