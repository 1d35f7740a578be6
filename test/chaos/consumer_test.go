package chaos

import (
	"math/rand/v2"
	"net/http"
	"path"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/consumer"
)

// listener is subscribed to everything: the third witness.
type listener struct {
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

// subscribe makes a listener and its subscription, at the first replica.
func (w *world) subscribe() *listener {
	w.t.Helper()
	c := &listener{told: map[change]map[string]int{}, at: map[change]time.Time{}}
	url := consumer.Listen(w.t, consumer.Handler(c.receive))
	c.id = path.Base(w.replicas[0].get().Subscribe("consumer", url+"/told", ""))
	return c
}

func (c *listener) receive(n consumer.Receipt) (status int) {
	c.mu.Lock()
	c.posts++
	for _, s := range n.ServiceReferences {
		key := change{s.SerInstanceID, s.ChangeType, s.State}
		if c.told[key] == nil {
			c.told[key] = map[string]int{}
			c.at[key] = n.At
		}
		c.told[key][n.ID]++
	}
	after, fails := c.after, rand.IntN(100) < c.fails
	c.mu.Unlock()
	if after != nil {
		after(n.ServiceReferences)
	}
	if fails {
		return http.StatusServiceUnavailable
	}
	return http.StatusNoContent
}

// of counts whose suspension was told, and repeated under the same id.
func (c *listener) of(agents []*agent) (told, repeated int) {
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
func (c *listener) lateness(w *world, dead []*agent) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var late []time.Duration
	for _, a := range dead {
		if at, ok := c.at[change{a.id, mp1.StateChanged, mp1.Suspended}]; ok {
			late = append(late, w.afterWindow(a, at))
		}
	}
	return spread(late)
}

// requireTold waits until every death is told, and checks that each change came under one
// webhook-id and that of the living nothing was told but that they are there.
func (c *listener) requireTold(w *world, dead, living []*agent) {
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
