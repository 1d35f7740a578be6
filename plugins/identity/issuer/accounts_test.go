package issuer

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// Whoever reads the store, or a backup of it, cannot act as anybody.
func TestASecretIsShownOnceAndStoredHashed(t *testing.T) {
	p := newPlatform(t, true)
	c, secret, err := p.accounts.Add(t.Context(), NewCredential{ID: "app-1"})
	require.NoError(t, err)
	require.Len(t, secret, 43, "256 bits in base64url")
	require.Equal(t, []string{"app"}, c.Roles)
	require.NotContains(t, string(c.Secrets[0].Hash[:]), secret)
	require.True(t, matches(&c, secret, p.clock))
	for _, wrong := range []string{"", secret[1:], secret + "=", strings.ToUpper(secret), string(c.Secrets[0].Hash[:])} {
		require.False(t, matches(&c, wrong, p.clock))
	}
	_, other, err := p.accounts.Add(t.Context(), NewCredential{ID: "app-2"})
	require.NoError(t, err)
	require.NotEqual(t, secret, other)
}

func TestRotationKeepsTheOldSecretForItsGraceAndTheTokens(t *testing.T) {
	p := newPlatform(t, true)
	old := p.added(t, NewCredential{ID: "app"})
	token := p.tokenOf(t, "app", old)
	c, next, err := p.accounts.Rotate(t.Context(), "app", time.Hour)
	require.NoError(t, err)
	require.True(t, matches(&c, old, p.clock) && matches(&c, next, p.clock))
	_, err = p.Verify(t.Context(), token)
	require.NoError(t, err)
	require.False(t, matches(&c, old, p.clock.Add(time.Hour)), "the grace is over")
	require.True(t, matches(&c, next, p.clock.Add(time.Hour)))

	_, last, err := p.accounts.Rotate(t.Context(), "app", 24*time.Hour)
	require.NoError(t, err)
	c = p.known.get("app").Credential
	require.False(t, matches(&c, old, p.clock.Add(time.Hour)), "another rotation does not prolong it")
	for range 2 * maxSecrets {
		c, _, err = p.accounts.Rotate(t.Context(), "app", 24*time.Hour)
		require.NoError(t, err)
		require.LessOrEqual(t, len(c.Secrets), maxSecrets)
	}
	require.False(t, matches(&c, last, p.clock))
}

func TestARotationWithoutGraceEndsSecretsAndTokensAtOnce(t *testing.T) {
	p := newPlatform(t, true)
	old := p.added(t, NewCredential{ID: "app"})
	token := p.tokenOf(t, "app", old)
	_, next, err := p.accounts.Rotate(t.Context(), "app", 0)
	require.NoError(t, err)
	_, err = p.Verify(t.Context(), token)
	require.ErrorIs(t, err, server.ErrCredential)
	_, err = p.grant(t.Context(), "app", old, "", "192.0.2.1:1")
	require.ErrorIs(t, err, errClient)
	_, err = p.Verify(t.Context(), p.tokenOf(t, "app", next))
	require.NoError(t, err)
}

// A credential that is made anew is another one: the tokens of the one before stay dead.
func TestRemovalEndsTokensForEver(t *testing.T) {
	p := newPlatform(t, true)
	token := p.tokenOf(t, "app", p.added(t, NewCredential{ID: "app"}))
	issued, err := p.Verify(t.Context(), token)
	require.NoError(t, err)
	require.NoError(t, p.Check(issued))
	require.NoError(t, p.accounts.Remove(t.Context(), "app"))
	require.ErrorIs(t, p.Check(issued), server.ErrCredential)
	require.ErrorIs(t, p.accounts.Remove(t.Context(), "app"), server.ErrNoCredential)
	_, _, err = p.accounts.Rotate(t.Context(), "app", time.Hour)
	require.ErrorIs(t, err, server.ErrNoCredential)
	p.added(t, NewCredential{ID: "app"})
	require.ErrorIs(t, p.Check(issued), server.ErrCredential)
	_, err = p.Verify(t.Context(), token)
	require.ErrorIs(t, err, server.ErrCredential)
}

