package chaos

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/mep"
)

// A full store takes no writes: heartbeats on present leases go on, the dead are
// hidden although nothing can be written about them, whoever must write is told so,
// and everything heals when there is space.
func TestStoreFull(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 2, interval: 2, misses: 2, etcd: []string{"--quota-backend-bytes", fmt.Sprint(16 << 20)}})
	living, dead := w.populate("living", 60), w.populate("dying", 10)
	w.live(living)
	w.live(dead)
	w.poll(200 * time.Millisecond)
	time.Sleep(2 * time.Second)
	kill(dead)
	var err error
	for i := 0; err == nil; i++ {
		require.Less(t, i, 1000)
		err = w.etcd.Put(fmt.Sprint("/fill/", i), strings.Repeat("x", 1<<20))
	}
	full := time.Now()
	w.eventually("the alarm is seen", func() bool { return w.metric("mep_store_full") == 2 })
	for i := range w.replicas {
		a, err := w.replicas[i].get().Try(http.MethodPost, mep.Base+"/applications/late/services", mep.Info("late", 5))
		require.NoError(t, err)
		require.Equal(t, http.StatusInsufficientStorage, a.Status, "%s", a.Body)
		require.NotEmpty(t, a.Header.Get("Retry-After"))
		require.Contains(t, string(a.Body), `"status":507`)
	}
	w.eventually("the dead are hidden", func() bool { return w.allHidden(dead) })
	hidden := time.Now()
	w.eventually("heartbeats go on", func() bool {
		return !slices.ContainsFunc(living, func(a *agent) bool { return a.silence(time.Now()) > time.Since(hidden) })
	})
	require.Zero(t, w.of(dead).suspended, "nothing could be written")
	began := time.Now()
	w.replicas[0].get().Kill()
	w.again(0)
	t.Logf("a replica starts on the full store in %s", time.Since(began).Round(10*time.Millisecond))
	require.NoError(t, w.etcd.Erase("/fill/"))
	require.NoError(t, w.etcd.Disarm())
	t.Logf("full for %s", time.Since(full).Round(time.Second))
	w.buried(dead)
	_, err = w.replicas[0].get().Register("late", "late", 5)
	require.NoError(t, err)
	w.unharmed(living)
}

// Garbage under every prefix that is read, before a replica starts and while it
// runs, harms nobody else.
func TestGarbageRecords(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 2, interval: 2, misses: 1})
	c := w.subscribe()
	victim := w.populate("victim", 1)[0]
	living, dead := w.populate("living", 20), w.populate("dead", 10)
	w.live(living)
	w.poll(200 * time.Millisecond)
	id := strings.Repeat("0123456789abcdef", 4)
	for round, garbage := range []string{"", "{", "null", "[]", "\x00\xff", `{"Schema":99}`, `{"Schema":1,"ID":"` + id + `","Attributes":"{"}`, strings.Repeat("[", 10000)} {
		for _, key := range []string{
			"/mep/rec/" + id, "/mep/rec/x", "/mep/rec/" + id + "/y", "/mep/rec/" + victim.id, "/mep/obx/x", "/mep/obx/" + id + "/1", "/mep/sub/x",
			"/mep/sub/app/" + id, "/mep/cur/x", "/mep/cur/" + id, "/mep/lck/x", "/mep/app/x", "/mep/app/" + id, "/mep/rep/x", "/mep/rep/0000000000000000", "/mep/x",
			projection(id), projection(victim.id), "/cse-sr/inst/files/default/default/x", "/cse-sr/inst/leases/default/default/" + id[:32] + "/" + id[32:],
			"/cse-sr/ms/files/default/default/" + id[:32], "/cse-sr/ms/indexes/default/default/x/y",
		} {
			require.NoError(t, w.etcd.Put(key, garbage))
		}
		if round == 3 {
			w.replicas[1].get().Kill()
			w.again(1) // reads all of it at its start
		}
		more, err := w.replicas[round%2].get().Register("app", fmt.Sprint("more", round), 60)
		require.NoError(t, err)
		w.eventually("seen by the other", func() bool { return w.replicas[1-round%2].get().State(more) == "ACTIVE" })
		for _, s := range w.replicas {
			seen, err := s.get().Discover()
			require.NoError(t, err)
			require.True(t, seen[more])
		}
	}
	for _, s := range w.replicas {
		require.Equal(t, http.StatusServiceUnavailable, w.patch(s.get(), victim), "its record cannot be read, so nothing is confirmed")
	}
	w.buried(dead)
	c.heardOf(w, dead, living)
	w.unharmed(living)
}

// History that is compacted while a replica cannot follow is made up for by a list.
func TestCompactionBehindACut(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 2, interval: 2, misses: 1})
	living := w.populate("living", 20)
	w.live(living)
	var dead []*agent
	for range pick(2, 20) {
		doomed := w.populate("doomed", 10)
		dead = append(dead, doomed...)
		w.links[0][0].Set(pick3(w))
		time.Sleep(time.Second)
		w.revoke(doomed)
		require.NoError(t, w.etcd.Put("/elsewhere", "x"))
		require.NoError(t, w.etcd.Compact())
		time.Sleep(time.Second)
		w.links[0][0].Set(0)
	}
	w.poll(200 * time.Millisecond)
	w.buried(dead)
	w.unharmed(living)
}
