package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// receipt is one notification as it arrived.
type receipt struct {
	id   string // webhook-id
	at   time.Time
	path string
	body mp1.Notification
}

// consumer receives notifications and answers what it is told to.
type consumer struct {
	*httptest.Server
	mu     sync.Mutex
	got    []receipt
	status int    // of its answers; 0: 204
	before func() // called once before the next answer
	after  func() // called once when the next answer is on its way
	about  string // the hooks wait for a notification of this service; "": the next one
}

func newConsumer(t *testing.T) *consumer {
	c := &consumer{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		n := receipt{id: r.Header.Get("webhook-id"), at: time.Now(), path: r.URL.Path}
		if err != nil || json.Unmarshal(b, &n.body) != nil {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got = append(c.got, n)
		meant := c.about == "" || strings.Contains(string(b), strconv.Quote(c.about))
		if meant {
			once(&c.before)
		}
		if c.status != 0 {
			w.WriteHeader(c.status)
		} else {
			w.WriteHeader(http.StatusNoContent)
		}
		_ = http.NewResponseController(w).Flush()
		if meant {
			once(&c.after)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func once(f *func()) {
	if do := *f; do != nil {
		*f = nil
		do()
	}
}

func (c *consumer) answer(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
}

func (c *consumer) receipts() []receipt {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]receipt(nil), c.got...)
}

// told is what the consumer was told, one line a change, in order.
func (c *consumer) told() []string {
	var out []string
	for _, n := range c.receipts() {
		for _, r := range n.body.ServiceReferences {
			out = append(out, fmt.Sprint(r.SerName, " ", r.ChangeType, " ", r.State))
		}
	}
	return out
}

// subscribe subscribes app to what filter selects ("": everything), and returns where
// the subscription is.
func (s *server) subscribe(app, callback, filter string) string {
	s.t.Helper()
	if filter != "" {
		filter = `,"filteringCriteria":` + filter
	}
	r := s.want(201, "POST", base+"/applications/"+app+"/subscriptions",
		fmt.Sprintf(`{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":%q%s}`, callback, filter))
	require.NotEmpty(s.t, r.header.Get("Location"))
	return r.header.Get("Location")
}
