package servicecenter

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/logs"
)

func TestWhatAStoreHoldsIsCountedAndWhatCannotBeReadIsNamed(t *testing.T) {
	c := contents{states: map[heartbeat.State]int{}}
	r := newRecord(t, "app-count")
	r.State = heartbeat.Suspended
	value, err := encodeRecord(&r)
	require.NoError(t, err)
	for key, value := range map[string]string{
		recordKey(r.ID): value, recordPrefix + "b": "{", subPrefix + "s": "?", cursorPrefix + "s": `{"schema":9}`, "/mep/else": "?",
		instancePrefix + "a/b": "{}", servicePrefix + "a": "{}",
	} {
		kv := kvAt(1)
		kv.Key, kv.Value = []byte(key), []byte(value)
		c.take(kv)
	}
	require.Equal(t, map[heartbeat.State]int{heartbeat.Suspended: 1}, c.states)
	require.Equal(t, []int{3, 1, 1, 1}, []int{c.unreadable, c.subscriptions, c.instances, c.services})
	require.Equal(t, cursorPrefix+"s", c.first)
}

func TestCheckSaysInOneLineWhyItCannotLook(t *testing.T) {
	var out strings.Builder
	dir := t.TempDir()
	require.ErrorContains(t, Check(filepath.Join(dir, "none"), &out), "cannot use the data directory: ")
	require.ErrorContains(t, Check(dir, &out), "there is no store in "+dir)
	lock, err := lockDir(dir)
	require.NoError(t, err)
	require.ErrorContains(t, Check(dir, &out), "another mepserver uses the data directory "+dir+"; stop it first")
	require.NoError(t, lock.Close())
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "etcd", "member", "snap"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "etcd", "member", "wal"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "etcd", "member", "snap", "db"), nil, 0o600))
	err = Check(dir, &out)
	require.ErrorContains(t, err, "db is damaged: it is empty; restore a backup (docs/operations.md")
	require.NotContains(t, err.Error(), "\n")
	c := &Center{}
	err = c.openStore(t.Context(), Options{DataDir: dir, Quota: 1 << 30, Log: discard})
	require.ErrorContains(t, err, "db is damaged: it is empty; restore a backup", "and neither does a server start")
	require.Empty(t, out.String())
}

// A first start that was killed, or told to stop, between the log and its first entry left
// a directory on which no later start came up.
func TestAFirstStartThatWasCutShortIsBegunAnew(t *testing.T) {
	dir := t.TempDir()
	member := filepath.Join(etcdDir(dir), "member")
	require.NoError(t, os.MkdirAll(filepath.Join(member, "snap"), 0o700))
	require.NoError(t, backend.NewDefaultBackend(zap.NewNop(), filepath.Join(member, "snap", "db")).Close())
	w, err := wal.Create(zap.NewNop(), filepath.Join(member, "wal"), nil)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.ErrorContains(t, Check(dir, &strings.Builder{}), "there is no store in")
	c := &Center{said: logs.NewRepeats(discard)}
	require.NoError(t, c.openStore(t.Context(), Options{DataDir: dir, Quota: 1 << 30, Log: discard}))
	c.closeStore()
}

func TestTheStoreOfAnotherEtcdIsRefused(t *testing.T) {
	dir := t.TempDir()
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = "default", etcdDir(dir)
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
	err = (&Center{said: logs.NewRepeats(discard)}).openStore(t.Context(), Options{DataDir: dir, Quota: 1 << 30, Log: discard})
	require.ErrorContains(t, err, "it is not a store of mepserver: another etcd has made "+dir)
}
