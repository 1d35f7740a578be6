package external

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/etcd"
	"github.com/mec-liveness/mepserver/test/mep"
)

// consumer notes what it is told.
type consumer struct {
	*httptest.Server
	mu     sync.Mutex
	first  []string             // changes, in the order of their first receipt
	seen   map[string]time.Time // changes, by when they came first
	bodies map[string]string    // by webhook-id
	last   time.Time
	odd    string // a breach of the promises
}

func newConsumer(t *testing.T) *consumer {
	c := &consumer{seen: map[string]time.Time{}, bodies: map[string]string{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n mp1.Notification
		if json.NewDecoder(r.Body).Decode(&n) != nil {
			return
		}
		b, err := json.Marshal(n)
		if err != nil {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.last = time.Now()
		id := r.Header.Get("webhook-id")
		if before, ok := c.bodies[id]; ok && before != string(b) {
			c.odd = id + " came with two bodies"
		}
		c.bodies[id] = string(b)
		for _, ref := range n.ServiceReferences {
			what := fmt.Sprint(ref.SerName, " ", ref.ChangeType)
			if _, again := c.seen[what]; !again {
				c.seen[what] = c.last
				c.first = append(c.first, what)
			}
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *consumer) told() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.first...)
}

// do sends a request that must be answered.
func do(t *testing.T, r *mep.Replica, method, path, body string) (int, []byte) {
	t.Helper()
	a, err := r.Try(method, path, body)
	require.NoError(t, err)
	return a.Status, a.Body
}

func subscribe(t *testing.T, r *mep.Replica, callback string) (path string) {
	t.Helper()
	status, b := do(t, r, "POST", mep.Base+"/applications/watcher/subscriptions",
		fmt.Sprintf(`{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":%q}`, callback))
	require.Equal(t, http.StatusCreated, status, "%s", b)
	var m mp1.Subscription
	require.NoError(t, json.Unmarshal(b, &m))
	return m.Links.Self.Href
}

// quietly is a service that needs no heartbeats.
func quietly(t *testing.T, r *mep.Replica, app, name string) {
	t.Helper()
	status, b := do(t, r, "POST", mep.Base+"/applications/"+app+"/services",
		fmt.Sprintf(`{"serName":%q,"version":"1","state":"ACTIVE","serializer":"JSON","transportId":"transportId"}`, name))
	require.Equal(t, http.StatusCreated, status, "%s", b)
}

// Whatever happens to the replica that sends, another one goes on, in order.
func TestAnotherReplicaGoesOnSending(t *testing.T) {
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	a, b := start(t, c), start(t, c)
	const subscribers = 6
	var consumers []*consumer
	var paths []string
	for i := range subscribers {
		c := newConsumer(t)
		consumers = append(consumers, c)
		paths = append(paths, subscribe(t, []*mep.Replica{a, b}[i%2], c.URL))
	}
	var want []string
	register := func(at *mep.Replica, n int) {
		for range n {
			name := fmt.Sprint("s", len(want))
			quietly(t, at, "app", name)
			want = append(want, name+" ADDED")
		}
	}
	all := func(what string) {
		t.Helper()
		for i, c := range consumers {
			eventually(t, what, func() bool { return len(c.told()) >= len(want) })
			require.Equal(t, want, c.told(), i)
			require.Empty(t, c.odd)
		}
	}
	register(a, 10)
	register(b, 10)
	all("told by whichever replica has the lock")
	for path, r := range map[string]*mep.Replica{paths[0]: b, paths[1]: a} {
		status, _ := do(t, r, "GET", path, "")
		require.Equal(t, http.StatusOK, status, "what one acknowledged the other knows")
	}

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
		longest = max(longest, c.last.Sub(killed))
	}
	t.Logf("a replica died; %d subscribers, the last told %v later", subscribers, longest.Round(time.Millisecond))
}

// The replica that is asked to end a subscription need not be the one that sends.
func TestADeletionReachesTheReplicaThatSends(t *testing.T) {
	c := etcd.Start(t, etcd.Binary(t, etcd.Current), 1)
	a, b := start(t, c), start(t, c)
	for i := range 6 {
		c := newConsumer(t)
		path := subscribe(t, []*mep.Replica{a, b}[i%2], c.URL)
		end := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				case <-time.After(5 * time.Millisecond):
				}
				quietly(t, a, fmt.Sprint("app", i), fmt.Sprint(i, " ", n))
			}
		})
		eventually(t, "told", func() bool { return len(c.told()) > 20 })
		status, _ := do(t, b, "DELETE", path, "")
		answered := time.Now()
		require.Equal(t, http.StatusNoContent, status)
		status, _ = do(t, b, "GET", path, "")
		require.Equal(t, http.StatusNotFound, status)
		time.Sleep(time.Second)
		close(end)
		wg.Wait()
		require.False(t, c.last.After(answered), "a POST came after the deletion was answered")
		eventually(t, "gone at the other", func() bool { status, _ := do(t, a, "GET", path, ""); return status == http.StatusNotFound })
	}
}
