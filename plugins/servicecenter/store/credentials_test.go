package store

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
	"github.com/mec-liveness/mepserver/test/proxy"
)

// credentials are what a reader was shown.
type credentials struct {
	mu   sync.Mutex
	ids  []string
	asOf time.Time
}

func followCredentials(t *testing.T, s *Store) *credentials {
	t.Helper()
	c := &credentials{}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		s.FollowCredentials(ctx, func(all []plugins.Credential, _ heartbeat.Revision) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.ids = nil
			for _, one := range all {
				c.ids = append(c.ids, one.ID)
			}
		}, func(one plugins.Credential, erased bool) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.ids = slices.DeleteFunc(c.ids, func(id string) bool { return id == one.ID })
			if !erased {
				c.ids = append(c.ids, one.ID)
			}
		}, func(asOf time.Time) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.asOf = asOf
		}, func(string, error) {})
	})
	t.Cleanup(func() { cancel(); work.Wait() })
	return c
}

func (c *credentials) state() (ids []string, asOf time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.ids), c.asOf
}

// awaitAsOf waits until the reader is told that it was shown all that was written before.
func (c *credentials) awaitAsOf(t *testing.T, at time.Time) (ids []string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var asOf time.Time
		ids, asOf = c.state()
		return asOf.After(at)
	}, time.Minute, 10*time.Millisecond)
	return ids
}

// A replica that was cut off must know that it does not know which credentials are left. It
// would take a removed one's tokens else, for as long as the link is silent.
func TestAReaderIsCurrentOnlyAsFarAsItWasShown(t *testing.T) {
	t.Parallel()
	_, endpoint := etcdtest.Start(t, etcdtest.Plain)
	p := proxy.Start(t, endpoint[len("http://"):])
	s, direct := storeAt(t, "http://"+p.Addr), storeAt(t, endpoint)
	at, err := direct.SaveCredential(t.Context(), plugins.Credential{ID: "a", Generation: "g", Secrets: []plugins.Secret{{Hash: sha256.Sum256([]byte("s"))}}})
	require.NoError(t, err)
	c := followCredentials(t, s)
	require.Equal(t, []string{"a"}, c.awaitAsOf(t, time.Now()))
	_, err = direct.client.Put(t.Context(), "/elsewhere", "moves the revision and is shown by no watch")
	require.NoError(t, err)
	c.awaitAsOf(t, time.Now())

	p.Set(proxy.Blackhole)
	cut := time.Now()
	_, err = direct.EraseCredential(t.Context(), "a", at)
	require.NoError(t, err)
	erased := time.Now()
	require.Never(t, func() bool { _, asOf := c.state(); return asOf.After(cut) }, 3*time.Second, 100*time.Millisecond)
	p.Set(proxy.Pass)
	require.Empty(t, c.awaitAsOf(t, erased))
}

// The store may answer while the watch does not.
func TestAReadCountsOnceItsRevisionWasShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &progress{behind: make(chan struct{}, 1), advanced: make(chan struct{}, 1)}
		p.set(1)
		require.True(t, p.shownUpTo(t.Context(), 1))
		require.Empty(t, p.behind)
		require.False(t, p.shownUpTo(t.Context(), 2), "for as long as a watch may be silent")
		require.Len(t, p.behind, 1, "which is asked how far it is")
		time.AfterFunc(credentialIntervals.stall/2, func() { p.set(2) })
		require.True(t, p.shownUpTo(t.Context(), 2))
		ended, end := context.WithCancel(t.Context())
		end()
		require.False(t, p.shownUpTo(ended, 3))
	})
}

// What cannot be read counts as erased: otherwise the credential that it replaced would go on.
func TestACredentialThatCannotBeReadIsNone(t *testing.T) {
	t.Parallel()
	c := followCredentials(t, store)
	at, err := store.SaveCredential(t.Context(), plugins.Credential{ID: "unreadable", Generation: "g"})
	require.NoError(t, err)
	shown := func() bool { ids, _ := c.state(); return slices.Contains(ids, "unreadable") }
	require.Eventually(t, shown, time.Minute, 10*time.Millisecond)
	key := keys.CredentialPrefix + "unreadable"
	for _, value := range []string{"{", `{"schema":2,"generation":"g"}`, `{"schema":1}`, `{"schema":1,"generation":"g","secrets":[{"sha256":"AAAA"}]}`} {
		put, err := store.client.Put(t.Context(), key, value)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return !shown() }, time.Minute, 10*time.Millisecond)
		got, err := store.Credential(t.Context(), "unreadable")
		require.NoError(t, err)
		require.Equal(t, plugins.Credential{ID: "unreadable", At: heartbeat.Revision(put.Header.Revision)}, got, value)
		_, err = store.SaveCredential(t.Context(), plugins.Credential{ID: "unreadable", Generation: "h", At: at})
		require.ErrorIs(t, err, heartbeat.ErrConflict)
		at, err = store.SaveCredential(t.Context(), plugins.Credential{ID: "unreadable", Generation: "h", At: got.At})
		require.NoError(t, err)
		require.Eventually(t, shown, time.Minute, 10*time.Millisecond)
	}
	all, err := store.Credentials(t.Context())
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(all, func(c plugins.Credential) bool { return c.ID == "unreadable" && c.Generation == "h" }))
	_, err = store.EraseCredential(t.Context(), "unreadable", at)
	require.NoError(t, err)
}

// What a later release adds survives what this one writes.
func TestACredentialKeepsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	_, err := store.SaveCredential(t.Context(), plugins.Credential{ID: "later", Generation: "g"})
	require.NoError(t, err)
	key := keys.CredentialPrefix + "later"
	_, err = store.client.Put(t.Context(), key, strings.TrimSuffix(storetest.Value(t, store.client, key), "}")+`,"younger":[1]}`)
	require.NoError(t, err)
	c, err := store.Credential(t.Context(), "later")
	require.NoError(t, err)
	c.Generation = "h"
	_, err = store.SaveCredential(t.Context(), c)
	require.NoError(t, err)
	require.Contains(t, storetest.Value(t, store.client, key), `"generation":"h","secrets":null,"created":0,"rotated":0,"younger":[1]}`)
}
