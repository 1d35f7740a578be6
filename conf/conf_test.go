package conf

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func fromYAML(doc string) Sources { return Sources{File: "m.yaml", Data: []byte(doc)} }

func faultLines(t *testing.T, src Sources) []string {
	t.Helper()
	_, err := Load(src)
	var f Faults
	require.True(t, errors.As(err, &f), "no Faults but %v", err)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, len(f), "one line per fault:\n%s", err)
	return lines
}

func TestDefaultIsValid(t *testing.T) {
	require.NoError(t, Default().Validate())
	require.NoError(t, defaults(CompatEdgeGallery).Validate())
}

func TestNothingGivenIsDefault(t *testing.T) {
	for name, src := range map[string]Sources{
		"no source":      {},
		"empty file":     fromYAML(""),
		"comments":       fromYAML("# nothing\n"),
		"empty parts":    fromYAML("server:\nliveness:\n"),
		"explicit start": fromYAML("---\n"),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Load(src)
			require.NoError(t, err)
			assert.Equal(t, Default(), c)
		})
	}
}

func TestShippedFileEqualsDefault(t *testing.T) {
	c, err := Load(Sources{File: "mepserver.yaml"})
	require.NoError(t, err)
	assert.Equal(t, Default(), c)
}

func TestShippedFileNamesEveryKey(t *testing.T) {
	data, err := os.ReadFile("mepserver.yaml")
	require.NoError(t, err)
	values, faults := parseFile(schema{program: "mepserver", settings: settings(new(Config))}, "mepserver.yaml", data)
	require.Empty(t, faults)
	var got, want []string
	for _, v := range values {
		got = append(got, v.path)
	}
	for _, s := range settings(new(Config)) {
		if !s.isSecret() {
			want = append(want, s.path)
		}
	}
	assert.Equal(t, want, got, "same keys in the same order")
}

