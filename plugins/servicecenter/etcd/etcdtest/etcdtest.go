// Package etcdtest starts etcd servers for the adapter's tests. It knows etcd; it must not
// know the adapter, whose packages it tests.
package etcdtest

import (
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

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd/quota"
)

// Discard is a log that nobody reads.
var Discard = plugins.NewLog(io.Discard, "ERROR")

// FreeURL is a loopback address that nobody uses now. It lies below the ports that the
// system gives away by itself: one of those would be somebody else's while a server that
// is to come back at its address is down.
func FreeURL(t testing.TB, scheme string) url.URL {
	t.Helper()
	for range 100 {
		host := fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000))
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", host)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return url.URL{Scheme: scheme, Host: host}
	}
	t.Fatal("no port is free")
	return url.URL{}
}

// Member is an etcd that can be closed before its test ends.
type Member struct {
	*embed.Etcd
	once sync.Once
}

// Close stops the member, once.
func (m *Member) Close() { m.once.Do(m.Etcd.Close) }

// Start starts a one-member etcd with sockets, and returns it with its endpoint. change may
// alter its configuration.
func Start(t testing.TB, change func(*embed.Config)) (*Member, string) {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Dir = t.TempDir()
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	cfg.ListenClientUrls = []url.URL{FreeURL(t, "http")}
	peer := FreeURL(t, "http")
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.Name + "=" + peer.String()
	change(cfg)
	cfg.AdvertiseClientUrls = cfg.ListenClientUrls
	started, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := &Member{Etcd: started}
	t.Cleanup(m.Close)
	select {
	case <-m.Server.ReadyNotify():
	case <-time.After(time.Minute):
		t.Fatal("etcd was not ready in a minute")
	}
	return m, cfg.ListenClientUrls[0].String()
}

// Plain changes nothing of a configuration.
func Plain(*embed.Config) {}

// Lines are what was logged; they may be read while more comes.
type Lines struct {
	mu sync.Mutex
	b  strings.Builder
}

// Write implements io.Writer.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all that was logged.
func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Gate is a gate at which so much of 100 MiB is in use.
func Gate(percent int64) *quota.Gate {
	return quota.NewGate(quota.Config{Limit: 100 << 20, InUse: func() int64 { return percent << 20 }, Flush: func() {}, Refused: func(quota.Class) {}})
}

// KilledRestore leaves in the data directory what a restore leaves that was killed.
func KilledRestore(t testing.TB, dataDir string) string {
	t.Helper()
	left := filepath.Join(dataDir, ".etcd.restore-123")
	err := os.MkdirAll(filepath.Join(left, "member", "snap"), 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(left, "member", "snap", "db"), []byte("half"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return left
}
