package servicecenter

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// freeURL is a loopback address that nobody uses now. It lies below the ports that the
// system gives away by itself: one of those would be somebody else's while a server that
// is to come back at its address is down.
func freeURL(t testing.TB, scheme string) url.URL {
	t.Helper()
	for range 100 {
		host := fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000))
		l, err := net.Listen("tcp", host)
		if err != nil {
			continue
		}
		require.NoError(t, l.Close())
		return url.URL{Scheme: scheme, Host: host}
	}
	t.Fatal("no port is free")
	return url.URL{}
}

// member0 can be closed before the test ends.
type member0 struct {
	*embed.Etcd
	once sync.Once
}

func (m *member0) Close() { m.once.Do(m.Etcd.Close) }

// listening is a one-member etcd with sockets.
func listening(t testing.TB, change func(*embed.Config)) (*member0, string) {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Dir = t.TempDir()
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	cfg.ListenClientUrls = []url.URL{freeURL(t, "http")}
	peer := freeURL(t, "http")
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.Name + "=" + peer.String()
	change(cfg)
	cfg.AdvertiseClientUrls = cfg.ListenClientUrls
	started, err := embed.StartEtcd(cfg)
	require.NoError(t, err)
	e := &member0{Etcd: started}
	t.Cleanup(e.Close)
	select {
	case <-e.Server.ReadyNotify():
	case <-time.After(time.Minute):
		t.Fatal("etcd was not ready in a minute")
	}
	return e, cfg.ListenClientUrls[0].String()
}

var discard = plugins.NewLog(io.Discard, "ERROR")

func plain(*embed.Config) {}

// open uses the cluster that the settings name, as a start does.
func open(t *testing.T, s conf.Store) (*Center, error) {
	t.Helper()
	r, err := accessTo(s)
	if err != nil {
		return nil, err
	}
	c := &Center{}
	began := time.Now()
	err = c.openStore(t.Context(), Options{Cluster: r, Log: plugins.NewLog(logged, "INFO")})
	require.Less(t, time.Since(began), time.Minute, "a start must end in bounded time")
	if err != nil {
		require.NotContains(t, err.Error(), "\n", "one line")
		return nil, err
	}
	t.Cleanup(c.closeStore)
	return c, nil
}

func storeOf(t *testing.T, c *Center) *Store {
	t.Helper()
	s := newStore(t.Context(), c, plugins.NewLog(logged, "INFO"))
	t.Cleanup(s.Close)
	return s
}

func TestAUserOfTheClusterNeedsItsPassword(t *testing.T) {
	_, endpoint := listening(t, func(c *embed.Config) { c.BcryptCost = 4 }) // the least: a dear hash outlasts a call on a busy machine
	admin, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	require.NoError(t, err)
	defer func() { _ = admin.Close() }()
	ctx := t.Context()
	for _, step := range []func() error{
		func() error { _, err := admin.RoleAdd(ctx, "mep"); return err },
		func() error { return grant(ctx, admin, "/mep/") },
		func() error { return grant(ctx, admin, "/cse-sr/") },
		func() error { return user(ctx, admin, "mep", "sesame", "mep") },
		func() error { return user(ctx, admin, "root", "root", "root") },
		func() error { _, err := admin.AuthEnable(ctx); return err },
	} {
		require.NoError(t, step())
	}
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("sesame\n"), 0o600))
	c, err := open(t, conf.Store{Endpoints: []string{endpoint}, Username: "mep", PasswordFile: file})
	require.NoError(t, err)
	s := storeOf(t, c)
	require.NoError(t, s.CheckSchema(ctx))
	l, err := s.Grant(ctx, 300)
	require.NoError(t, err)
	// a password's hash takes long on a busy machine, longer than one call waits
	require.Eventually(t, func() bool { _, err = s.Renew(ctx, l); return err == nil }, time.Minute, 10*time.Millisecond, "%v", err)
	require.Eventually(t, func() bool { _, err = s.Pulse(ctx); return err == nil }, time.Minute, 10*time.Millisecond,
		"a user who is not root can ask whether the store is full")
	require.NoError(t, s.Revoke(ctx, l))

	for name, tt := range map[string]struct {
		s    conf.Store
		want string
	}{
		"another password":    {conf.Store{Username: "mep", Password: "wrong-one"}, "invalid user ID or password"},
		"no such user":        {conf.Store{Username: "who", Password: "sesame"}, "invalid user ID or password"},
		"nobody":              {conf.Store{}, "user name is empty"},
		"no such file":        {conf.Store{Username: "mep", PasswordFile: file + "x"}, "store.passwordFile: open "},
		"more than one line":  {conf.Store{Username: "mep", PasswordFile: "cluster_test.go"}, "must hold the password alone"},
		"a user without keys": {conf.Store{Username: "poor", Password: "p"}, "does not let us read: etcdserver: permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.s.Username == "poor" {
				root, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Username: "root", Password: "root", Logger: zap.NewNop()})
				require.NoError(t, err)
				defer func() { _ = root.Close() }()
				_, err = root.UserAdd(ctx, "poor", "p")
				require.NoError(t, err)
			}
			tt.s.Endpoints = []string{endpoint}
			_, err := open(t, tt.s)
			require.ErrorContains(t, err, tt.want)
			if p := string(tt.s.Password); len(p) > 1 {
				require.NotContains(t, err.Error(), p)
			}
		})
	}
	require.NotContains(t, logged.String(), "sesame")
}

