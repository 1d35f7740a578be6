package etcd

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"

	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
)

// A first start that was killed, or told to stop, between the log and its first entry left
// a directory on which no later start came up.
func TestAFirstStartThatWasCutShortIsBegunAnew(t *testing.T) {
	dir := t.TempDir()
	member := filepath.Join(Dir(dir), "member")
	require.NoError(t, os.MkdirAll(filepath.Join(member, "snap"), 0o700))
	require.NoError(t, backend.NewDefaultBackend(zap.NewNop(), filepath.Join(member, "snap", "db")).Close())
	w, err := wal.Create(zap.NewNop(), filepath.Join(member, "wal"), nil)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	_, _, err = Inspect(dir, nil)
	require.ErrorContains(t, err, "there is no store in")
	c, _ := opened(t, dir)
	c.Close()
}

func TestTheStoreOfAnotherEtcdIsRefused(t *testing.T) {
	dir := t.TempDir()
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = "default", Dir(dir)
	cfg.ListenClientUrls, cfg.ListenPeerUrls = nil, nil
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:2"}}
	cfg.AdvertisePeerUrls = cfg.AdvertiseClientUrls
	cfg.InitialCluster = "default=http://127.0.0.1:2"
	cfg.TickMs, cfg.ElectionMs = embeddedTickMs, embeddedElectionMs
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	e, err := embed.StartEtcd(cfg)
	require.NoError(t, err)
	<-e.Server.ReadyNotify()
	e.Close()
	_, err = Open(t.Context(), Options{DataDir: dir, Quota: 1 << 30, Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard)})
	require.ErrorContains(t, err, "it is not a store of mepserver: another etcd has made "+dir)
}

func TestADataDirectoryHasOneUser(t *testing.T) {
	dir := t.TempDir()
	l, err := LockDir(dir)
	require.NoError(t, err)
	_, err = LockDir(dir)
	require.ErrorContains(t, err, "another mepserver uses the data directory "+dir+"; stop that one first: in Kubernetes have its pod end before")
	require.NoError(t, l.Close())
	l, err = LockDir(dir)
	require.NoError(t, err)
	require.NoError(t, l.Close())
}
