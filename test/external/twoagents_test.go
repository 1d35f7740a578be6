package external

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// Two agents of one service, each at a replica of its own: what one of them has entered
// counts at the other at once, and when a replica is killed.
func TestReplicasKeepTheAgentsOfAServiceTogether(t *testing.T) {
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	a, b := start(t, c), start(t, c)
	register := func(name string) string {
		path := a.Want(201, "POST", mep.ServicesOf("app"), mep.Info(name, 1), "Mep-Agent", "node-1.r1").Header.Get("Location")
		b.Want(200, "PUT", path, mep.Info(name, 1), "Mep-Agent", "node-2.r1")
		return path
	}
	path := register("kept")
	a.Want(409, "DELETE", path, "", "Mep-Agent", "node-1.r1")
	// beats has the second agent be heard, again if etcd on a busy machine was too slow to confirm it.
	beats := func(r *mep.Server, path string) {
		t.Helper()
		wait.Until(t, "a heartbeat is confirmed", func() bool {
			status := r.Do("PATCH", path+"/liveness", mep.Alive, "Mep-Agent", "node-2.r1").Status
			require.Contains(t, []int{204, 503}, status)
			return status == 204
		})
	}
	for range 3 {
		beats(a, path)
		time.Sleep(500 * time.Millisecond)
	}

	kept := path
	for range 10 { // both leave at once
		beats(a, kept) // all ten may take longer than its window
		path := register("both")
		var got [2]int
		var both sync.WaitGroup
		for i, r := range []*mep.Server{a, b} {
			both.Go(func() {
				if x, err := r.Try("DELETE", path, "", "Mep-Agent", []string{"node-1.r1", "node-2.r1"}[i]); err == nil {
					got[i] = x.Status
				}
			})
		}
		both.Wait()
		slices.Sort(got[:])
		require.Equal(t, [2]int{204, 409}, got)
	}

	a.Kill()
	for range 6 { // the window is 2 s
		beats(b, path)
		time.Sleep(500 * time.Millisecond)
	}
	b.Want(409, "DELETE", path, "", "Mep-Agent", "node-1.r1")
	b.Want(204, "DELETE", path, "", "Mep-Agent", "node-2.r1")

	path = b.Want(201, "POST", mep.ServicesOf("app"), mep.Info("left", 1), "Mep-Agent", "node-1.r1").Header.Get("Location")
	b.Want(200, "PUT", path, mep.Info("left", 1), "Mep-Agent", "node-2.r1")
	b.Want(409, "DELETE", path, "", "Mep-Agent", "node-1.r1")
	wait.Until(t, "what was left to the dead is removed", func() bool { return b.Do("GET", path, "").Status == 404 })
}
