// Package consumer is an application that is told of changes: it listens on loopback and
// keeps each notification that it is sent. It knows the wire form of a notification; it
// must not know who sends it.
package consumer

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
)

// Receipt is one notification as it arrived.
type Receipt struct {
	ID   string    // its webhook-id
	At   time.Time // when it was read
	Path string    // that it was sent to
	Body string
	mp1.Notification
}

// Handler passes each notification to receive, which returns the status of the answer.
// What is no notification, or is cut off, is answered 400 and not passed on.
func Handler(receive func(Receipt) (status int)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got, err := read(r); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		} else {
			w.WriteHeader(receive(got))
		}
	})
}

func read(r *http.Request) (got Receipt, err error) {
	b, err := io.ReadAll(r.Body)
	got = Receipt{ID: r.Header.Get("webhook-id"), At: time.Now(), Path: r.URL.Path, Body: string(b)}
	if err == nil {
		err = json.Unmarshal(b, &got.Notification)
	}
	return got, err
}

// Listen serves a handler, such as Handler returns, until the test ends, and returns its
// URL.
func Listen(t testing.TB, h http.Handler) (url string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// Consumer keeps what it is told and answers as the test says.
type Consumer struct {
	URL    string
	mu     sync.Mutex
	got    []Receipt
	bodies map[string]string // by webhook-id
	faults []string
	status int
	hook   *hook
}

// hook is what happens once, around an answer.
type hook struct {
	service       string
	before, after func()
}

// Start has a consumer listen until the test ends. It answers 204.
func Start(t testing.TB) *Consumer {
	t.Helper()
	c := &Consumer{status: http.StatusNoContent, bodies: map[string]string{}}
	c.URL = Listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, after := c.receive(read(r))
		w.WriteHeader(status)
		_ = http.NewResponseController(w).Flush()
		if after != nil {
			after()
		}
	}))
	return c
}

func (c *Consumer) receive(got Receipt, err error) (status int, after func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.faults = append(c.faults, fmt.Sprintf("%s: %v", got.ID, err))
		return http.StatusBadRequest, nil
	}
	if before, again := c.bodies[got.ID]; again && before != got.Body {
		c.faults = append(c.faults, got.ID+" came with two bodies")
	}
	c.bodies[got.ID] = got.Body
	c.got = append(c.got, got)
	if h := c.hook; h != nil && slices.ContainsFunc(got.ServiceReferences, func(r mp1.ServiceReference) bool { return r.SerName == h.service }) {
		c.hook, after = nil, h.after
		if h.before != nil {
			h.before()
		}
	}
	return c.status, after
}

// Answer sets the status of the answers to come, and returns how many notifications were
// answered with the one before.
func (c *Consumer) Answer(status int) (before int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
	return len(c.got)
}

// Once has before run when the next notification of a service of this name has come and
// is not yet answered, and after when its answer is on its way; either may be nil.
func (c *Consumer) Once(service string, before, after func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hook = &hook{service, before, after}
}

// Receipts are all notifications so far, in their order, with those that were sent again.
func (c *Consumer) Receipts() []Receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

// Last is the notification that came last, if any did.
func (c *Consumer) Last() (got Receipt) {
	if all := c.Receipts(); len(all) > 0 {
		got = all[len(all)-1]
	}
	return got
}

// Faults say what was wrong with what came so far: it was cut off or no notification, or a
// webhook-id came with two bodies.
func (c *Consumer) Faults() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.faults)
}

// Changes are the changes that the consumer was told of, in their order, each as a line:
// name of the service, type of the change, state.
func (c *Consumer) Changes() (lines []string) {
	for _, n := range c.Receipts() {
		for _, r := range n.ServiceReferences {
			lines = append(lines, line(r))
		}
	}
	return lines
}

// FirstOf is when a change, a line as Changes has it, was told of first; the zero time:
// never.
func (c *Consumer) FirstOf(change string) time.Time {
	for _, n := range c.Receipts() {
		if slices.ContainsFunc(n.ServiceReferences, func(r mp1.ServiceReference) bool { return line(r) == change }) {
			return n.At
		}
	}
	return time.Time{}
}

// Distinct is Changes without those that were told before.
func (c *Consumer) Distinct() (lines []string) {
	seen := map[string]bool{}
	for _, l := range c.Changes() {
		if !seen[l] {
			seen[l] = true
			lines = append(lines, l)
		}
	}
	return lines
}

func line(r mp1.ServiceReference) string {
	return strings.TrimSpace(fmt.Sprint(r.SerName, " ", r.ChangeType, " ", r.State))
}
