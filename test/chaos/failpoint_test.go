package chaos

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

// What breaks the program on purpose is not in a release, not even its names.
func TestAReleaseHasNoFailpoints(t *testing.T) {
	for path, want := range map[string]bool{mep.Binary(): false, mep.FailpointBinary(t): true} {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, word := range []string{"MEP_FAILPOINTS", ".before-txn", "renew.before-reply", "post.before", "list.mid-range", "termination.begun"} {
			require.Equal(t, want, bytes.Contains(b, []byte(word)), "%s in %s", word, path)
		}
	}
}

// points are where a replica may fail: around its calls of the store and of consumers.
// What "error" returns is heeded at some of them only.
var points = []struct {
	name string
	errs bool
}{
	{"renew.before", false}, {"renew.before-reply", true}, {"grant-4s.after", false}, {"revoke.before", false},
	{"REGISTER.before-txn", false}, {"REGISTER.after-txn", true}, {"CLAIM.before-txn", false}, {"CLAIM.after-txn", true},
	{"REARM.before-txn", false}, {"REARM.after-txn", true}, {"RESUME.before-txn", false}, {"RESUME.after-txn", true}, {"RAISE.after-txn", true},
	{"DELETE.before-txn", false}, {"DELETE.after-txn", true}, {"post.before", false}, {"cursor.before", false}, {"list.mid-range", false},
}

// Wherever a replica fails, what it acknowledged holds, each death is told once, and
// what it left half done another one, or itself anew, carries through.
func TestFailpoints(t *testing.T) {
	t.Parallel()
	seed := newSeed()
	rnd := rand.New(rand.NewPCG(seed, 1))
	third, first := rnd.IntN(3), rnd.IntN(5)
	t.Logf("seed %d: the points %d, %d, ..., the actions from number %d on", seed, third, third+3, first)
	for i, point := range points {
		if !*long && i%3 != third {
			continue // each third in the short size, others each time
		}
		actions := []string{"exit", "stop", "sleep", "panic"}
		if point.errs {
			actions = append(actions, "error")
		}
		if !*long { // one action per point
			actions = actions[(first+i/3)%len(actions):][:1]
		}
		t.Run(point.name, func(t *testing.T) {
			t.Parallel()
			for _, action := range actions {
				t.Run(action, func(t *testing.T) { failAt(t, seed, point.name, action) })
			}
		})
	}
}

// failAt has the first replica fail at a point, in a world in which some live, some die, some
// come back and some are deleted.
func failAt(t *testing.T, seed uint64, point, action string) {
	w := begin(t, plan{members: 1, replicas: 2, interval: 2, misses: 1, seed: seed, patience: time.Second, // to fail over before the other replica may claim
		binary: mep.FailpointBinary(t), first: []string{"MEP_FAILPOINTS=" + point + "=" + action}})
	first := w.replicas[0].get()
	reached := func() bool { return strings.Contains(first.Stderr.String(), "failpoint "+point+": "+action) }
	stopKeeping := w.keepRunning(0)
	defer stopKeeping()
	c := w.subscribe()
	living := w.populate("living", 6)
	w.startBeating(living)
	w.work.Go(func() { w.revokeUntil(reached, living) })
	dying := w.populate("dying", 6)
	resumed := w.populate("resumed", 2)
	gone := w.populate("gone", 2)
	for _, a := range gone {
		w.retryUntil(http.MethodDelete, mep.ServicesOf(a.app)+"/"+a.id, http.StatusNoContent, http.StatusNotFound)
	}
	w.eventually("the dead are found", func() bool { return w.of(dying).suspended == len(dying) && w.of(resumed).suspended == len(resumed) })
	for _, a := range resumed {
		a.home = 0
		w.eventually("back", func() bool { w.beat(a); return w.replicas[1].get().State(a.id) == "ACTIVE" })
	}
	w.startBeating(resumed)
	w.eventually("the point is reached", reached) // a list that is long enough comes with the next sweep
	time.Sleep(w.window() + 2*time.Second)
	c.requireTold(w, append(dying, resumed...), living)
	require.Zero(t, w.of(dying).twice)
	require.Zero(t, w.of(living).suspended)
	for i, s := range w.replicas { // the first one may be about to start again
		for _, a := range append(living, resumed...) {
			w.eventually(fmt.Sprint("shown as ACTIVE by replica ", i), func() bool { return s.get().State(a.id) == "ACTIVE" })
			require.Zero(t, a.refused.Load())
		}
		for _, a := range gone {
			w.eventually(fmt.Sprint("gone at replica ", i), func() bool { return s.get().State(a.id) == "404" })
		}
	}
}

// keepRunning watches over a replica's process: it is started again if it ends, and goes on
// 3 s after it stopped itself. The function ends that, and waits.
func (w *world) keepRunning(replica int) (end func()) {
	over, done := make(chan struct{}), make(chan struct{})
	w.work.Go(func() {
		defer close(done)
		for {
			select {
			case <-over:
				return
			case <-time.After(100 * time.Millisecond):
			}
			if r := w.replicas[replica].get(); r.Ended() {
				w.restart(replica)
			} else if strings.Contains(r.Stderr.String(), ": stop\n") {
				time.Sleep(3 * time.Second)
				r.Resume()
				return
			}
		}
	})
	return func() { close(over); <-done }
}

// revokeUntil revokes leases of the living, so that they are re-armed: of those that
// beat at the first replica, and late in their interval. Evidence that is older than a
// second gets a lease shorter than the window, which the next heartbeat raises; and if
// the replica fails just then, that heartbeat reaches another one in time.
func (w *world) revokeUntil(enough func() bool, living []*agent) {
	for !enough() {
		select {
		case <-w.end:
			return
		case <-time.After(100 * time.Millisecond):
		}
		for _, a := range living {
			if s := a.silence(time.Now()); a.home == 0 && s > 1400*time.Millisecond && s < 1800*time.Millisecond {
				w.revoke([]*agent{a})
				break
			}
		}
	}
}

// retryUntil repeats a request at one replica after the other until it is answered.
func (w *world) retryUntil(method, path string, want ...int) {
	w.t.Helper()
	i := 0
	w.eventually(method, func() bool {
		r := w.replicas[i%len(w.replicas)].get()
		i++
		answer, err := r.Try(method, path, "")
		for _, status := range want {
			if err == nil && answer.Status == status {
				return true
			}
		}
		return false
	})
}
