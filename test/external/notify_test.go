package external

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/wait"
)

// Whatever happens to the replica that sends, another one goes on, in order.
func TestAnotherReplicaGoesOnSending(t *testing.T) {
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	a, b := start(t, c), start(t, c)
	const subscribers = 6
	var consumers []*consumer.Consumer
	var paths []string
	for i := range subscribers {
		c := consumer.Start(t)
		consumers = append(consumers, c)
		paths = append(paths, []*mep.Server{a, b}[i%2].Subscribe("watcher", c.URL, ""))
	}
	var want []string
	register := func(at *mep.Server, n int) {
		for range n {
			name := fmt.Sprint("s", len(want))
			at.Register("app", name, -1)
			want = append(want, name+" ADDED ACTIVE")
		}
	}
	all := func(what string) {
		t.Helper()
		for i, c := range consumers {
			wait.Until(t, what, func() bool { return len(c.Distinct()) >= len(want) })
			require.Equal(t, want, c.Distinct(), i)
			require.Empty(t, c.Faults())
		}
	}
	register(a, 10)
	register(b, 10)
	all("told by whichever replica has the lock")
	b.Want(http.StatusOK, http.MethodGet, paths[0], "") // what one acknowledged the other knows
	a.Want(http.StatusOK, http.MethodGet, paths[1], "")

	a.Pause()
	register(b, 10)
	all("told although a replica is paused")
	a.Resume()
	time.Sleep(500 * time.Millisecond)
	register(a, 10)
	all("told after it is back")

	killed := time.Now()
	b.Kill()
	register(a, 10)
	all("told after a replica died")
	longest := time.Duration(0)
	for _, c := range consumers {
		longest = max(longest, c.Last().At.Sub(killed))
	}
	t.Logf("a replica died; %d subscribers, the last told %v later", subscribers, longest.Round(time.Millisecond))
}

// The replica that is asked to end a subscription need not be the one that sends.
func TestADeletionReachesTheReplicaThatSends(t *testing.T) {
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	a, b := start(t, c), start(t, c)
	for i := range 6 {
		c := consumer.Start(t)
		path := []*mep.Server{a, b}[i%2].Subscribe("watcher", c.URL, "")
		end := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				case <-time.After(5 * time.Millisecond):
				}
				a.Register(fmt.Sprint("app", i), fmt.Sprint(i, " ", n), -1)
			}
		})
		wait.Until(t, "told", func() bool { return len(c.Distinct()) > 20 })
		b.Want(http.StatusNoContent, http.MethodDelete, path, "")
		answered := time.Now()
		b.Want(http.StatusNotFound, http.MethodGet, path, "")
		time.Sleep(time.Second)
		close(end)
		wg.Wait()
		require.False(t, c.Last().At.After(answered), "a POST came after the deletion was answered")
		wait.Until(t, "gone at the other", func() bool { return a.Do(http.MethodGet, path, "").Status == http.StatusNotFound })
	}
}