func TestEveryKeyIsReadFromTheFile(t *testing.T) {
	c, err := Load(fromYAML(`
server: {listen: "[::1]:31000", insecure: true, advertise: "mep.example:443", adminSocket: /run/mep.sock}
store:
  {kind: etcd, dataDir: /var/lib/mep, quotaBytes: 32MiB, endpoints: ["https://10.0.0.1:2379", "https://e2:2379/"],
   caFile: ca.pem, certFile: c.pem, keyFile: k.pem, username: mep, passwordFile: p}
applications: {admission: registered, known: [app-1, "2"], maxServices: 3, maxSubscriptions: 4}
liveness: {defaultInterval: 20s, minInterval: 10s, maxInterval: 1m, allowedMisses: 0, hold: 500ms, deregisterAfter: 0, maxBeatsPerSecond: 500}
discovery: {includeSuspended: true}
notify: {timeout: 3s, giveUpAfter: 1h, flap: {changes: 3, period: 5m}, keptBytes: 1MiB, keptBytesInAll: 2MiB, allowedCallbackCIDRs: [10.0.0.0/8, "fd00::/8"]}
limits: {writesPerSecond: 1, writesBurst: 2, listsPerSecond: 3, bytesPerSecond: 4KiB, bytesBurst: 5MiB, connections: 66, unreadBytes: 3MiB}
compat: edgegallery
`))
	require.NoError(t, err)
	want := defaults(CompatEdgeGallery)
	want.Server = Server{Listen: "[::1]:31000", Insecure: true, Advertise: "mep.example:443", AdminSocket: "/run/mep.sock"}
	want.Store = Store{Kind: Etcd, DataDir: "/var/lib/mep", QuotaBytes: 32 * MiB, Endpoints: []string{"https://10.0.0.1:2379", "https://e2:2379/"},
		CAFile: "ca.pem", CertFile: "c.pem", KeyFile: "k.pem", Username: "mep", PasswordFile: "p"}
	want.Applications = Applications{Admission: Registered, Known: []string{"app-1", "2"}, MaxServices: 3, MaxSubscriptions: 4}
	want.Liveness = Liveness{DefaultInterval: 20 * time.Second, MinInterval: 10 * time.Second, MaxInterval: time.Minute, Hold: 500 * time.Millisecond, MaxBeatsPerSecond: 500}
	want.Discovery = Discovery{IncludeSuspended: true}
	want.Notify = Notify{Timeout: 3 * time.Second, GiveUpAfter: time.Hour, Flap: Flap{Changes: 3, Period: 5 * time.Minute}, KeptBytes: MiB, KeptBytesInAll: 2 * MiB,
		AllowedCallbackCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	want.Limits = Limits{WritesPerSecond: 1, WritesBurst: 2, ListsPerSecond: 3, RequestsPerSecond: 1000, BytesPerSecond: 4 * KiB, BytesBurst: 5 * MiB, Connections: 66, HandshakesPerSecond: 250, UnreadBytes: 3 * MiB}
	assert.Equal(t, want, c)
}

func TestEnvironmentNames(t *testing.T) {
	got := map[string]string{}
	for _, s := range settings(new(Config)) {
		got[s.path] = s.env()
	}
	for path, want := range map[string]string{
		"server.listen":               "MEP_SERVER_LISTEN",
		"store.dataDir":               "MEP_STORE_DATA_DIR",
		"liveness.allowedMisses":      "MEP_LIVENESS_ALLOWED_MISSES",
		"notify.allowedCallbackCIDRs": "MEP_NOTIFY_ALLOWED_CALLBACK_CIDRS",
		"store.caFile":                "MEP_STORE_CA_FILE",
		"store.password":              "MEP_STORE_PASSWORD",
		"store.quotaBytes":            "MEP_STORE_QUOTA_BYTES",
		"server.adminSocket":          "MEP_SERVER_ADMIN_SOCKET",
		"notify.giveUpAfter":          "MEP_NOTIFY_GIVE_UP_AFTER",
		"notify.flap.changes":         "MEP_NOTIFY_FLAP_CHANGES",
		"notify.keptBytesInAll":       "MEP_NOTIFY_KEPT_BYTES_IN_ALL",
		"limits.writesPerSecond":      "MEP_LIMITS_WRITES_PER_SECOND",
		"limits.bytesBurst":           "MEP_LIMITS_BYTES_BURST",
		"compat":                      "MEP_COMPAT",
	} {
		assert.Equal(t, want, got[path])
	}
}

func TestFlagsBeatEnvironmentBeatsFileBeatsDefaults(t *testing.T) {
	src := fromYAML("server: {listen: 127.0.0.1:1}\nstore: {dataDir: /file}\napplications: {maxServices: 7}\n")
	src.Environ = []string{"MEP_SERVER_LISTEN=127.0.0.1:2", "MEP_STORE_DATA_DIR=/env", "MEP_APPLICATIONS_KNOWN=a, b,",
		"MEP_PORT=tcp://10.0.0.1:80", "MEP_STORE_PORT_2379_TCP=x", "MEP_COMPAT=", "PATH=/bin"}
	src.Flags = map[string]string{"listen": "127.0.0.1:3"}
	c, err := Load(src)
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:3", c.Server.Listen)
	assert.Equal(t, "/env", c.Store.DataDir)
	assert.Equal(t, 7, c.Applications.MaxServices)
	assert.Equal(t, []string{"a", "b"}, c.Applications.Known)
	assert.Equal(t, 200, c.Applications.MaxSubscriptions)
}

func TestEndpointsFromAStrongerSourceSwitchToEtcd(t *testing.T) {
	flag := map[string]string{"etcd-endpoints": "http://e1:2379,http://e2:2379"}
	for name, src := range map[string]Sources{
		"flag":                     {Flags: flag},
		"flag over file":           {File: "m.yaml", Data: []byte("store: {kind: embedded}\n"), Flags: flag},
		"flag over variable":       {Environ: []string{"MEP_STORE_KIND=embedded"}, Flags: flag},
		"variable over file":       {File: "m.yaml", Data: []byte("store: {kind: embedded}\n"), Environ: []string{"MEP_STORE_ENDPOINTS=http://e1:2379,http://e2:2379"}},
		"file without kind":        fromYAML("store: {endpoints: ['http://e1:2379', 'http://e2:2379']}\n"),
		"flag, dataDir is ignored": {Environ: []string{"MEP_STORE_DATA_DIR=/x"}, Flags: flag},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Load(src)
			require.NoError(t, err)
			assert.Equal(t, Etcd, c.Store.Kind)
			assert.Equal(t, []string{"http://e1:2379", "http://e2:2379"}, c.Store.Endpoints)
		})
	}
	assert.Equal(t, []string{"m.yaml:1: store.endpoints: must be empty for store.kind embedded (m.yaml:1); set store.kind to etcd"},
		faultLines(t, fromYAML("store: {kind: embedded, endpoints: ['http://e1:2379']}\n")))
}

