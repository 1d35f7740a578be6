package issuer

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// The reasons for which no token is made.
var (
	errClient = errors.New("the client does not exist, or has another secret")
	errScope  = errors.New("a scope is no role of the client")
)

// authority makes tokens, and verifies those that it made. It implements plugins.Issuer.
type authority struct {
	known  *directory
	keys   func() *keySet
	life   time.Duration
	now    func() time.Time
	wrong  *attempts // secrets that were wrong, by address and by client
	made   *attempts // tokens, by client
	counts counts
}

var _ plugins.Issuer = (*authority)(nil)

func newAuthority(known *directory, keys func() *keySet, life time.Duration, now func() time.Time) *authority {
	return &authority{known: known, keys: keys, life: life, now: now, counts: newCounts(),
		wrong: newAttempts(1, 20), made: newAttempts(10, 100)}
}

// issued is a token that was just made.
type issued struct {
	token  string
	life   time.Duration
	roles  []string
	client string
}

// note tells the audit log for whom it was made.
func (i issued) note(w http.ResponseWriter) {
	plugins.NoteCaller(w, &plugins.Caller{Name: i.client, Roles: i.roles, Source: "credential"})
}

// noteClaim tells the audit log for whom a token is asked, before it is known whether the
// secret is right. What is no id, or is as long as a secret of ours, may be one in its place.
func noteClaim(w http.ResponseWriter, id string) {
	if mp1.ValidID(id) && len(id) != base64.RawURLEncoding.EncodedLen(sha256.Size) {
		plugins.NoteClaim(w, id)
	}
}

// grant makes a token for whoever knows a client's secret, with the roles of scope, or all
// roles if it is empty.
func (a *authority) grant(ctx context.Context, id, secret, scope, peer string) (issued, error) {
	return a.grantFor(ctx, id, secret, scope, peer, func(*plugins.Credential) time.Duration { return a.life })
}

// grantFor is grant of a token that is valid as long as life says for its client.
func (a *authority) grantFor(ctx context.Context, id, secret, scope, peer string, life func(*plugins.Credential) time.Duration) (out issued, err error) {
	defer func() { a.counts.granted(err) }()
	c, err := a.authenticate(ctx, id, secret, peer)
	if err != nil {
		return out, err
	}
	out.client, out.roles, out.life = c.ID, c.Roles, life(c)
	if scope != "" {
		out.roles = strings.Split(scope, " ") // RFC 6749 §3.3
		for i, r := range out.roles {
			if !slices.Contains(c.Roles, r) || slices.Contains(out.roles[:i], r) {
				return out, errScope
			}
		}
	}
	if wait := a.made.take(a.now(), c.ID); wait > 0 {
		return out, &server.OverLimit{Wait: wait}
	}
	out.token, err = a.keys().sign(c, out.roles, a.now(), out.life)
	return out, err
}

// authenticate finds the client that a secret belongs to. Who knows the secret is never
// refused for the wrong ones of others: anybody could lock an application out else.
func (a *authority) authenticate(ctx context.Context, id, secret, peer string) (*plugins.Credential, error) {
	if e := a.known.get(id); e != nil && matches(&e.Credential, secret, a.now()) {
		if !a.known.stale() {
			return &e.Credential, nil
		}
		return a.fromStore(ctx, id, secret) // it may have been removed since, but is no guess
	}
	if wait := a.wrong.take(a.now(), addressOf(peer), "client "+clientName(id)); wait > 0 {
		return nil, &server.OverLimit{Wait: wait}
	}
	if a.known.alone {
		return nil, errClient
	}
	return a.fromStore(ctx, id, secret)
}

// fromStore finds the client in the store, whatever this replica has seen of it.
func (a *authority) fromStore(ctx context.Context, id, secret string) (*plugins.Credential, error) {
	c, err := a.known.read(ctx, id) // another replica may just have made it
	switch {
	case err != nil:
		return nil, err
	case c.Generation == "" || !matches(&c, secret, a.now()):
		return nil, errClient
	}
	return &c, nil
}

// clientName is short, however long the id is that somebody made up.
func clientName(id string) string {
	hash := sha256.Sum256([]byte(id))
	return hex.EncodeToString(hash[:8])
}

// Verify implements plugins.Issuer.
func (a *authority) Verify(ctx context.Context, token string) (*plugins.IssuedToken, error) {
	v, err := a.keys().verify(token, a.now())
	if err == nil {
		err = a.known.checkNew(ctx, v.Credential, v.Generation)
	}
	a.counts.verified(err)
	switch {
	case errors.Is(err, heartbeat.ErrUnavailable):
		return nil, err
	case err != nil:
		return nil, server.ErrCredential
	}
	return v, nil
}

// Check implements plugins.Issuer. A key that was taken out of the file ends its tokens.
func (a *authority) Check(t *plugins.IssuedToken) error {
	if _, ok := a.keys().byID[t.Key]; !ok {
		return server.ErrCredential
	}
	return a.known.check(t.Credential, t.Generation)
}
