package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

// consumer is subscribed to everything: the third witness.
type consumer struct {
	mu    sync.Mutex
	told  map[string]map[string]int // per change of an instance: how often, by webhook-id
	posts int
	fails int                               // percent of the POSTs that are answered 503
	after func(told []mp1.ServiceReference) // runs before the answer; may be nil
}

// told is the name of one kind of change of one instance.
func toldOf(id string, change mp1.ChangeType, state mp1.State) string {
	return fmt.Sprint(id, " ", change, " ", state)
}

// subscribe makes the consumer and its subscription, at the first replica.
func (w *world) subscribe() *consumer {
	w.t.Helper()
	c := &consumer{told: map[string]map[string]int{}}
	s := httptest.NewServer(http.HandlerFunc(c.receive))
	w.t.Cleanup(s.Close)
	body := fmt.Sprintf(`{"subscriptionType":%q,"callbackReference":%q}`, mp1.SubscriptionType, s.URL+"/told")
	a, err := w.replicas[0].get().Try(http.MethodPost, mep.Base+"/applications/consumer/subscriptions", body)
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusCreated, a.Status, "%s", a.Body)
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
		key := toldOf(s.SerInstanceID, s.ChangeType, s.State)
		if c.told[key] == nil {
			c.told[key] = map[string]int{}
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

// of counts whose suspension was told, and told under two ids or more.
func (c *consumer) of(agents []*agent) (told, underTwoIDs, repeated int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range agents {
		ids := c.told[toldOf(a.id, mp1.StateChanged, mp1.Suspended)]
		if len(ids) > 0 {
			told++
		}
		if len(ids) > 1 {
			underTwoIDs++
		}
		for _, n := range ids {
			repeated += n - 1
		}
	}
	return told, underTwoIDs, repeated
}

// heardOf is the verdict of the consumer: every death told, under one id each, and
// none of the living.
func (c *consumer) heardOf(w *world, dead, living []*agent) {
	w.t.Helper()
	w.eventually("every death is told", func() bool { told, _, _ := c.of(dead); return told == len(dead) })
	told, twice, repeated := c.of(dead)
	wrong := c.wrong(living)
	c.mu.Lock()
	posts := c.posts
	c.mu.Unlock()
	w.t.Logf("consumer: %d of %d deaths told in %d posts, %d repeated under the same id, %d under another; %v of the living", told, len(dead), posts, repeated, twice, wrong)
	require.Zero(w.t, twice, "one change under two ids")
	require.Empty(w.t, wrong, "the living told of as other than registered")
}

// wrong lists what was told of the living but their registration.
func (c *consumer) wrong(living []*agent) (out []string) {
	is := map[string]bool{}
	for _, a := range living {
		is[a.id] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.told {
		if id, change, _ := strings.Cut(key, " "); is[id] && !strings.HasPrefix(change, string(mp1.Added)) {
			out = append(out, key)
		}
	}
	return out
}
