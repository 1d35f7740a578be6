package etcd

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/etcdtest"
)

var clusterLog = &etcdtest.Lines{}

const probe = "/mep/cluster"

// open uses the cluster that the settings name, as a start does.
func open(t testing.TB, s conf.Store) (*Client, error) {
	t.Helper()
	r, err := NewRemote(s)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	c, err := Open(t.Context(), Options{Cluster: r, Probe: probe, Log: plugins.NewLog(clusterLog, "INFO")})
	require.Less(t, time.Since(began), time.Minute, "a start must end in bounded time")
	if err != nil {
		require.NotContains(t, err.Error(), "\n", "one line")
		return nil, err
	}
	t.Cleanup(c.Close)
	return c, nil
}

func TestAUserOfTheClusterNeedsItsPassword(t *testing.T) {
	_, endpoint := etcdtest.Start(t, func(c *embed.Config) { c.BcryptCost = 4 }) // the least: a dear hash outlasts a call on a busy machine
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
	l, err := c.GrantLease(ctx, 300)
	require.NoError(t, err)
	// a password's hash takes long on a busy machine, longer than one call waits
	require.Eventually(t, func() bool { _, err = c.RenewLease(ctx, l); return err == nil }, time.Minute, 10*time.Millisecond, "%v", err)
	require.Eventually(t, func() bool { _, err = c.Full(ctx); return err == nil }, time.Minute, 10*time.Millisecond,
		"a user who is not root can ask whether the store is full")
	require.NoError(t, c.RevokeLease(ctx, l))

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
	require.NotContains(t, clusterLog.String(), "sesame")
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
	_, endpoint := etcdtest.Start(t, etcdtest.Plain)
	dead := etcdtest.FreeURL(t, "http")
	c, err := open(t, conf.Store{Endpoints: []string{dead.String(), endpoint}})
	require.NoError(t, err)
	require.Contains(t, clusterLog.String(), dead.String(), "the silent one is named in the log")
	for range 8 { // the balancer never stays with the dead one
		_, err = c.Full(t.Context())
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
	_, one := etcdtest.Start(t, etcdtest.Plain)
	_, other := etcdtest.Start(t, func(c *embed.Config) { c.InitialClusterToken = "other" })
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
		refusal, warning := judgeVersion(version)
		for i, got := range []string{refusal, warning} {
			require.True(t, strings.HasPrefix(got, want[i]) && (got == "") == (want[i] == ""), "%s: %q, want %q", version, got, want[i])
		}
	}
}

// A cluster with a long election timeout grants no short lease.
func TestTheShortestLeaseIsAskedFor(t *testing.T) {
	_, slow := etcdtest.Start(t, func(c *embed.Config) { c.TickMs, c.ElectionMs = 500, 5000 })
	c, err := open(t, conf.Store{Endpoints: []string{slow}})
	require.NoError(t, err)
	least := leastLease(t.Context(), c.Client)
	require.Equal(t, 8, least)
	require.Equal(t, 8, c.MinLease())
	for range 2 {
		_, err = c.GrantLease(t.Context(), 7)
		require.NoError(t, err)
	}
	require.Equal(t, 1, strings.Count(clusterLog.String(), "longer leases than asked for"), "told once")
	embedded, _ := opened(t, t.TempDir())
	defer embedded.Close()
	require.Equal(t, embedded.MinLease(), leastLease(t.Context(), embedded.Client), "embedded: as it is configured")
}

// A cluster that is full says so, and does not take a write for every question.
func TestThePulseSeesAFullClusterAndWritesNothing(t *testing.T) {
	e, endpoint := etcdtest.Start(t, func(c *embed.Config) { c.QuotaBackendBytes = 1 << 20 })
	c, err := open(t, conf.Store{Endpoints: []string{endpoint}})
	require.NoError(t, err)
	index := e.Server.CommittedIndex()
	for range 5 {
		full, err := c.Full(t.Context())
		require.NoError(t, err)
		require.False(t, full)
	}
	require.Equal(t, index, e.Server.CommittedIndex())
	for i := 0; err == nil; i++ {
		require.Less(t, i, 100)
		_, err = c.Put(t.Context(), fmt.Sprint("/fill/", i), strings.Repeat("x", 256<<10))
	}
	require.ErrorIs(t, Translate(err), heartbeat.ErrFull)
	require.Eventually(t, func() bool { full, err := c.Full(t.Context()); return err == nil && full }, time.Minute, 10*time.Millisecond)
	_, err = c.GrantLease(t.Context(), 10)
	require.ErrorIs(t, err, heartbeat.ErrFull)
	require.Equal(t, 2, leastLease(t.Context(), c.Client))
}
