package issuer

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// DefaultGrace is how long the secret before the newest stays valid.
	DefaultGrace = 24 * time.Hour
	// MaxGrace is the longest that it may.
	MaxGrace = 30 * 24 * time.Hour

	maxCredentials = 10_000
	maxSecrets     = 4 // of one credential, with those that are to end
	// maxApps bounds the length of all apps of a host together: they stand in its tokens, and
	// a browser keeps no cookie above 4096 bytes.
	maxApps = 2000
)

// NewCredential is what a credential is made of. No roles are the role app.
type NewCredential struct {
	ID          string
	Roles, Apps []string
}

// Accounts makes, changes and ends credentials. It is for the server, and for commands that
// have opened the store themselves. Its errors are those that mp1/server answers.
type Accounts struct {
	Store plugins.Credentials
	Now   func() time.Time // wall clock
	// Count is how many credentials there are; nil: their number is not limited.
	Count func() int
	// Wrote is told of each write; nil: nobody is.
	Wrote func(c plugins.Credential, erased bool)
}

// Add makes a credential and returns its secret, which nobody can read again.
func (a Accounts) Add(ctx context.Context, n NewCredential) (c plugins.Credential, secret string, err error) {
	if len(n.Roles) == 0 {
		n.Roles = []string{conf.RoleApp}
	}
	if err = n.validate(); err != nil {
		return c, "", err
	}
	old, err := a.Store.Credential(ctx, n.ID)
	switch {
	case err != nil:
		return c, "", unavailable(err)
	case old.Generation != "":
		return c, "", server.ErrCredentialExists
	case a.Count != nil && a.Count() >= maxCredentials:
		return c, "", server.ErrTooManyCredentials
	}
	now := a.Now().UnixNano()
	c = plugins.Credential{ID: n.ID, Roles: n.Roles, Apps: n.Apps, Generation: rand.Text(), Created: now, Rotated: now, At: old.At}
	secret, c.Secrets = newSecret(nil)
	if c.At, err = a.Store.SaveCredential(ctx, c); errors.Is(err, heartbeat.ErrConflict) {
		return c, "", server.ErrCredentialExists // somebody was faster
	}
	return a.saved(c, secret, err)
}

// Rotate gives a credential a new secret, which nobody can read again. The secrets before it
// end after grace, and tokens stay valid. No grace ends both at once.
func (a Accounts) Rotate(ctx context.Context, id string, grace time.Duration) (c plugins.Credential, secret string, err error) {
	if grace < 0 || grace > MaxGrace {
		return c, "", &mp1.Invalid{Attribute: "grace", Rule: fmt.Sprintf("must be a duration from 0s to %s, such as 24h", MaxGrace)}
	}
	if c, err = a.existing(ctx, id); err != nil {
		return c, "", err
	}
	now := a.Now()
	var kept []plugins.Secret
	for _, s := range c.Secrets {
		if ends := now.Add(grace).UnixNano(); s.Ends == 0 || s.Ends > ends {
			s.Ends = ends
		}
		if s.Ends > now.UnixNano() && len(kept) < maxSecrets-1 {
			kept = append(kept, s)
		}
	}
	if grace == 0 {
		c.Generation = rand.Text()
	}
	secret, c.Secrets = newSecret(kept)
	c.Rotated = now.UnixNano()
	c.At, err = a.Store.SaveCredential(ctx, c)
	return a.saved(c, secret, err)
}

// Remove ends a credential with its secrets and tokens.
func (a Accounts) Remove(ctx context.Context, id string) error {
	c, err := a.Store.Credential(ctx, id)
	switch {
	case err != nil:
		return unavailable(err)
	case c.At == 0:
		return server.ErrNoCredential
	}
	if c.At, err = a.Store.EraseCredential(ctx, id, c.At); err != nil {
		return unavailable(err)
	}
	if a.Wrote != nil {
		a.Wrote(plugins.Credential{ID: id, At: c.At}, true)
	}
	return nil
}

func (a Accounts) existing(ctx context.Context, id string) (plugins.Credential, error) {
	c, err := a.Store.Credential(ctx, id)
	switch {
	case err != nil:
		return c, unavailable(err)
	case c.Generation == "":
		return c, server.ErrNoCredential
	}
	return c, nil
}

func (a Accounts) saved(c plugins.Credential, secret string, err error) (plugins.Credential, string, error) {
	if err != nil {
		return plugins.Credential{}, "", unavailable(err)
	}
	if a.Wrote != nil {
		a.Wrote(c, false)
	}
	return c, secret, nil
}

// unavailable is the error of a store that did not confirm, unless it said why.
func unavailable(err error) error {
	if errors.Is(err, heartbeat.ErrFull) {
		return err
	}
	return heartbeat.ErrUnavailable
}

func (n NewCredential) validate() error {
	if !mp1.ValidID(n.ID) {
		return &mp1.Invalid{Attribute: "id", Rule: "must be " + mp1.IDForm}
	}
	for i, r := range n.Roles {
		if !slices.Contains(conf.RoleNames(), r) || slices.Contains(n.Roles[:i], r) {
			return &mp1.Invalid{Attribute: "roles", Rule: "must be of " + strings.Join(conf.RoleNames(), ", ") + ", each once"}
		}
	}
	length := 0
	for _, app := range n.Apps {
		length += len(app) + len(`"",`)
		if !plugins.ValidApps(app) {
			return &mp1.Invalid{Attribute: "apps", Rule: "must be appInstanceIds, or at least one character of them with a * behind; everything needs the role admin"}
		}
	}
	switch host := slices.Contains(n.Roles, conf.RoleHost); {
	case host && len(n.Apps) == 0:
		return &mp1.Invalid{Attribute: "apps", Rule: "is mandatory with the role host: the applications that it acts for"}
	case !host && len(n.Apps) > 0:
		return &mp1.Invalid{Attribute: "apps", Rule: "is of the role host only"}
	case length > maxApps:
		return &mp1.Invalid{Attribute: "apps", Rule: fmt.Sprintf("must not be longer than %d bytes together; use prefixes", maxApps)}
	}
	return nil
}

// newSecret makes a secret of 256 random bits and puts its hash before the others.
func newSecret(others []plugins.Secret) (secret string, all []plugins.Secret) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	secret = base64.RawURLEncoding.EncodeToString(b[:])
	return secret, append([]plugins.Secret{{Hash: sha256.Sum256([]byte(secret))}}, others...)
}

// matches says whether a secret is one of the credential's. A plain hash is enough: nobody
// guesses 256 random bits, whatever a guess costs.
func matches(c *plugins.Credential, secret string, now time.Time) bool {
	hash, found := sha256.Sum256([]byte(secret)), 0
	for _, s := range c.Secrets {
		if ends := cmp.Or(s.Ends, now.UnixNano()+1); now.UnixNano() < ends {
			found |= subtle.ConstantTimeCompare(hash[:], s.Hash[:])
		}
	}
	return found == 1
}
