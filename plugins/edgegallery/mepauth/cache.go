package mepauth

import (
	"context"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// keepFor is how long an answer counts: a change in MECM shows no later.
	keepFor = 10 * time.Second
	// retryAfter is how long none counts: an application that asks in a loop does not become a loop
	// of requests to a mepauth that is down.
	retryAfter = time.Second
	// maxEntries bounds the applications that are remembered.
	maxEntries = 10_000
)

// cache remembers what applications may discover for a moment.
type cache struct {
	clock func() (plugins.Instant, int64)

	mu sync.Mutex
	of map[string]*entry // by application
}

// entry is the answer for one application, or the question.
type entry struct {
	done   chan struct{} // closed once it is answered
	value  mp1.RequiredServices
	failed bool
	until  plugins.Instant // once it is answered
}

// get returns what is remembered of an application, or asks. Who comes while somebody asks waits
// for that answer. failedBefore tells ask that there was no answer the last time, as far as that is
// remembered.
func (c *cache) get(ctx context.Context, app string, ask func(failedBefore bool) (mp1.RequiredServices, bool)) mp1.RequiredServices {
	now, _ := c.clock()
	c.mu.Lock()
	e := c.of[app]
	failedBefore := false
	if e != nil && closed(e.done) {
		failedBefore = e.failed
		if now >= e.until {
			e = nil
		}
	}
	if e != nil {
		c.mu.Unlock()
		select {
		case <-e.done:
			return e.value
		case <-ctx.Done():
			return mp1.RequiredServices{}
		}
	}
	e = &entry{done: make(chan struct{})}
	c.makeRoom(now)
	c.of[app] = e
	c.mu.Unlock()

	e.failed = true
	defer func() { // also when ask panics, or the application would wait for ever
		now, _ := c.clock()
		e.until = now + keepFor
		if e.failed {
			e.until = now + retryAfter
		}
		close(e.done)
	}()
	value, ok := ask(failedBefore)
	e.value, e.failed = value, !ok
	return value
}

// makeRoom keeps the cache within its bound; c.mu is held. It forgets what counts no more, then
// anything that is answered: who is forgotten is asked for again.
func (c *cache) makeRoom(now plugins.Instant) {
	if len(c.of) < maxEntries {
		return
	}
	for app, e := range c.of {
		if closed(e.done) && now >= e.until {
			delete(c.of, app)
		}
	}
	for app, e := range c.of {
		if len(c.of) < maxEntries {
			return
		}
		if closed(e.done) {
			delete(c.of, app)
		}
	}
}

// drop forgets an application.
func (c *cache) drop(app string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.of, app)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
