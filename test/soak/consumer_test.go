package soak

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/consumer"
)

// mostFailures is how often in a row a listener fails: the pause behind one more is longer than
// the world waits for its end.
const mostFailures = 3

// listener receives notifications and holds each of them against the promises.
type listener struct {
	w          *world
	name       string
	everything bool   // it is told of everything and never fails: it knows each change
	only       string // of its filter: what its names begin with
	state      string // of its filter: the one state it is told of

	mu                   sync.Mutex
	rnd                  *rand.Rand
	fails                int // of a hundred attempts
	inARow               int // failures
	bodies               map[string]string
	newest               uint64            // revision
	last                 map[string]string // what was told of an instance last
	posts, repeated      int
	suspensions, returns int
	wrong                int
}

func (w *world) listener(name, filter string, fails int) *listener {
	c := &listener{w: w, name: name, fails: fails, everything: name == "everything", rnd: newRand(*seed), bodies: map[string]string{}, last: map[string]string{}}
	switch {
	case strings.Contains(filter, "serNames"):
		c.only = "even-"
	case filter != "":
		c.state = "SUSPENDED"
	}
	w.server.Subscribe("watcher", consumer.Listen(w.t, consumer.Handler(c.receive)), filter)
	return c
}

// hanging is a subscriber that answers nothing, in the way of nobody.
func (w *world) hanging() {
	url := consumer.Listen(w.t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else net/http does not notice that the other side has gone
		select {
		case <-r.Context().Done():
		case <-w.done:
		}
	}))
	w.server.Subscribe("watcher", url, "")
}

func (c *listener) receive(n consumer.Receipt) (status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.posts++
	switch before, repeated := c.bodies[n.ID]; {
	case repeated && before != n.Body:
		c.breach("%s came with another body", n.ID)
	case repeated:
		c.repeated++
	default:
		c.bodies[n.ID] = n.Body
		c.first(n)
	}
	if c.rnd.IntN(100) < c.fails && c.inARow < mostFailures {
		c.inARow++
		return http.StatusServiceUnavailable
	}
	c.inARow = 0
	return http.StatusNoContent
}

// breach notes a broken promise; mu is held.
func (c *listener) breach(format string, args ...any) {
	c.wrong++
	c.w.mu.Lock()
	c.w.fault("consumer "+c.name+": "+format, args...)
	c.w.mu.Unlock()
}

// first checks what came for the first time; mu is held.
func (c *listener) first(n consumer.Receipt) {
	parts := strings.Split(n.ID, "-")
	var from, to uint64
	if len(parts) < 3 {
		c.breach("webhook-id %s", n.ID)
		return
	}
	_, err1 := fmt.Sscan(parts[len(parts)-2], &from)
	_, err2 := fmt.Sscan(parts[len(parts)-1], &to)
	if err1 != nil || err2 != nil || from <= c.newest || to < from {
		c.breach("%s came after revision %d", n.ID, c.newest)
	}
	c.newest = max(c.newest, to)
	for _, r := range n.ServiceReferences {
		c.follow(r, n.At)
	}
}

// follow checks that the change may follow the one before.
func (c *listener) follow(r mp1.ServiceReference, now time.Time) {
	before := c.last[r.SerInstanceID]
	what := string(r.State)
	if r.ChangeType == mp1.Removed {
		what = "REMOVED"
	}
	c.last[r.SerInstanceID] = what
	if c.state != "" || c.fails > 0 {
		return // it is not told of every change
	}
	legal := map[string]string{"": "ACTIVE", "ACTIVE": "SUSPENDED REMOVED", "SUSPENDED": "ACTIVE REMOVED", "REMOVED": ""}[before]
	if before == what && r.ChangeType == mp1.StateChanged && c.mayBeUnheard(now) {
		return // an attempt failed for it, so that of two changes it told the newer
	}
	if !strings.Contains(legal, what) || (before == "") != (r.ChangeType == mp1.Added) {
		c.breach("%s: %s %s after %q", r.SerInstanceID, r.ChangeType, what, before)
	}
	if !c.everything {
		return
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	s := c.w.services[r.SerInstanceID]
	switch what {
	case "SUSPENDED":
		c.suspensions++
		if s != nil {
			c.w.suspended(s, now)
		}
	case "ACTIVE":
		if before == "SUSPENDED" {
			c.returns++
		}
	case "REMOVED":
		if s != nil && !s.ending {
			c.w.removed++
			if now.Sub(s.sent) < window+removal {
				c.w.falsely++
				c.w.fault("%s was removed %v after its last heartbeat", s.id, now.Sub(s.sent))
			}
			s.gone = true
		}
	}
}

// unheard says whether what this consumer answered may not have reached the platform.
func (c *listener) mayBeUnheard(now time.Time) bool {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return c.w.troubled(now)
}

// suspended checks that there was a silence for it; mu is held.
func (w *world) suspended(s *service, now time.Time) {
	switch {
	case s.told < s.silences:
		s.told++
	case !s.open && w.silent(s.sent, now):
		s.open = true
	case s.open && !s.unanswered.IsZero() && w.silent(s.unanswered, now):
		s.unanswered = time.Time{}
	default:
		w.falsely++
		w.fault("%s was suspended %v after a heartbeat that was acknowledged (its silence told before: %t; troubles: %v)", s.id, now.Sub(s.sent), s.open, w.since(s.sent))
	}
}

// behind is what the consumer was not told yet, given the states that there are.
func (c *listener) behind(is map[string]string) (out []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	for id, s := range c.w.services {
		want := is[id]
		if want == "" {
			want = "REMOVED"
		}
		told := c.last[id]
		switch {
		case c.only != "" && !strings.HasPrefix(s.name, c.only):
			if told != "" {
				out = append(out, fmt.Sprintf("consumer %s was told of %s", c.name, s.name))
			}
		case c.state != "":
			if want == c.state && told != want {
				out = append(out, fmt.Sprintf("consumer %s was not told that %s is %s", c.name, id, want))
			}
		case told != want:
			out = append(out, fmt.Sprintf("consumer %s was told that %s is %q, not %s", c.name, id, told, want))
		}
	}
	return out
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1<<40)) }