func TestEdgeGalleryChangesDefaultsButNotWhatWasWritten(t *testing.T) {
	c, err := Load(fromYAML("compat: edgegallery\n"))
	require.NoError(t, err)
	assert.Equal(t, defaults(CompatEdgeGallery), c)
	assert.True(t, c.Discovery.IncludeSuspended)
	assert.Zero(t, c.Liveness.DeregisterAfter)
	assert.Equal(t, 1, c.Liveness.AllowedMisses)
	assert.Equal(t, 50, c.Applications.MaxServices)
	assert.Equal(t, 50, c.Applications.MaxSubscriptions)
	assert.Equal(t, Derived{60 * time.Second, 4096, 4096, 400, true, true}, c.Derived)

	written := "discovery: {includeSuspended: false}\nliveness: {deregisterAfter: 24h, allowedMisses: 2}\napplications: {maxServices: 1000}\n"
	c, err = Load(Sources{File: "m.yaml", Data: []byte(written), Environ: []string{"MEP_COMPAT=edgegallery"}})
	require.NoError(t, err)
	assert.False(t, c.Discovery.IncludeSuspended)
	assert.Equal(t, 24*time.Hour, c.Liveness.DeregisterAfter)
	assert.Equal(t, 2, c.Liveness.AllowedMisses)
	assert.Equal(t, 1000, c.Applications.MaxServices)
	assert.Equal(t, 50, c.Applications.MaxSubscriptions)

	c, err = Load(Sources{File: "m.yaml", Data: []byte("compat: edgegallery\n"), Environ: []string{"MEP_COMPAT=none"}})
	require.NoError(t, err)
	assert.Equal(t, Default(), c, "the mode that wins decides")
}

// The one interval of EdgeGallery's clients, too, is what the operator's own bounds leave of it.
func TestTheIntervalOfEdgeGalleryIsWithinTheOperatorsBounds(t *testing.T) {
	for bounds, want := range map[string]time.Duration{
		"": time.Minute,
		"minInterval: 2s, defaultInterval: 2s, maxInterval: 2s":     2 * time.Second,
		"minInterval: 90s, defaultInterval: 90s, maxInterval: 300s": 90 * time.Second,
		"minInterval: 5s, defaultInterval: 20s, maxInterval: 60s":   time.Minute,
	} {
		c, err := Load(fromYAML("compat: edgegallery\nliveness: {" + bounds + "}\n"))
		require.NoError(t, err, bounds)
		assert.Equal(t, want, c.Derived.FixedInterval, bounds)
		c, err = Load(fromYAML("liveness: {" + bounds + "}\n"))
		require.NoError(t, err, bounds)
		assert.Zero(t, c.Derived.FixedInterval, bounds)
	}
}

func TestAFileThatCannotBeReadIsAFault(t *testing.T) {
	assert.Equal(t, []string{"nowhere.yaml: cannot be read: no such file or directory"}, faultLines(t, Sources{File: "nowhere.yaml"}))
	dir := t.TempDir()
	assert.Contains(t, faultLines(t, Sources{File: dir})[0], "cannot be read")
	big := filepath.Join(dir, "big.yaml")
	require.NoError(t, os.WriteFile(big, []byte(strings.Repeat("#\n", maxFile)), 0o600))
	assert.Contains(t, faultLines(t, Sources{File: big})[0], "must not be larger")
	empty := filepath.Join(dir, "empty.yaml")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	c, err := Load(Sources{File: empty})
	require.NoError(t, err)
	assert.Equal(t, Default(), c)
}

func TestLoopback(t *testing.T) {
	for listen, want := range map[string]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "localhost:1": true, "[::ffff:127.0.0.1]:1": true,
		"0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, ":1": false, "nonsense": false, "example.org:1": false,
	} {
		assert.Equal(t, want, Server{Listen: listen}.Loopback(), listen)
	}
}

func TestTheAdminSocketIsWhereTheDataIs(t *testing.T) {
	c := Default()
	c.Store.DataDir = "/var/lib/mep"
	assert.Equal(t, "/var/lib/mep/admin.sock", c.AdminSocket())
	c.Store.Kind = Etcd
	assert.Empty(t, c.AdminSocket(), "of a cluster nobody knows where")
	c.Server.AdminSocket = "/run/mep.sock"
	assert.Equal(t, "/run/mep.sock", c.AdminSocket())
	c.Server.AdminSocket = NoSocket
	assert.Empty(t, c.AdminSocket())
}