func TestWhatIsNoCredentialIsRefused(t *testing.T) {
	p := newPlatform(t, true)
	for name, n := range map[string]NewCredential{
		"no id":               {},
		"a path":              {ID: "../mep/rec/x"},
		"a long id":           {ID: strings.Repeat("a", 129)},
		"control characters":  {ID: "a\nb"},
		"an unknown role":     {ID: "a", Roles: []string{"root"}},
		"a role twice":        {ID: "a", Roles: []string{"app", "app"}},
		"a role in capitals":  {ID: "a", Roles: []string{"Admin"}},
		"a host for nobody":   {ID: "a", Roles: []string{"host"}},
		"everything":          {ID: "a", Roles: []string{"host"}, Apps: []string{"*"}},
		"an empty app":        {ID: "a", Roles: []string{"host"}, Apps: []string{""}},
		"a star in between":   {ID: "a", Roles: []string{"host"}, Apps: []string{"a*b"}},
		"two stars":           {ID: "a", Roles: []string{"host"}, Apps: []string{"a**"}},
		"apps of no host":     {ID: "a", Apps: []string{"b"}},
		"too many apps":       {ID: "a", Roles: []string{"host"}, Apps: strings.Split(strings.Repeat("abcdefgh,", 190)+"a", ",")},
		"apps that are paths": {ID: "a", Roles: []string{"host"}, Apps: []string{"a/b*"}},
	} {
		_, _, err := p.accounts.Add(t.Context(), n)
		var bad *mp1.Invalid
		require.ErrorAs(t, err, &bad, name)
	}
	require.Empty(t, p.store.of)
	secret := p.added(t, NewCredential{ID: "a", Roles: []string{"host"}, Apps: []string{"a", "b-*"}})
	_, _, err := p.accounts.Add(t.Context(), NewCredential{ID: "a"})
	require.ErrorIs(t, err, server.ErrCredentialExists)
	require.NotEmpty(t, p.tokenOf(t, "a", secret), "which changed nothing")
	for _, grace := range []time.Duration{-1, MaxGrace + 1} {
		_, _, err := p.accounts.Rotate(t.Context(), "a", grace)
		var bad *mp1.Invalid
		require.ErrorAs(t, err, &bad)
	}
}

func TestTheNumberOfCredentialsIsBounded(t *testing.T) {
	p := newPlatform(t, true)
	p.accounts.Count = func() int { return maxCredentials }
	_, _, err := p.accounts.Add(t.Context(), NewCredential{ID: "a"})
	require.ErrorIs(t, err, server.ErrTooManyCredentials)
}

// A secret that may not have been stored is not shown: nobody could log in by it.
func TestAStoreThatDoesNotConfirmMakesNoSecret(t *testing.T) {
	p := newPlatform(t, true)
	p.added(t, NewCredential{ID: "there"})
	for _, c := range []struct{ fault, want error }{{errors.New("no answer"), heartbeat.ErrUnavailable}, {heartbeat.ErrFull, heartbeat.ErrFull}} {
		p.store.fail = c.fault
		_, secret, err := p.accounts.Add(t.Context(), NewCredential{ID: "new"})
		require.ErrorIs(t, err, c.want)
		require.Empty(t, secret)
		_, secret, err = p.accounts.Rotate(t.Context(), "there", time.Hour)
		require.ErrorIs(t, err, c.want)
		require.Empty(t, secret)
		require.ErrorIs(t, p.accounts.Remove(t.Context(), "there"), c.want)
	}
}

// What another release or a fault has made unreadable can be removed and made anew.
func TestACredentialThatCannotBeReadCanBeReplaced(t *testing.T) {
	p := newPlatform(t, true)
	p.store.of["broken"], p.store.at = plugins.Credential{ID: "broken", At: 7}, 7
	_, _, err := p.accounts.Rotate(t.Context(), "broken", time.Hour)
	require.ErrorIs(t, err, server.ErrNoCredential)
	require.NotEmpty(t, p.added(t, NewCredential{ID: "broken"}))
}
