package servicecenter

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/store/storetest"
)

// platform writes what EdgeGallery's mepserver keeps into a data directory: n services of
// applications that have three each, and a subscription.
func platform(t *testing.T, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	m, endpoint := etcdtest.Start(t, func(c *embed.Config) { c.Dir = dir })
	defer m.Close()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	put := func(key, value string) {
		_, err := c.Put(t.Context(), key, value)
		require.NoError(t, err)
	}
	states := []string{"ACTIVE", "SUSPENDED", "INACTIVE"}
	for i := range n {
		service, instance := fmt.Sprintf("%016x", 7), fmt.Sprintf("%016x", 1000+i)
		value, err := json.Marshal(map[string]any{"serviceId": service, "instanceId": instance, "timestamp": "1795779700", "properties": map[string]string{
			"serName": "s", "version": "1", "serializer": "JSON", "appInstanceId": fmt.Sprintf("app-%d", i/3), "mecState": states[i%3], "livenessInterval": "60",
			"endPointType": "uris", "endpoint/http://10.0.0.5:80/": fmt.Sprintf("s%020d", i),
			"transportInfo/id": "t", "transportInfo/name": "n", "transportInfo/type": "REST_HTTP", "transportInfo/protocol": "HTTP", "transportInfo/version": "1"}})
		require.NoError(t, err)
		put("/cse-sr/inst/files///"+service+"/"+instance, string(value))
	}
	put("/cse-sr/etsi/subscribe/app-0/sub-0", `{"callbackReference":"http://10.0.0.9:9/","filteringCriteria":{"serNames":null}}`)
	put("/cse-sr/etsi/app-confirm-termination/app-1/", `{"operationAction":"TERMINATING","TerminationStatus":1}`)
	return dir
}

func importConfig(t *testing.T) conf.Config {
	t.Helper()
	c, err := conf.Load(conf.Sources{Environ: []string{"MEP_COMPAT=edgegallery"}, Flags: map[string]string{"data-dir": t.TempDir()}})
	require.NoError(t, err)
	return c
}

// opened is the store that an import has written, until closed is called or the test ends.
func opened(t *testing.T, c conf.Config) (s *store.Store, client *etcd.Client, closed func()) {
	t.Helper()
	o := etcd.Options{DataDir: c.Store.DataDir, Quota: int64(c.Store.QuotaBytes), Probe: keys.Cluster, Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard)}
	client, err := etcd.Open(t.Context(), o)
	require.NoError(t, err)
	s = store.New(store.Options{Client: client, Log: etcdtest.Discard})
	closed = sync.OnceFunc(func() {
		s.Close()
		client.Close()
	})
	t.Cleanup(closed)
	return s, client, closed
}

func imported(t *testing.T, c conf.Config, from string, rehearse bool) (string, error) {
	t.Helper()
	var out strings.Builder
	err := Import(t.Context(), c, from, rehearse, etcdtest.Discard, &out, func(why string) { t.Error(why) })
	return out.String(), err
}

