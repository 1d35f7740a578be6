package servicecenter

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
)

func TestCredentialsAreKeptWhileNoServerRuns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	_, err := OfflineCredentials(t.Context(), dir, false, 64<<20, etcdtest.Discard, nil)
	require.ErrorContains(t, err, "there is no store in "+dir)
	require.NoDirExists(t, dir, "a name that was misspelt leaves nothing")
	s, err := OfflineCredentials(t.Context(), dir, true, 64<<20, etcdtest.Discard, nil)
	require.NoError(t, err)
	at, err := s.SaveCredential(t.Context(), plugins.Credential{ID: "my-app", Roles: []string{"app"}, Generation: "g"})
	require.NoError(t, err)
	_, err = OfflineCredentials(t.Context(), dir, false, 64<<20, etcdtest.Discard, nil)
	require.ErrorContains(t, err, "another mepserver uses the data directory")
	s.Close()

	s, err = OfflineCredentials(t.Context(), dir, false, 64<<20, etcdtest.Discard, nil)
	require.NoError(t, err)
	all, err := s.List(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, "my-app", all[0].ID)
	_, err = s.EraseCredential(t.Context(), "my-app", at)
	require.NoError(t, err)
	s.Close()
	lock, err := etcd.LockDir(dir)
	require.NoError(t, err, "it is free for a server")
	require.NoError(t, lock.Close())
}
