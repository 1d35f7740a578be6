package chaos

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/proxy"
)

func (w *world) setLinks(replica int, m proxy.Mode) {
	for _, l := range w.links[replica] {
		l.Set(m)
	}
}

// A replica that cannot reach the store, or hears nothing of it, answers 503; its
// agents go to another one, and its own deaths are found there.
func TestReplicaCutOff(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 2, interval: 2, misses: 2})
	c := w.subscribe()
	living := w.populate("living", 60)
	w.startBeating(living)
	w.poll(200 * time.Millisecond)
	var dead []*agent
	modes := []proxy.Mode{proxy.Refuse, proxy.Blackhole, proxy.HalfDown, proxy.HalfUp}
	for range pick(1, 5) {
		for _, mode := range modes[:pick(3, 4)] {
			doomed := w.populate("doomed", 10)
			w.startBeating(doomed)
			time.Sleep(2 * time.Second)
			stopBeating(doomed)
			dead = append(dead, doomed...)
			victim := w.rnd.IntN(2)
			w.setLinks(victim, mode)
			time.Sleep(time.Duration(pick(10, 30)) * time.Second)
			a := w.replicas[victim].get().Want(http.StatusServiceUnavailable, http.MethodPatch, mep.ServicesOf(living[0].app)+"/"+living[0].id+"/liveness", mep.Alive) // no 204 without the store
			require.NotEmpty(t, a.Header.Get("Retry-After"))
			w.setLinks(victim, proxy.Pass)
			time.Sleep(3 * time.Second)
		}
		w.degrade(w.links[w.rnd.IntN(2)][0])
	}
	w.requireTruth(c, dead, living)
}

// degrade lets a link be cut, late and slow for a while, one after the other.
func (w *world) degrade(link *proxy.Proxy) {
	link.Cut()
	time.Sleep(2 * time.Second)
	for _, links := range w.links {
		links[0].SetDelay(700 * time.Millisecond)
	}
	time.Sleep(4 * time.Second)
	for _, links := range w.links {
		links[0].Set(proxy.Pass)
	}
	link.Set(proxy.Drip)
	time.Sleep(4 * time.Second)
	link.Set(proxy.Pass)
	for i, s := range w.replicas {
		w.eventually(fmt.Sprint("confirmed again by replica ", i), func() bool { return w.patch(s.get(), w.agents[0]) == http.StatusNoContent })
	}
}

// One member of three is silent, or slow, and in the end the leader dies for a while: nobody is suspended for it.
func TestOneMemberSilentOrSlow(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 3, replicas: 2, interval: 2, misses: 2})
	c := w.subscribe()
	living := w.populate("living", 60)
	w.startBeating(living)
	w.poll(200 * time.Millisecond)
	time.Sleep(time.Second)
	before := w.failedOver.Load()
	for member := range w.etcd.Members {
		for i := range w.replicas {
			if w.rnd.IntN(2) == 0 {
				w.links[i][member].Set(proxy.Blackhole)
			} else {
				w.links[i][member].SetDelay(300 * time.Millisecond)
			}
		}
		time.Sleep(time.Duration(pick(5, 20)) * time.Second)
		for i := range w.replicas {
			w.links[i][member].Set(proxy.Pass)
		}
		time.Sleep(2 * time.Second)
	}
	// None is the aim, which is not reached: 1, 16 and 33 were seen on a busy machine.
	t.Logf("%d heartbeats had to be sent to another replica", w.failedOver.Load()-before)
	leader := w.etcd.Leader()
	require.NotNil(t, leader)
	leader.Kill()
	time.Sleep(5 * time.Second)
	leader.Launch(t)
	time.Sleep(w.window())
	w.requireTruth(c, nil, living)
}

// The window that refutation leaves open: the only replica that heard the service is
// cut off while its lease is revoked falsely. The others cannot know better. Agents
// that fail over close the window with their next heartbeat.
func TestTheWindowThatRefutationLeavesOpen(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 2, interval: 5, misses: 1})
	both := w.populate("only", 2)
	a, b := both[0], both[1]
	for began := time.Now(); time.Since(began) < w.window()+3*time.Second; { // both replicas have run for a window by then
		time.Sleep(2 * time.Second)
		for _, one := range both {
			one.home = 0
			require.Equal(t, http.StatusNoContent, w.patch(w.replicas[0].get(), one))
		}
	}
	w.setLinks(0, proxy.Refuse)
	w.revoke(both)
	revoked := time.Now()
	w.eventually("suspended by the other replica, which never heard them", func() bool {
		return w.replicas[1].get().State(a.id) == "SUSPENDED" && w.replicas[1].get().State(b.id) == "SUSPENDED"
	})
	suspended := time.Now()
	w.beat(a) // at its home: 503; then at the other one
	w.eventually("back by its next heartbeat", func() bool { return w.replicas[1].get().State(a.id) == "ACTIVE" })
	t.Logf("revoked falsely; suspended after %s by the replica that had no evidence; back %s after that, with the first heartbeat that failed over",
		suspended.Sub(revoked).Round(10*time.Millisecond), time.Since(suspended).Round(10*time.Millisecond))
	w.setLinks(0, proxy.Pass)
	w.eventually("counted where it was heard", func() bool { return w.replicas[0].get().Metric("mep_suspended_though_heard_total") > 0 })
	w.beat(b)
	w.eventually("known at its home", func() bool {
		return w.replicas[0].get().State(a.id) == "ACTIVE" && w.replicas[0].get().State(b.id) == "ACTIVE"
	})
	require.Equal(t, verdict{agents: 2, suspended: 2, revoked: 2}, w.of(both))
}

// The store is out of reach for every replica while all leases end: each heartbeat is
// answered 503, and is evidence all the same.
func TestHeartbeatsWithoutAnAnswerAreEvidence(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 2, interval: 5, misses: 1})
	c := w.subscribe()
	living := w.populate("living", 60)
	w.startBeating(living)
	w.poll(200 * time.Millisecond)
	time.Sleep(w.window() + 2*time.Second) // the replicas may claim
	for i := range w.replicas {
		w.setLinks(i, proxy.Refuse)
	}
	w.eventually("503 without the store", func() bool {
		return w.patch(w.replicas[0].get(), living[0]) == http.StatusServiceUnavailable && w.patch(w.replicas[1].get(), living[1]) == http.StatusServiceUnavailable
	})
	time.Sleep(w.interval + time.Second) // all have beaten in vain
	w.revoke(living)
	time.Sleep(w.interval) // nothing confirmed is younger than a window
	for i := range w.replicas {
		w.setLinks(i, proxy.Pass)
	}
	w.eventually("heartbeats are confirmed again", func() bool {
		return !slices.ContainsFunc(living, func(a *agent) bool { return a.silence(time.Now()) > w.interval+time.Second })
	})
	time.Sleep(w.window()) // for a claim, if there is one
	require.GreaterOrEqual(t, w.of(living).revoked, len(living))
	w.requireTruth(c, nil, living)
}

func randomMode(w *world) proxy.Mode {
	return []proxy.Mode{proxy.Refuse, proxy.Blackhole, proxy.HalfDown}[w.rnd.IntN(3)]
}
