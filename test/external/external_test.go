// Package external runs mepserver replicas over etcd servers beside them, and shows that
// they are one platform: what one acknowledged the others know, what one leaves undone
// another does, and each death and change is told once. It knows the binary, the wire and
// etcd; it must not know anything of the program's inside.
//
// It needs the Go module proxy, or etcd built before, and two minutes. That an etcd which
// is too old is refused is tried where Debian's etcd-server is installed.
//
//	go test ./test/external -run .
package external

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proc"
	"github.com/mec-liveness/mepserver/test/proxy"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

func TestMain(m *testing.M) {
	os.Exit(tier.Main(m, "test/external", "builds and starts etcd servers", func() int { return mep.Main(m) }))
}

// start runs a replica over a cluster.
func start(t *testing.T, c *etcd.Cluster) *mep.Server {
	t.Helper()
	return mep.Options{Endpoints: c.Endpoints(), Env: mep.Fast}.Start(t)
}

// Two replicas over one etcd, of either release line: a heartbeat may reach either,
// a death is found once, and what one acknowledged the other knows.
func TestTwoReplicasShareOneRegistry(t *testing.T) {
	for _, line := range []etcd.Line{etcd.Current, etcd.Previous} {
		t.Run(string(line), func(t *testing.T) {
			c := etcd.Start(t, etcd.Binary(t, line), 1)
			a, b := start(t, c), start(t, c)
			id := a.Register("app", "n", 2).ID
			require.Equal(t, "ACTIVE", b.State(id), "a 404 is confirmed by the store, so there is none")

			for i := range 16 { // 8 s, alternating: twice the window
				time.Sleep(500 * time.Millisecond)
				heard(t, []*mep.Server{a, b}[i%2], id)
			}
			require.Equal(t, "ACTIVE", a.State(id))
			for _, r := range []*mep.Server{a, b} {
				wait.Until(t, "hidden everywhere", func() bool { return !r.Discovered(id) })
				wait.Until(t, "suspended everywhere", func() bool { return r.State(id) == "SUSPENDED" })
			}
			counted(t, 1, claims, a, b) // one of them claimed

			heard(t, b, id)
			require.Equal(t, "ACTIVE", b.State(id))
			wait.Until(t, "back at the other", func() bool { return a.State(id) == "ACTIVE" && a.Discovered(id) })

			a.Want(http.StatusNoContent, http.MethodDelete, mep.ServicesOf("app")+"/"+id, "")
			wait.Until(t, "gone at the other", func() bool { return b.State(id) == "404" })
			require.Equal(t, http.StatusNotFound, b.Beat("app", id), "a heartbeat never resurrects")
		})
	}
}

// heard sends one heartbeat of app, and again if etcd on a busy machine was too slow to confirm it.
func heard(t *testing.T, r *mep.Server, id string) {
	t.Helper()
	wait.Until(t, "a heartbeat is confirmed", func() bool {
		status := r.Beat("app", id)
		if status != http.StatusServiceUnavailable {
			require.Equal(t, http.StatusNoContent, status)
		}
		return status == http.StatusNoContent
	})
}

const claims = `mep_transactions_total{kind="CLAIM"}`

// counted waits until a counter has come to n at all replicas together, beyond which it may not
// be: what was done is counted a moment after answers show it.
func counted(t *testing.T, n int, series string, replicas ...*mep.Server) {
	t.Helper()
	sum := func() (all int) {
		for _, r := range replicas {
			all += r.Metric(series)
		}
		return all
	}
	wait.Until(t, fmt.Sprint(series, " comes to ", n), func() bool { return sum() >= n })
	require.Equal(t, n, sum(), series)
}

