package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// tokenType is that of RFC 9068 §2.1. It keeps what else is signed by a key, such as an
	// OpenID provider's, from being taken for an access token.
	tokenType = "at+jwt"
	// longestToken bounds what is parsed. The longest that is made has maxApps in base64.
	longestToken = 4096
	// leeway is how far the clock of another replica may be ahead.
	leeway = 30 * time.Second
)

// algorithms are those that keys of the issuer sign with.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256}
}

// claims are those of a token.
type claims struct {
	jwt.Claims
	Roles      []string `json:"roles"`
	Apps       []string `json:"apps,omitempty"`
	Generation string   `json:"cred"` // of the credential
}

// keySet are the keys of one state of the key file. The first signs, all verify.
type keySet struct {
	signer    jose.Signer
	byID      map[string]jose.JSONWebKey // public keys
	published []byte                     // a JWK set (RFC 7517 §5)
}

func newKeySet(private []crypto.Signer) (*keySet, error) {
	s := &keySet{byID: map[string]jose.JSONWebKey{}}
	var set jose.JSONWebKeySet
	for _, p := range private {
		alg, ok := algorithmOf(p)
		if !ok {
			return nil, errors.New("must hold keys of P-256, Ed25519, or RSA with at least 2048 bits")
		}
		public := jose.JSONWebKey{Key: p.Public(), Algorithm: string(alg), Use: "sig"}
		thumbprint, err := public.Thumbprint(crypto.SHA256) // RFC 7638
		if err != nil {
			return nil, errors.New("holds a key that cannot be used")
		}
		public.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
		if _, twice := s.byID[public.KeyID]; twice {
			continue
		}
		s.byID[public.KeyID] = public
		set.Keys = append(set.Keys, public)
		if s.signer == nil {
			key := jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: p, KeyID: public.KeyID}}
			if s.signer, err = jose.NewSigner(key, (&jose.SignerOptions{}).WithType(tokenType)); err != nil {
				return nil, errors.New("holds a key that cannot be used")
			}
		}
	}
	if s.signer == nil {
		return nil, errors.New("must hold a private key")
	}
	var err error
	s.published, err = json.Marshal(set)
	return s, err
}

func algorithmOf(p crypto.Signer) (alg jose.SignatureAlgorithm, ok bool) {
	switch k := p.(type) {
	case *ecdsa.PrivateKey:
		return jose.ES256, k.Curve == elliptic.P256()
	case ed25519.PrivateKey:
		return jose.EdDSA, true
	case *rsa.PrivateKey:
		return jose.RS256, k.N.BitLen() >= 2048
	}
	return "", false
}

// sign makes a token for a credential, with some of its roles. Its times are whole seconds;
// it ends up to one later than life, and never before: who was told of life counts on it.
func (s *keySet) sign(c *plugins.Credential, roles []string, now time.Time, life time.Duration) (string, error) {
	ends := now.Add(life + time.Second - 1).Truncate(time.Second)
	out := claims{Roles: roles, Generation: c.Generation, Claims: jwt.Claims{
		Issuer: plugins.IssuerName, Audience: jwt.Audience{plugins.IssuerName}, Subject: c.ID, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(ends),
	}}
	if slices.Contains(roles, conf.RoleHost) {
		out.Apps = c.Apps
	}
	return jwt.Signed(s.signer).Claims(out).Serialize()
}

// errToken says that a token is none of ours, or no longer. It does not say why: nobody is
// told more than that.
var errToken = errors.New("the token is not valid")

// verify checks everything of a token but its credential.
func (s *keySet) verify(token string, now time.Time) (*plugins.IssuedToken, error) {
	if len(token) > longestToken {
		return nil, errToken
	}
	parsed, err := jwt.ParseSigned(token, algorithms())
	if err != nil || len(parsed.Headers) != 1 {
		return nil, errToken
	}
	h := parsed.Headers[0]
	key, ok := s.byID[h.KeyID]
	if kind, _ := h.ExtraHeaders[jose.HeaderType].(string); !ok || h.Algorithm != key.Algorithm || !strings.EqualFold(kind, tokenType) {
		return nil, errToken
	}
	var c claims
	if parsed.Claims(key.Key, &c) != nil || !c.valid(now) {
		return nil, errToken
	}
	out := &plugins.IssuedToken{
		Credential: c.Subject, Generation: c.Generation, Key: h.KeyID, Ends: c.Expiry.Time(),
		Caller: plugins.Caller{Name: c.Subject, Apps: c.Apps, Roles: c.Roles, Source: "token"},
	}
	if out.Caller.Has(conf.RoleApp) {
		out.Caller.App = c.Subject
	}
	return out, nil
}

func (c *claims) valid(now time.Time) bool {
	switch {
	case c.Issuer != plugins.IssuerName || !slices.Contains(c.Audience, plugins.IssuerName):
	case !mp1.ValidID(c.Subject) || c.Generation == "":
	case c.Expiry == nil || !now.Before(c.Expiry.Time()):
	case c.NotBefore == nil || now.Add(leeway).Before(c.NotBefore.Time()):
	case c.IssuedAt == nil || now.Add(leeway).Before(c.IssuedAt.Time()):
	default:
		return true
	}
	return false
}
