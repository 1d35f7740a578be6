package chaos

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

const rearms = `mep_transactions_total{kind="REARM"}`

// etcd revokes the leases of all the living, a thousand a second or as fast as it can, while
// each write takes 40 ms: what one replica heard is re-armed before another claims it,
// however long that takes. At 48bd2db 7,522 of 10,000 were suspended.
func TestMassOfFalseRevocationsOverASlowStore(t *testing.T) {
	for _, replicas := range []int{2, 4} {
		if replicas == 4 && !*long {
			continue // the short size has no room for twice as many
		}
		t.Run(fmt.Sprint(replicas, " replicas"), func(t *testing.T) {
			w := begin(t, plan{members: 1, replicas: replicas, interval: pick(10, 45), misses: 1, binary: mep.FailpointBinary(t), env: []string{"MEP_WRITE_DELAY=40ms"}})
			c := w.subscribe()
			n := pick(1500, 10000)
			var living []*agent
			for len(living) < n { // else the first would wait for a heartbeat until the last is registered
				some := w.populate(fmt.Sprint("living", len(living)), min(500, n-len(living)))
				w.startBeating(some)
				living = append(living, some...)
			}
			w.poll(500 * time.Millisecond)
			time.Sleep(w.window() + 2*time.Second) // every replica has run for a window
			before := w.metric(rearms)
			leases := w.leasesOf(living)
			began := time.Now()
			w.revokeAll(leases)
			revoked := time.Since(began)
			w.eventually("all are re-armed", func() bool { return w.metric("mep_services_absent") == 0 })
			took, armed := time.Since(began), w.metric(rearms)-before
			t.Logf("%d leases revoked in %s; %d re-armed by %d replicas within %s of the first: %.0f a second",
				w.of(living).revoked, revoked.Round(time.Millisecond), armed, replicas, took.Round(time.Millisecond), float64(armed)/took.Seconds())
			require.GreaterOrEqual(t, w.of(living).revoked, n*9/10)
			w.requireTruth(c, nil, living)
		})
	}
}

// leasesOf reads on which leases the projections of these hang; 0: there is none.
func (w *world) leasesOf(agents []*agent) []int64 {
	w.t.Helper()
	out := make([]int64, len(agents))
	sideBySide(len(agents), 64, func(i int) {
		_, lease, err := w.etcd.Get(projection(agents[i].id))
		if err != nil {
			w.t.Error(err)
		}
		out[i] = lease
	})
	return out
}

// revokeAll ends leases as fast as etcd can. One that is there no more was moved meanwhile.
func (w *world) revokeAll(leases []int64) {
	w.t.Helper()
	sideBySide(len(leases), 256, func(i int) {
		if leases[i] == 0 {
			return
		}
		if err := w.etcd.Revoke(leases[i]); err != nil && !strings.Contains(err.Error(), "lease not found") {
			w.t.Error(err)
		}
	})
}

// sideBySide calls f for 0 to n-1, most of them at a time, and returns when all are done.
func sideBySide(n, most int, f func(i int)) {
	var work sync.WaitGroup
	permits := make(chan struct{}, most)
	for i := range n {
		permits <- struct{}{}
		work.Go(func() {
			defer func() { <-permits }()
			f(i)
		})
	}
	work.Wait()
}