func grant(ctx context.Context, c *clientv3.Client, prefix string) error {
	_, err := c.RoleGrantPermission(ctx, "mep", prefix, clientv3.GetPrefixRangeEnd(prefix), clientv3.PermissionType(clientv3.PermReadWrite))
	return err
}

func user(ctx context.Context, c *clientv3.Client, name, password, role string) error {
	if _, err := c.UserAdd(ctx, name, password); err != nil {
		return err
	}
	if role == "root" {
		if _, err := c.RoleAdd(ctx, role); err != nil {
			return err
		}
	}
	_, err := c.UserGrantRole(ctx, name, role)
	return err
}

func TestOneEndpointThatAnswersIsEnoughAndNoneIsAnError(t *testing.T) {
	t.Parallel()
	_, endpoint := listening(t, plain)
	dead := freeURL(t, "http")
	c, err := open(t, conf.Store{Endpoints: []string{dead.String(), endpoint}})
	require.NoError(t, err)
	require.Contains(t, logged.String(), dead.String(), "the silent one is named in the log")
	s := storeOf(t, c)
	for range 8 { // the balancer never stays with the dead one
		_, err = s.Pulse(t.Context())
		require.NoError(t, err)
	}
	_, err = open(t, conf.Store{Endpoints: []string{dead.String()}})
	require.ErrorContains(t, err, "cannot reach the etcd cluster at "+dead.String()+": ")
	require.ErrorContains(t, err, "connection refused")

	mute, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = mute.Close() }()
	_, err = open(t, conf.Store{Endpoints: []string{"http://" + mute.Addr().String()}})
	require.ErrorContains(t, err, "no answer in time")
}

func TestEndpointsOfTwoClustersAreRefused(t *testing.T) {
	t.Parallel()
	_, one := listening(t, plain)
	_, other := listening(t, func(c *embed.Config) { c.InitialClusterToken = "other" })
	_, err := open(t, conf.Store{Endpoints: []string{one, other}})
	require.ErrorContains(t, err, "belong to different clusters")
}