// Whatever a dead replica would have done, another one does: the heartbeats go on
// there, a death that only the dead one had heard of is found, told and in the end
// removed by the other.
func TestAKilledReplicasWorkGoesOn(t *testing.T) {
	t.Setenv("MEP_LIVENESS_DEREGISTER_AFTER", "3s")
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	a, b := start(t, c), start(t, c)
	var consumers []*consumer.Consumer
	for range 6 { // of which each replica serves some
		c := consumer.Start(t)
		a.Subscribe("watcher", c.URL, "")
		consumers = append(consumers, c)
	}
	living, dying := a.Register("app", "living", 2).ID, a.Register("app", "dying", 1).ID
	for range 4 {
		heard(t, a, living)
		heard(t, a, dying)
		time.Sleep(500 * time.Millisecond)
	}
	wait.Until(t, "both replicas are known", func() bool { return b.Metric("mep_replicas") == 2 })
	a.Pause()
	b.Register("other", "queued", -1)
	killed := time.Now()
	a.Kill()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(500 * time.Millisecond):
				b.Beat("app", living)
			}
		}
	}()
	since := func() time.Duration { return time.Since(killed).Round(10 * time.Millisecond) }
	wait.Until(t, "claimed by the survivor", func() bool { return b.State(dying) == "SUSPENDED" })
	claimed := since()
	require.Equal(t, "ACTIVE", b.State(living))
	wait.Until(t, "removed by the survivor", func() bool { return b.State(dying) == "404" })
	removed := since()
	require.GreaterOrEqual(t, removed, 3*time.Second, "its time began with the claim, after the kill")
	want := []string{"living ADDED ACTIVE", "dying ADDED ACTIVE", "queued ADDED ACTIVE", "dying STATE_CHANGED SUSPENDED", "dying REMOVED SUSPENDED"}
	var queued, end time.Duration // the latest
	for _, c := range consumers {
		wait.Until(t, "all of it is told", func() bool { return len(c.Distinct()) >= len(want) })
		require.Equal(t, want, c.Distinct())
		require.Empty(t, c.Faults())
		queued, end = max(queued, c.FirstOf(want[2]).Sub(killed)), max(end, c.FirstOf(want[4]).Sub(killed))
	}
	t.Logf("a replica died; %s later what only it had heard was claimed, %s removed; %s the last of its queues went on, %s all were told of the removal", claimed, removed,
		queued.Round(10*time.Millisecond), end.Round(10*time.Millisecond))
	wait.Until(t, "the dead replica is gone", func() bool { return b.Metric("mep_replicas") == 1 })
	counted(t, 1, claims, b)
	counted(t, 1, `mep_transactions_total{kind="RETENTION"}`, b)
	require.Equal(t, "ACTIVE", b.State(living))
}

// exits runs mepserver over these endpoints, which it must refuse in one line.
func exits(t *testing.T, endpoints string, env ...string) string {
	t.Helper()
	code, p := proc.Command{Program: mep.Binary(), Args: []string{"--listen", "127.0.0.1:0", "--etcd-endpoints", endpoints}, Env: env}.Run(t, time.Minute)
	require.Equal(t, 1, code, "%s", p.Stderr)
	out := strings.TrimSpace(p.Stderr.String())
	require.NotContains(t, out, "\n", "one line")
	return out
}

func TestAClusterThatCannotBeReachedIsOneClearLine(t *testing.T) {
	where := "http://" + proxy.Nobody(t)
	require.Contains(t, exits(t, where), "cannot reach the etcd cluster at "+where+": dial tcp")
}

// Debian's etcd is older than anything that we use.
func TestAnOldEtcdIsRefused(t *testing.T) {
	old := proc.Find(t, "etcd") // Debian's etcd-server would do
	code, version := proc.Command{Program: old, Args: []string{"--version"}}.Run(t, time.Minute)
	require.Zero(t, code)
	if !strings.HasPrefix(version.Stdout.String(), "etcd Version: 3.4.") {
		t.Skipf("%s is not the 3.4 that this is about: %s", old, version.Stdout)
	}
	c := etcd.Start(t, old, 1)
	line := exits(t, c.Endpoints()[0])
	require.Contains(t, line, "is etcd 3.4.")
	require.Contains(t, line, "3.5.23 or 3.6.5 or later is needed")
	got, err := c.Dial().Get(t.Context(), "/", clientv3.WithPrefix())
	require.NoError(t, err)
	require.Empty(t, got.Kvs, "nothing was written to it")
}