func TestAnImportFillsANewStoreOnce(t *testing.T) {
	t.Parallel()
	const n = 9
	from, c := platform(t, n), importConfig(t)
	said, err := imported(t, c, from, true)
	require.NoError(t, err)
	require.Contains(t, said, "would import from "+from+"\n  services         9: 3 ACTIVE, 3 SUSPENDED, 3 INACTIVE\n")
	left, err := os.ReadDir(c.Store.DataDir)
	require.NoError(t, err)
	require.Empty(t, left, "a rehearsal writes nothing")

	said, err = imported(t, c, from, false)
	require.NoError(t, err)
	report, err := os.ReadFile(filepath.Join(c.Store.DataDir, importReport))
	require.NoError(t, err)
	_, after, _ := strings.Cut(string(report), " from ")
	require.Equal(t, "imported from "+after, said)

	_, err = imported(t, c, from, false)
	require.ErrorContains(t, err, "the store holds services or other things already")

	s, client, _ := opened(t, c)
	all, _, err := s.List(t.Context())
	require.NoError(t, err)
	require.Len(t, all, n)
	for _, l := range all {
		require.True(t, keys.Imported(l.ID))
		require.True(t, l.Projection.Present(), l.ID)
		require.False(t, l.Projection.Differs, l.ID)
		require.Equal(t, l.Record.State == heartbeat.Active, l.Record.Lease != 0, "what beats has a lease of its whole window")
		require.Equal(t, 60, l.Record.Interval)
		require.EqualValues(t, 1, l.Record.Seq)
	}
	sub, err := s.Subscription(t.Context(), "SerAvailabilityNotificationSubscription", "sub-0")
	require.NoError(t, err)
	require.Equal(t, "app-0", sub.Owner)
	a, err := s.Application(t.Context(), "app-1")
	require.NoError(t, err)
	require.NotNil(t, a.Termination)
	events, err := client.Get(t.Context(), keys.OutboxPrefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	require.Zero(t, events.Count, "the consumers were told by EdgeGallery's mepserver")
	done, used, err := s.Imported(t.Context())
	require.NoError(t, err)
	require.True(t, used)
	require.Equal(t, n, done.Services)
	before := storetest.Everything(t, client)
	storetest.Repaired(t, s)
	require.Equal(t, before, storetest.Everything(t, client), "nothing is to be put right")
}

// A container may have no place for temporary files but the volume of the store.
func TestARehearsalNeedsNoTemporaryDirectoryOfItsOwn(t *testing.T) {
	from, c := platform(t, 3), importConfig(t)
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	at := c.Store.DataDir
	for _, dir := range []string{at, filepath.Join(at, "new")} { // there, and not made yet
		c.Store.DataDir = dir
		said, err := imported(t, c, from, true)
		require.NoError(t, err)
		require.Contains(t, said, "services         3")
		left, err := os.ReadDir(at)
		require.NoError(t, err)
		require.Empty(t, left, "the copy is removed")
	}
	c.Store.DataDir = filepath.Join(at, "no", "where")
	_, err := imported(t, c, from, true)
	require.ErrorContains(t, err, "TMPDIR names another place for it")
}

// A rehearsal makes its copy where others make theirs.
func TestAnImportIntoAClusterLeavesTheCopiesOfOthers(t *testing.T) {
	from, c := platform(t, 1), importConfig(t)
	t.Setenv("TMPDIR", t.TempDir())
	others := filepath.Join(os.TempDir(), ".edgegallery-import-1")
	require.NoError(t, os.Mkdir(others, 0o700))
	s, _, _ := opened(t, c)
	src := source(from, c, etcd.Options{Cluster: &etcd.Remote{}, Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard)})
	require.Equal(t, os.TempDir(), src.Temp)
	_, err := fill(t.Context(), s, src, false)
	require.NoError(t, err)
	require.DirExists(t, others)
}

func TestAStartImportsIntoANewStoreOnly(t *testing.T) {
	t.Parallel()
	from, c := platform(t, 3), importConfig(t)
	s, client, _ := opened(t, c)
	o := etcd.Options{DataDir: c.Store.DataDir, Log: etcdtest.Discard, Repeats: logs.NewRepeats(etcdtest.Discard)}
	services := func() int64 {
		got, err := client.Get(t.Context(), keys.RecordPrefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(t, err)
		return got.Count
	}
	start := func(from string) string {
		t.Helper()
		var lines etcdtest.Lines
		h := &plugins.Host{Config: c, Log: plugins.NewLog(&lines, "INFO")}
		h.Config.EdgeGallery.ImportFrom = from
		require.NoError(t, importAtStart(t.Context(), h, s, o))
		return lines.String()
	}
	require.Empty(t, start(""))
	require.Contains(t, start(t.TempDir()), "has kept nothing that could be imported")
	damaged := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(damaged, "member", "snap"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(damaged, "member", "snap", "db"), []byte("no database"), 0o600))
	bad := &plugins.Host{Config: c, Log: etcdtest.Discard}
	bad.Config.EdgeGallery.ImportFrom = damaged
	require.ErrorContains(t, importAtStart(t.Context(), bad, s, o), "move "+filepath.Join(damaged, "member")+" away to begin without them")
	require.Equal(t, "leave edgegallery.importFrom empty", withoutIt("http://host:2379"))
	remote := o
	remote.Cluster = &etcd.Remote{}
	var lines etcdtest.Lines
	h := &plugins.Host{Config: c, Log: plugins.NewLog(&lines, "INFO")}
	h.Config.EdgeGallery.ImportFrom = from
	require.NoError(t, importAtStart(t.Context(), h, s, remote))
	require.Contains(t, lines.String(), "use mepserver import")

	used, _ := storetest.Register(t, s, "app-of-its-own")
	require.Contains(t, start(from), "the store is not new")
	_, err := client.Delete(t.Context(), keys.Record(used.ID))
	require.NoError(t, err)
	require.Zero(t, services())
	_, err = client.Delete(t.Context(), keys.OutboxPrefix, clientv3.WithPrefix())
	require.NoError(t, err)

	said := start(from)
	require.Contains(t, said, "EdgeGallery's services were imported")
	require.Contains(t, said, `"services":3`)
	require.EqualValues(t, 3, services())
	said = start(from)
	require.Contains(t, said, "were imported before")
	require.NotContains(t, said, "has written since")
	written(t, from)
	require.Contains(t, start(from), "has written since")
	require.EqualValues(t, 3, services())
	require.Equal(t, "http://host:2379", sourceName("http://user:secret@host:2379"))
}
