package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// However many replicas see an expiry, one of them tells of it.
func TestManyReplicasClaimEachDeathOnce(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 4, interval: 10, misses: 1})
	c := w.subscribe()
	n := pick(1000, 10000)
	began := time.Now()
	dead := w.populate("dead", n) // and not one heartbeat
	t.Logf("%d registered in %s", n, time.Since(began).Round(time.Millisecond))
	w.poll(250 * time.Millisecond)
	w.requireSuspendedOnce(dead)
	claims := w.metric(`mep_transactions_total{kind="CLAIM"}`)
	t.Logf("4 replicas, %d expiries: %d claims confirmed (one without an answer is not counted)", n, claims)
	require.LessOrEqual(t, claims, n)
	c.requireTold(w, dead, nil)
}

// revoke ends the leases of all these.
func (w *world) revoke(agents []*agent) {
	w.t.Helper()
	w.revokeAll(w.leasesOf(agents))
}

// projection is where service-center keeps the instance.
func projection(id string) string {
	return "/cse-sr/inst/files/default/default/" + id[:32] + "/" + id[32:]
}

// A whole site dies at once while others live: all of it is hidden soon, and nobody
// else is harmed by the storm.
func TestMassDeath(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 2, interval: 5, misses: 1, env: []string{"MEP_LIVENESS_DEFAULT_INTERVAL=5s"}}) // the breaker's window
	c := w.subscribe()
	living := w.populate("living", 100)
	w.startBeating(living)
	var dying []*agent
	for range pick(10, 50) { // so many at once that the first beat within their window, on a busy machine too
		some := w.populate("dying", 100)
		w.startBeating(some)
		dying = append(dying, some...)
	}
	w.poll(250 * time.Millisecond)
	time.Sleep(w.window() + time.Second)
	stopBeating(dying)
	began := time.Now()
	w.eventually("it is taken for a mass", func() bool { return w.metric("mep_mass_expiry") > 0 })
	w.requireSuspendedOnce(dying)
	c.requireTold(w, dying, living)
	w.eventually("and the mass is over by itself", func() bool { return w.metric("mep_mass_expiry") == 0 })
	t.Logf("told after the window: %s", c.lateness(w, dying))
	t.Logf("%d deaths hidden, told and checked %s after the last heartbeats, window %s", len(dying), time.Since(began).Round(100*time.Millisecond), w.window())
	w.requireUnharmed(living)
}

// A replica dies and comes back, again and again; whatever it had to do the others do.
func TestReplicasKilled(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 3, interval: 2, misses: 2})
	c := w.subscribe()
	living := w.populate("living", 100)
	w.startBeating(living)
	w.poll(200 * time.Millisecond)
	var dead []*agent
	for range pick(4, 40) {
		doomed := w.populate("doomed", 10)
		w.startBeating(doomed)
		time.Sleep(time.Duration(1000+w.rnd.IntN(2000)) * time.Millisecond)
		stopBeating(doomed)
		dead = append(dead, doomed...)
		victim := w.rnd.IntN(len(w.replicas))
		time.Sleep(time.Duration(w.rnd.IntN(int(w.window()+3*time.Second)/int(time.Millisecond))) * time.Millisecond)
		w.replicas[victim].get().Kill()
		time.Sleep(time.Duration(w.rnd.IntN(3000)) * time.Millisecond)
		w.restart(victim)
	}
	w.requireTruth(c, dead, living)
}

// The replica that tells a consumer is killed in the moment in which the consumer has
// taken the notification and not yet answered: it is told again, under the same id.
func TestReplicaKilledBetweenPostAndCursor(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 2, interval: 2, misses: 1})
	c := w.subscribe()
	var kills int
	c.after = func(told []mp1.ServiceReference) {
		if told[0].State != mp1.Suspended || kills >= pick(2, 20) {
			return
		}
		kills++                     // one worker tells this consumer, so one goroutine runs here
		for i := range w.replicas { // it is one of them
			w.replicas[i].get().Kill()
		}
		for i := range w.replicas {
			w.restart(i)
		}
	}
	var dead []*agent
	for range pick(2, 20) {
		doomed := w.populate("doomed", 5)
		dead = append(dead, doomed...)
		w.eventually("suspended", func() bool { return w.of(doomed).suspended == len(doomed) })
	}
	w.requireSuspendedOnce(dead)
	c.requireTold(w, dead, nil)
	_, repeated := c.of(dead)
	t.Logf("%d kills between POST and cursor", kills)
	require.GreaterOrEqual(t, repeated, kills, "what was not acknowledged is told again")
}
