package chaos

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

var broken = sync.OnceValues(func() (string, error) { return mep.Build(workDir, "mepserver-failpoint", "-tags", "failpoint") })

// What breaks the program on purpose is not in a release, not even its names.
func TestAReleaseHasNoFailpoints(t *testing.T) {
	withTag, err := broken()
	require.NoError(t, err)
	for path, want := range map[string]bool{binary: false, withTag: true} {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, word := range []string{"MEP_FAILPOINTS", ".before-txn", "renew.before-reply"} {
			require.Equal(t, want, bytes.Contains(b, []byte(word)), "%s in %s", word, path)
		}
	}
}

// points are where a replica may fail: around its calls of the store and of consumers.
var points = []string{
	"renew.before", "renew.before-reply", "grant-4s.after", "revoke.before",
	"REGISTER.before-txn", "REGISTER.after-txn", "CLAIM.before-txn", "CLAIM.after-txn", "REARM.before-txn", "REARM.after-txn",
	"RESUME.before-txn", "RESUME.after-txn", "RAISE.after-txn", "DELETE.before-txn", "DELETE.after-txn", "post.before", "cursor.before", "list.mid-range",
}

// Wherever a replica fails, what it acknowledged holds, each death is told once, and
// what it left half done another one, or itself anew, carries through.
func TestFailpoints(t *testing.T) {
	t.Parallel()
	actions := []string{"exit", "stop", "sleep", "error", "panic"}
	skip := rand.IntN(3)
	for i, point := range points {
		if !*long && i%3 != skip {
			continue // each third in the short tier, others each time
		}
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			for j, action := range actions {
				if !*long && (i+j)%len(actions) != 0 {
					continue // one action per point in the short tier
				}
				t.Run(action, func(t *testing.T) { failAt(t, point, action) })
			}
		})
	}
}

func failAt(t *testing.T, point, action string) {
	path, err := broken()
	require.NoError(t, err)
	w := begin(t, plan{members: 1, replicas: 2, interval: 2, misses: 1, binary: path, first: []string{"MEP_FAILPOINTS=" + point + "=" + action}})
	first := w.replicas[0].get()
	heal := make(chan struct{})
	w.work.Go(func() { // whoever watches over the process starts it again, or lets it go on
		for {
			select {
			case <-heal:
				return
			case <-time.After(100 * time.Millisecond):
			}
			if r := w.replicas[0].get(); r.Ended() {
				w.again(0)
			} else if bytes.Contains([]byte(r.Errors.String()), []byte(": stop")) {
				time.Sleep(3 * time.Second)
				r.Resume()
				return
			}
		}
	})
	defer close(heal)
	c := w.subscribe()
	living := w.populate("living", 6)
	w.live(living)
	dying := w.populate("dying", 6)
	resumed := w.populate("resumed", 2)
	gone := w.populate("gone", 2)
	for _, a := range gone {
		w.insist(t, a, http.MethodDelete, mep.Base+"/applications/"+a.app+"/services/"+a.id, http.StatusNoContent, http.StatusNotFound)
	}
	w.revoke(living[:3]) // whoever heard them re-arms them
	w.eventually("the dead are found", func() bool { return w.of(dying).suspended == len(dying) && w.of(resumed).suspended == len(resumed) })
	for _, a := range resumed {
		a.home = 0
		w.eventually("back", func() bool { w.beat(a); return w.replicas[1].get().State(a.id) == "ACTIVE" })
	}
	w.live(resumed)
	time.Sleep(w.window() + 2*time.Second)
	w.eventually("the deaths are told", func() bool { told, _, _ := c.of(dying); return told == len(dying) })
	// a list that is long enough comes with the next sweep
	w.eventually("the point is reached", func() bool { return strings.Contains(first.Errors.String(), "failpoint "+point) })
	require.Zero(t, w.of(dying).twice)
	for _, a := range append(living, resumed...) {
		require.Equal(t, "ACTIVE", w.replicas[1].get().State(a.id))
		require.Zero(t, a.refused.Load())
	}
	require.Zero(t, w.of(living).suspended)
	for _, a := range gone {
		require.Equal(t, "404", w.replicas[1].get().State(a.id))
		require.Equal(t, "404", w.replicas[0].get().State(a.id))
	}
}

// insist repeats a request at one replica after the other until it is answered.
func (w *world) insist(t *testing.T, a *agent, method, path string, want ...int) {
	t.Helper()
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