func TestOldVersionsAreRefusedOrWarnedOf(t *testing.T) {
	for version, want := range map[string][2]string{
		"3.4.23":        {"is etcd 3.4.23; 3.5.23 or 3.6.5 or later is needed: older", ""},
		"3.3.0+git":     {"is etcd 3.3.0+git; 3.5.23 or 3.6.5", ""},
		"2.3.8":         {"is etcd 2.3.8;", ""},
		"3.5.22":        {"is etcd 3.5.22; 3.5.23 or later is needed: older", ""},
		"3.5.23":        {"", "is etcd 3.5.23; 3.5.33 or later is recommended: older"},
		"3.5.32":        {"", "is etcd 3.5.32; 3.5.33"},
		"3.5.33":        {},
		"3.6.0":         {"is etcd 3.6.0; 3.6.5 or later", ""},
		"3.6.4-rc.1":    {"is etcd 3.6.4-rc.1; 3.6.5 or later", ""},
		"3.6.5":         {"", "is etcd 3.6.5; 3.6.14 or later"},
		"3.6.13":        {"", "is etcd 3.6.13; 3.6.14"},
		"3.6.14":        {},
		"3.7.0-alpha.0": {},
		"4.0.0":         {},
		"":              {`says that its version is ""`, ""},
		"latest\x1b[2J": {`says that its version is "latest\x1b[2J"`, ""},
	} {
		refusal, warning := judge(version)
		for i, got := range []string{refusal, warning} {
			require.True(t, strings.HasPrefix(got, want[i]) && (got == "") == (want[i] == ""), "%s: %q, want %q", version, got, want[i])
		}
	}
}

// A cluster with a long election timeout grants no short lease: asked for, and
// refused if the configuration needs one.
func TestTheShortestLeaseIsAskedForAndABelowItRefused(t *testing.T) {
	_, slow := listening(t, func(c *embed.Config) { c.TickMs, c.ElectionMs = 500, 5000 })
	c, err := open(t, conf.Store{Endpoints: []string{slow}})
	require.NoError(t, err)
	least := leastLease(t.Context(), c.client)
	require.Equal(t, 8, least)
	s := storeOf(t, c)
	for range 2 {
		_, err = s.Grant(t.Context(), 7)
		require.NoError(t, err)
	}
	require.Equal(t, 1, strings.Count(logged.String(), "longer leases than asked for"), "told once")
	config := conf.Default()
	require.NoError(t, longEnough(config, least), "5 s × 3")
	config.Liveness.AllowedMisses = 0
	require.ErrorContains(t, longEnough(config, least), "grants no lease below 8s")
	require.ErrorContains(t, longEnough(config, least), "an interval of 5s with liveness.allowedMisses 0 needs one of 5s")
	config.Derived.FixedInterval = time.Minute
	require.NoError(t, longEnough(config, least), "no application is given less than 30 s")
	require.Equal(t, minLease(embeddedElectionMs), leastLease(t.Context(), store.client), "embedded: as it is configured")
}

// A cluster that is full says so, and does not take a write for every question.
func TestThePulseSeesAFullClusterAndWritesNothing(t *testing.T) {
	e, endpoint := listening(t, func(c *embed.Config) { c.QuotaBackendBytes = 1 << 20 })
	c, err := open(t, conf.Store{Endpoints: []string{endpoint}})
	require.NoError(t, err)
	s := storeOf(t, c)
	require.NoError(t, s.CheckSchema(t.Context()))
	index := e.Server.CommittedIndex()
	for range 5 {
		full, err := s.Pulse(t.Context())
		require.NoError(t, err)
		require.False(t, full)
	}
	require.Equal(t, index, e.Server.CommittedIndex())
	for i := 0; err == nil; i++ {
		require.Less(t, i, 100)
		_, err = c.client.Put(t.Context(), fmt.Sprint("/fill/", i), strings.Repeat("x", 256<<10))
	}
	require.ErrorIs(t, translate(err), heartbeat.ErrFull)
	require.Eventually(t, func() bool { full, err := s.Pulse(t.Context()); return err == nil && full }, time.Minute, 10*time.Millisecond)
	_, err = s.Grant(t.Context(), 10)
	require.ErrorIs(t, err, heartbeat.ErrFull)
	require.NoError(t, s.CheckSchema(t.Context()), "a replica starts on a full store")
	require.Equal(t, 2, leastLease(t.Context(), c.client))
}
