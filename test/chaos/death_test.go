package chaos

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// However many replicas see an expiry, one of them tells of it.
func TestManyReplicasClaimEachDeathOnce(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 4, interval: 10, misses: 1})
	n := pick(1000, 10000)
	began := time.Now()
	dead := w.populate("dead", n) // and not one heartbeat
	t.Logf("%d registered in %s", n, time.Since(began).Round(time.Millisecond))
	w.poll(250 * time.Millisecond)
	w.eventually("all claimed", func() bool { return w.metric(`mep_transactions_total{kind="CLAIM"}`) >= n })
	w.buried(dead)
	claims := w.metric(`mep_transactions_total{kind="CLAIM"}`)
	t.Logf("4 replicas, %d expiries: %d claims", n, claims)
	require.Equal(t, n, claims)
}

// revoke ends the leases of all these, side by side.
func (w *world) revoke(agents []*agent) {
	w.t.Helper()
	var work sync.WaitGroup
	gate := make(chan struct{}, 64)
	for _, a := range agents {
		gate <- struct{}{}
		work.Go(func() {
			defer func() { <-gate }()
			_, lease, err := w.etcd.Get(projection(a.id))
			if err == nil && lease != 0 {
				err = w.etcd.Revoke(lease)
			}
			if err != nil {
				w.t.Error(err)
			}
		})
	}
	work.Wait()
}

// projection is where service-center keeps the instance.
func projection(id string) string {
	return "/cse-sr/inst/files/default/default/" + id[:32] + "/" + id[32:]
}

// A whole site dies at once while others live: all of it is hidden soon, and nobody
// else is harmed by the storm.
func TestMassDeath(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 2, interval: 5, misses: 1})
	living, dying := w.populate("living", 100), w.populate("dying", pick(1000, 5000))
	w.live(living)
	w.live(dying)
	w.poll(250 * time.Millisecond)
	time.Sleep(w.window() + time.Second)
	kill(dying)
	w.buried(dying)
	w.unharmed(living)
}

// A replica dies and comes back, again and again; whatever it had to do the others do.
func TestReplicasKilled(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 3, interval: 2, misses: 2})
	living := w.populate("living", 100)
	w.live(living)
	w.poll(200 * time.Millisecond)
	var dead []*agent
	for range pick(4, 40) {
		doomed := w.populate("doomed", 10)
		w.live(doomed)
		time.Sleep(time.Duration(1000+w.rnd.IntN(2000)) * time.Millisecond)
		kill(doomed)
		dead = append(dead, doomed...)
		victim := w.rnd.IntN(len(w.replicas))
		time.Sleep(time.Duration(w.rnd.IntN(int(w.window()+3*time.Second)/int(time.Millisecond))) * time.Millisecond)
		w.replicas[victim].get().Kill()
		time.Sleep(time.Duration(w.rnd.IntN(3000)) * time.Millisecond)
		w.again(victim)
	}
	w.buried(dead)
	w.unharmed(living)
}
