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
	"github.com/mec-liveness/mepserver/test/proxy"
)

// A full store takes no writes: heartbeats on present leases go on, the dead are
// hidden although nothing can be written about them, whoever must write is told so,
// and everything heals when there is space.
func TestStoreFull(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 2, interval: 2, misses: 2, etcd: []string{"--quota-backend-bytes", fmt.Sprint(16 << 20)}})
	c := w.subscribe()
	living, dead := w.populate("living", 60), w.populate("dying", 10)
	w.startBeating(living)
	w.startBeating(dead)
	w.poll(200 * time.Millisecond)
	time.Sleep(2 * time.Second)
	stopBeating(dead)
	var err error
	for i := 0; err == nil; i++ {
		require.Less(t, i, 1000)
		err = w.etcd.Put(fmt.Sprint("/fill/", i), strings.Repeat("x", 1<<20))
	}
	full := time.Now()
	w.eventually("the alarm is seen", func() bool { return w.metric("mep_store_full") == 2 })
	for i := range w.replicas {
		a := w.replicas[i].get().Want(http.StatusInsufficientStorage, http.MethodPost, mep.ServicesOf("late"), mep.Info("late", 5))
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
	w.restart(0)
	t.Logf("a replica starts on the full store in %s", time.Since(began).Round(10*time.Millisecond))
	require.NoError(t, w.etcd.Erase("/fill/"))
	require.NoError(t, w.etcd.Disarm())
	t.Logf("full for %s", time.Since(full).Round(time.Second))
	w.requireSuspendedOnce(dead)
	c.requireTold(w, dead, living)
	w.replicas[0].get().Register("late", "late", 5)
	w.requireUnharmed(living)
}

// Garbage under every prefix that is read, before a replica starts and while it
// runs, harms nobody but those whose own keys it overwrites.
func TestGarbageRecords(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 2, interval: 2, misses: 1})
	c, noCursor, noSubscription := w.subscribe(), w.subscribe(), w.subscribe()
	victim := w.populate("victim", 1)[0]
	living, dead := w.populate("living", 20), w.populate("dead", 10)
	w.startBeating(living)
	w.poll(200 * time.Millisecond)
	require.Equal(t, http.StatusNoContent, w.patch(w.replicas[0].get(), victim))
	id := strings.Repeat("0123456789abcdef", 4)
	for round, garbage := range []string{"", "{", "null", "[]", "\x00\xff", `{"Schema":99}`, `{"Schema":1,"ID":"` + id + `","Attributes":"{"}`, strings.Repeat("[", 10000)} {
		for _, key := range append(foreignKeys(id), "/mep/rec/"+victim.id, projection(victim.id), "/mep/cur/"+noCursor.id, "/mep/sub/"+noSubscription.id) {
			require.NoError(t, w.etcd.Put(key, garbage))
		}
		if round == 3 {
			w.replicas[1].get().Kill()
			w.restart(1) // reads all of it at its start
		}
		more := w.replicas[round%2].get().Register("app", fmt.Sprint("more", round), 60).ID
		w.eventually("seen by the other", func() bool { return w.replicas[1-round%2].get().State(more) == "ACTIVE" })
		for i, s := range w.replicas {
			seen, err := s.get().Discover()
			require.NoError(t, err)
			require.True(t, seen[more])
			w.eventually(fmt.Sprint("whose record cannot be read is not confirmed by replica ", i),
				func() bool { return w.patch(s.get(), victim) == http.StatusServiceUnavailable })
		}
	}
	w.requireTruth(c, dead, living)
}

// strangers are keys that no replica wrote, under each prefix that one reads: some
// that cannot be keys of it, some that could.
func foreignKeys(id string) []string {
	service, instance := id[:32], id[32:]
	keys := []string{"/mep/x", "/mep/rec/" + id + "/y", "/mep/obx/" + id + "/1", "/mep/obx/" + id + "/0000000000000001", "/mep/sub/app/" + id, "/mep/rep/0000000000000000",
		projection(id), "/cse-sr/inst/leases/default/default/" + service + "/" + instance,
		"/cse-sr/ms/files/default/default/" + service, "/cse-sr/ms/indexes/default/default/x/y", "/cse-sr/ms/tags/default/default/" + service,
		"/cse-sr/ms/schemas/default/default/" + service + "/x", "/cse-sr/ms/schema-sum/default/default/" + service + "/x",
		"/cse-sr/ms/alias/default/default/x/y", "/cse-sr/ms/rules/default/default/" + service + "/x", "/cse-sr/ms/dep-rules/default/default/c/x"}
	for _, prefix := range []string{"rec", "obx", "sub", "cur", "lck", "rep", "app"} {
		keys = append(keys, "/mep/"+prefix+"/x", "/mep/"+prefix+"/"+id)
	}
	for _, prefix := range []string{"inst/files", "inst/leases", "ms/files", "ms/indexes", "ms/tags", "ms/schemas", "ms/dep-queue"} {
		keys = append(keys, "/cse-sr/"+prefix+"/default/default/x")
	}
	return append(keys, "/cse-sr/domains/x", "/cse-sr/projects/x/y", "/cse-sr/x")
}

// History that is compacted while a replica cannot follow is made up for by a list.
func TestCompactionBehindACut(t *testing.T) {
	t.Parallel()
	w := begin(t, plan{members: 1, replicas: 2, interval: 2, misses: 1})
	c := w.subscribe()
	living := w.populate("living", 20)
	w.startBeating(living)
	var dead []*agent
	const list = `mep_disturbances_total{reason="list"}`
	before := w.replicas[0].get().Metric(list)
	for round := range pick(2, 20) {
		doomed := w.populate("doomed", 10)
		dead = append(dead, doomed...)
		mode := randomMode(w)
		if round == 0 {
			mode = proxy.Refuse // the others may let the watch live on
		}
		w.links[0][0].Set(mode)
		time.Sleep(time.Second)
		w.revoke(doomed)
		require.NoError(t, w.etcd.Put("/elsewhere", "x"))
		require.NoError(t, w.etcd.Compact())
		time.Sleep(time.Second)
		w.links[0][0].Set(proxy.Pass)
		if round == 0 {
			w.eventually("what was compacted is made up for by a list", func() bool { return w.replicas[0].get().Metric(list) > before })
		}
	}
	w.poll(200 * time.Millisecond)
	w.requireTruth(c, dead, living)
}
