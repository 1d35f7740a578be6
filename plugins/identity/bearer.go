package identity

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/identity/token"
)

// tokens knows who bears a token: one of another issuer, or one that this platform made.
type tokens struct {
	verifier *token.Verifier // of another issuer; nil: none is believed
	mepauth  *token.Verifier // of EdgeGallery's mepauth; nil: it is not believed
	issuer   plugins.Issuer  // the platform's own; nil: there is none
	clock    func() time.Time
	known    *cache[tokenHash, bearer]
	read     func() // counts those that are verified
}

// tokenHash is the SHA-256 of a token.
type tokenHash [sha256.Size]byte

// bearer is who bears a token that was verified.
type bearer struct {
	caller, byCookie *plugins.Caller // the same but for Source
	expires          time.Time
	thumbprint       []byte               // of the certificate that must come with it; nil: any
	proof            *token.Proof         // of another issuer's token
	by               *token.Verifier      // what proved it
	issued           *plugins.IssuedToken // of our own
}

// of returns the bearer of a token that is valid now. What was verified once is remembered as
// long as the token is valid and its key is one of the issuer's; our own tokens end with
// their credentials, too. It is remembered by its hash: no token stands in memory longer than
// its request, and none is compared in a time that tells how much of it is right.
func (t *tokens) of(ctx context.Context, raw string) (*bearer, error) {
	if len(raw) > token.MaxBytes {
		return nil, token.Malformed
	}
	sum := hashOf(raw)
	now := t.clock()
	if b := t.known.get(sum); b != nil && t.fresh(b) {
		switch {
		case !now.Before(b.expires):
			return nil, token.Expired
		case b.issued != nil:
			return b, t.issuer.Check(b.issued)
		}
		return b, nil
	}
	b, err := t.verify(ctx, raw, now)
	if err != nil {
		return nil, err
	}
	t.known.put(sum, b, func(other *bearer) bool { return !now.Before(other.expires) })
	return b, nil
}

// hashOf copies a token of the usual length to the stack, so that a heartbeat costs no memory.
func hashOf(raw string) tokenHash {
	var usual [1 << 10]byte
	if len(raw) > len(usual) {
		return sha256.Sum256([]byte(raw))
	}
	return sha256.Sum256(usual[:copy(usual[:], raw)])
}

// fresh says whether the key of a token is one of its issuer's still.
func (t *tokens) fresh(b *bearer) bool {
	return b.proof == nil || b.proof.Keys == b.by.Keys.Current()
}

func (t *tokens) verify(ctx context.Context, raw string, now time.Time) (*bearer, error) {
	parsed, err := token.Parse(raw)
	if err != nil {
		return nil, err
	}
	t.read()
	b := &bearer{}
	switch {
	case t.issuer != nil && parsed.Issuer() == plugins.IssuerName:
		if b.issued, err = t.issuer.Verify(ctx, raw); err != nil {
			return nil, err
		}
		b.caller, b.expires = &b.issued.Caller, b.issued.Ends
	case t.verifierOf(parsed) != nil:
		b.by = t.verifierOf(parsed)
		if b.proof, err = b.by.Verify(ctx, parsed, now); err != nil {
			return nil, err
		}
		p := b.proof
		b.caller = &plugins.Caller{Name: p.Name, App: p.Name, Apps: p.Apps, Roles: p.Roles, Source: "token"}
		b.expires, b.thumbprint = p.Expires, p.Thumbprint
	default:
		return nil, token.Issuer
	}
	byCookie := *b.caller
	byCookie.Source = "cookie"
	b.byCookie = &byCookie
	return b, nil
}

// verifierOf is what verifies a token of another issuer; nil: nothing does.
func (t *tokens) verifierOf(parsed *token.Token) *token.Verifier {
	if t.mepauth != nil && parsed.Issuer() == t.mepauth.Issuer {
		return t.mepauth
	}
	return t.verifier
}

// believes says whether tokens of an issuer may prove something.
func (t *tokens) believes(issuer string) bool {
	for _, v := range []*token.Verifier{t.mepauth, t.verifier} {
		if v != nil && v.Issuer == issuer {
			return true
		}
	}
	return t.issuer != nil && issuer == plugins.IssuerName
}

// comesFrom says whether a request comes from the address that the token is bound to.
func (b *bearer) comesFrom(r *http.Request) bool {
	if b.proof == nil || b.proof.Address == nil {
		return true
	}
	_, peer := endsOf(r)
	return peer.IsValid() && peer == *b.proof.Address
}

// comesWith says whether the certificate of the connection is the one that the token is
// bound to (RFC 8705 §3). Without this, a stolen token would be worth as much as its key.
func (b *bearer) comesWith(c *certificate) bool {
	return b.thumbprint == nil || c != nil && c.err == nil && subtle.ConstantTimeCompare(b.thumbprint, c.thumbprint[:]) == 1
}

// bearerOf takes the token of a request's Authorization (RFC 6750 §2.1). No other place is
// looked at: a URL with a token ends up in logs.
func bearerOf(values []string) (raw string, err error) {
	if len(values) != 1 {
		return "", token.Malformed
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return "", token.Malformed
	}
	return raw, nil
}
