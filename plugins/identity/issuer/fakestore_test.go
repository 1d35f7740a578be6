package issuer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// fakeStore is a store in memory, for what only a chosen order of events shows; the real
// one is under test in test/e2e and test/external.
type fakeStore struct {
	mu    sync.Mutex
	at    heartbeat.Revision
	of    map[string]plugins.Credential
	fail  error
	reads int
}

var _ plugins.Credentials = (*fakeStore)(nil)

func (s *fakeStore) SaveCredential(_ context.Context, c plugins.Credential) (heartbeat.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.fail != nil:
		return 0, s.fail
	case s.of[c.ID].At != c.At:
		return 0, heartbeat.ErrConflict
	}
	s.at++
	c.At = s.at
	s.of[c.ID] = c
	return s.at, nil
}

func (s *fakeStore) EraseCredential(_ context.Context, id string, at heartbeat.Revision) (heartbeat.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.fail != nil:
		return 0, s.fail
	case s.of[id].At != at:
		return 0, heartbeat.ErrConflict
	}
	s.at++
	delete(s.of, id)
	return s.at, nil
}

func (s *fakeStore) Credential(_ context.Context, id string) (plugins.Credential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	return s.of[id], s.fail
}

func (s *fakeStore) FollowCredentials(context.Context, func([]plugins.Credential, heartbeat.Revision), func(plugins.Credential, bool), func(time.Time), func(string, error)) {
}

// platform is an issuer over a store in memory, with a clock of its own.
type platform struct {
	*authority
	store    *fakeStore
	accounts Accounts
	clock    time.Time
	private  []crypto.Signer
}

func (p *platform) now() time.Time { return p.clock }

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return k
}

func newPlatform(t testing.TB, alone bool) *platform {
	t.Helper()
	p := &platform{store: &fakeStore{of: map[string]plugins.Credential{}}, clock: time.Now(), private: []crypto.Signer{newKey(t)}}
	d := newDirectory(p.store, alone, p.now)
	p.authority = newAuthority(d, func() *keySet {
		s, err := newKeySet(p.private)
		require.NoError(t, err)
		return s
	}, 15*time.Minute, p.now)
	p.accounts = Accounts{Store: p.store, Now: p.now, Count: d.count, Wrote: d.observe}
	d.load(nil, 0)
	d.current(p.clock)
	return p
}

// added makes a credential.
func (p *platform) added(t testing.TB, n NewCredential) (secret string) {
	t.Helper()
	_, secret, err := p.accounts.Add(t.Context(), n)
	require.NoError(t, err)
	return secret
}

// tokenOf is a token for a credential.
func (p *platform) tokenOf(t testing.TB, id, secret string) string {
	t.Helper()
	out, err := p.grant(t.Context(), id, secret, "", "192.0.2.1:1")
	require.NoError(t, err)
	return out.token
}
