package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

// consumer is subscribed to everything: the third witness.
type consumer struct {
	id    string // of its subscription
	mu    sync.Mutex
	told  map[change]map[string]int // how often, by webhook-id
	at    map[change]time.Time      // when first
	posts int
	fails int                               // percent of the POSTs that are answered 503
	after func(told []mp1.ServiceReference) // runs before the answer; may be nil
}

// change is one kind of change of one instance.
type change struct {
	id    string
	kind  mp1.ChangeType
	state mp1.State
}

// subscribe makes the consumer and its subscription, at the first replica.
func (w *world) subscribe() *consumer {
	w.t.Helper()
	c := &consumer{told: map[change]map[string]int{}, at: map[change]time.Time{}}
	s := httptest.NewServer(http.HandlerFunc(c.receive))
	w.t.Cleanup(s.Close)
	body := fmt.Sprintf(`{"subscriptionType":%q,"callbackReference":%q}`, mp1.SubscriptionType, s.URL+"/told")
	a, err := w.replicas[0].get().Try(http.MethodPost, mep.Base+"/applications/consumer/subscriptions", body)
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusCreated, a.Status, "%s", a.Body)
	c.id = path.Base(a.Header.Get("Location"))
	return c
}

func (c *consumer) receive(rw http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	var n mp1.Notification
	if json.Unmarshal(b, &n) != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	c.posts++
	for _, s := range n.ServiceReferences {
		key := change{s.SerInstanceID, s.ChangeType, s.State}
		if c.told[key] == nil {
			c.told[key] = map[string]int{}
			c.at[key] = time.Now()
		}
		c.told[key][r.Header.Get("webhook-id")]++
	}
	after, fails := c.after, rand.IntN(100) < c.fails
	c.mu.Unlock()
	if after != nil {
		after(n.ServiceReferences)
	}
	if fails {
		rw.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	rw.WriteHeader(http.StatusNoContent)
}

// of counts whose suspension was told, and repeated under the same id.
func (c *consumer) of(agents []*agent) (told, repeated int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range agents {
		ids := c.told[change{a.id, mp1.StateChanged, mp1.Suspended}]
		if len(ids) > 0 {
			told++
		}
		for _, n := range ids {
			repeated += n - 1
		}
	}
	return told, repeated
}

// lateness describes how long after the end of their windows the dead were told of.
func (c *consumer) lateness(w *world, dead []*agent) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var late []time.Duration
	for _, a := range dead {
		if at, ok := c.at[change{a.id, mp1.StateChanged, mp1.Suspended}]; ok {
			late = append(late, w.after(a, at))
		}
	}
	return spread(late)
}

// heardOf is the verdict of the consumer: every death told, each change under one id,
// and of the living nothing but that they are there.
func (c *consumer) heardOf(w *world, dead, living []*agent) {
	w.t.Helper()
	w.eventually("every death is told", func() bool { told, _ := c.of(dead); return told == len(dead) })
	told, repeated := c.of(dead)
	alive := map[string]bool{}
	for _, a := range living {
		alive[a.id] = true
	}
	var twice, wrong []change
	c.mu.Lock()
	for what, ids := range c.told {
		if len(ids) > 1 {
			twice = append(twice, what)
		}
		if alive[what.id] && what.kind != mp1.Added {
			wrong = append(wrong, what)
		}
	}
	posts := c.posts
	c.mu.Unlock()
	w.t.Logf("consumer: %d of %d deaths told in %d posts, %d repeated under the same id, %d changes under another; %d told wrongly of the living",
		told, len(dead), posts, repeated, len(twice), len(wrong))
	require.Empty(w.t, twice, "one change under two ids")
	require.Empty(w.t, wrong, "told of the living")
}
