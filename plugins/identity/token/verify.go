package token

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins/identity/keys"
)

const (
	thumbprintBytes = sha256.Size
	// nbfLeeway is by how much the issuer's clock may be ahead. There is none for exp: who
	// relies on the last second of a token renews it too late.
	nbfLeeway = 30 * time.Second
	// mostTried is how many keys a token without a kid may cost.
	mostTried = 16
)

// Keys are the public keys of an issuer.
type Keys interface {
	// Current are the keys known now; nil: there never were any.
	Current() *keys.Set
	// Renew returns keys that are newer than known; nil: there are none. It may wait.
	Renew(ctx context.Context, known *keys.Set) *keys.Set
}

// Verifier says which tokens of one issuer are taken, and what they mean. The fields are
// mandatory but for NoAudience, RolesClaim and AddressClaim.
type Verifier struct {
	Issuer   string // what iss must be
	Audience string // what aud must contain
	// NoAudience takes tokens that have no aud, in place of those with Audience. Such a token
	// is as good at every service that believes the issuer: it is for EdgeGallery's only, which
	// makes no others.
	NoAudience bool
	Algorithms []jose.SignatureAlgorithm
	Claim      string // names the application, or whatever else calls
	RolesClaim string // names the roles; a token without it has the role app; "": each has that one
	// AddressClaim names the address that the token must come from; "": it may come from any.
	AddressClaim string
	Keys         Keys
}

// Proof is what a verified token says.
type Proof struct {
	Name    string   // of who calls; an id
	Roles   []string // conf's
	Apps    []string // what a host acts for
	Expires time.Time
	// Thumbprint is the SHA-256 of the client certificate that must come with the token;
	// nil: it is bound to none.
	Thumbprint []byte
	// Address is the one that the token must come from; nil: any. One that is not valid is
	// nobody's.
	Address *netip.Addr
	// Keys is the set that had the token's key: with another one it must be verified anew.
	Keys *keys.Set
}

// Verify checks a token at a time. The error is a Fault.
func (v *Verifier) Verify(ctx context.Context, t *Token, now time.Time) (*Proof, error) {
	if !slices.Contains(v.Algorithms, t.algorithm) {
		return nil, Algorithm
	}
	// What the token says of itself is checked first, and once more costs nothing: a token
	// that would be refused anyway must neither cost a signature nor have keys fetched.
	if err := v.checkIssue(t.claims, now); err != nil {
		return nil, err
	}
	set, err := v.checkSignature(ctx, t)
	if err != nil {
		return nil, err
	}
	return v.read(t.claims, set)
}

// checkIssue checks for whom and when the token is valid.
func (v *Verifier) checkIssue(c claims, now time.Time) error {
	if iss, _ := c.text("iss"); iss != v.Issuer {
		return Issuer
	}
	switch {
	case v.NoAudience && c.has("aud"), !v.NoAudience && !c.isFor(v.Audience):
		return Audience
	}
	expires, is := c.date("exp")
	switch {
	case !is:
		return Claims
	case !now.Before(expires):
		return Expired
	}
	if c.has("nbf") {
		switch begins, is := c.date("nbf"); {
		case !is:
			return Claims
		case now.Add(nbfLeeway).Before(begins):
			return NotYetValid
		}
	}
	if _, is := c.date("iat"); c.has("iat") && !is {
		return Claims
	}
	return nil
}

// checkSignature finds the token's key, and returns the set that has it.
func (v *Verifier) checkSignature(ctx context.Context, t *Token) (*keys.Set, error) {
	signed, err := jose.ParseSignedCompact(t.raw, v.Algorithms)
	if err != nil {
		return nil, Malformed
	}
	set := v.Keys.Current()
	why := try(set, t, signed)
	if why == UnknownKey {
		if newer := v.Keys.Renew(ctx, set); newer != nil {
			set = newer
			why = try(set, t, signed)
		}
	}
	switch {
	case set == nil:
		return nil, NoKeys
	case why != "":
		return nil, why
	}
	return set, nil
}

// try verifies the signature with the keys of a set; "": it is right. That none of the keys
// fits a token without a kid may mean that its key is a new one.
func try(set *keys.Set, t *Token, signed *jose.JSONWebSignature) Fault {
	found := set.Find(t.keyID, t.algorithm)
	for _, k := range found[:min(len(found), mostTried)] {
		if _, err := signed.Verify(k.Public); err == nil {
			return ""
		}
	}
	if len(found) == 0 || t.keyID == "" {
		return UnknownKey
	}
	return Signature
}

// read takes the claims of a token whose signature is right.
func (v *Verifier) read(c claims, set *keys.Set) (*Proof, error) {
	p := &Proof{Keys: set}
	name, isText := c.text(v.Claim)
	if !isText || !mp1.ValidID(name) {
		return nil, Claims
	}
	p.Name = name
	p.Expires, _ = c.date("exp")
	var ok bool
	if p.Roles, ok = c.roles(v.RolesClaim); !ok {
		return nil, Claims
	}
	if slices.Contains(p.Roles, conf.RoleHost) {
		if p.Apps, ok = c.apps(); !ok {
			return nil, Claims
		}
	}
	if v.AddressClaim != "" {
		p.Address = c.address(v.AddressClaim)
	}
	if p.Thumbprint, ok = c.thumbprint(); !ok {
		return nil, Confirmation
	}
	return p, nil
}
