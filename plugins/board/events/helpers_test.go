package events

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// told is an event of the outbox: at a revision, an instance of a name changed to a state.
func told(at heartbeat.Revision, id, name string, c heartbeat.Change, from, to heartbeat.State) *plugins.Event {
	return &plugins.Event{At: at, ID: heartbeat.ID(id), Owner: "app", Change: c, From: from, State: to, Made: int64(at) * int64(time.Second),
		Attributes: fmt.Sprintf(`{"serName":%q,"version":"1","serializer":"JSON"}`, name)}
}

func added(at heartbeat.Revision, id, name string) *plugins.Event {
	return told(at, id, name, heartbeat.Added, heartbeat.None, heartbeat.Active)
}

func suspended(at heartbeat.Revision, id, name string) *plugins.Event {
	return told(at, id, name, heartbeat.StateChanged, heartbeat.Active, heartbeat.Suspended)
}

func resumed(at heartbeat.Revision, id, name string) *plugins.Event {
	return told(at, id, name, heartbeat.StateChanged, heartbeat.Suspended, heartbeat.Active)
}

func renamed(at heartbeat.Revision, id, name string) *plugins.Event {
	return told(at, id, name, heartbeat.AttributesChanged, heartbeat.Active, heartbeat.Active)
}

func removed(at heartbeat.Revision, id, name string) *plugins.Event {
	return told(at, id, name, heartbeat.Removed, heartbeat.Active, heartbeat.Active)
}

// world is a feed with its service and one caller.
type world struct {
	*service
	t        *testing.T
	stop     chan struct{}
	newest   heartbeat.Revision // of the store
	mu       sync.Mutex
	required mp1.RequiredServices
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, stop: make(chan struct{}), required: mp1.AllServices()}
	serving, end := context.WithCancel(context.Background())
	stop := w.stop
	go func() { <-stop; end() }()
	w.service = &service{feed: newFeed(time.Now, plugins.NewFlaps(6, 10*time.Minute), func(int) {}), metrics: newMetrics(), serving: serving,
		discoverable: func(context.Context) mp1.RequiredServices { w.mu.Lock(); defer w.mu.Unlock(); return w.required },
		head: func(context.Context) (heartbeat.Revision, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.newest, nil
		}}
	return w
}

// see shows the feed what the watch does.
func (w *world) see(events ...*plugins.Event) { w.feed.See(events, events[len(events)-1].At) }

// reader is the connection of one reader.
type reader struct {
	*httptest.ResponseRecorder
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	text     bytes.Buffer
	blocked  chan struct{} // not nil: nothing is read until it is closed
	deadline time.Time
	lapsed   bool // a deadline, which resets a stream of HTTP/2 whether something is written or not
}

// open opens a stream; id is the Last-Event-ID, "" for none.
func (w *world) open(query, id string) *reader { return w.openBlocked(query, id, nil) }

func (w *world) openBlocked(query, id string, blocked chan struct{}) *reader {
	r := httptest.NewRequest(http.MethodGet, mp1.EventsPath+query, nil)
	if id != "" {
		r.Header.Set("Last-Event-ID", id)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	one := &reader{ResponseRecorder: httptest.NewRecorder(), cancel: cancel, done: make(chan struct{}), blocked: blocked}
	go func() {
		defer close(one.done)
		w.serve(one, r.WithContext(ctx))
	}()
	w.t.Cleanup(cancel)
	return one
}

// block has nothing be read until a channel is closed.
func (r *reader) block(until chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blocked = until
}

// wantEnded requires that the stream has ended by now: to wait for it would be to wait for ever if
// it does not.
func (r *reader) wantEnded(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case <-r.done:
	default:
		r.cancel()
		require.Fail(t, "the stream goes on")
	}
}

// Write implements http.ResponseWriter.
func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	blocked, deadline := r.blocked, r.deadline
	lapsed := r.lapsed || !deadline.IsZero() && !time.Now().Before(deadline)
	r.mu.Unlock()
	if lapsed {
		return 0, http.ErrHandlerTimeout // net/http's own is not exported
	}
	if blocked != nil {
		select {
		case <-blocked:
		case <-time.After(time.Until(deadline)):
			return 0, os.ErrDeadlineExceeded
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

// SetWriteDeadline is what http.ResponseController calls.
func (r *reader) SetWriteDeadline(t time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lapsed = r.lapsed || !r.deadline.IsZero() && !time.Now().Before(r.deadline)
	r.deadline = t
	return nil
}

// one is an event as it was read.
type one struct {
	id, kind string
	data     string
}

// read takes what has come since it was called last.
func (r *reader) read(t *testing.T) (all []one) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for block := range strings.SplitSeq(r.text.String(), "\n\n") {
		var e one
		for line := range strings.SplitSeq(block, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.kind = value
			case "data":
				e.data = value
			case "retry", "":
			default:
				require.Fail(t, "no line of an event", line)
			}
		}
		if e != (one{}) {
			all = append(all, e)
		}
	}
	r.text.Reset()
	return all
}

// brief is an event in a few words: what a test compares.
func brief(t *testing.T, all []one) (out []string) {
	t.Helper()
	for _, e := range all {
		text := e.id + " " + e.kind
		switch e.kind {
		case mp1.ChangeEvent:
			var c mp1.ServiceChange
			require.NoError(t, json.Unmarshal([]byte(e.data), &c))
			require.Equal(t, e.id, fmt.Sprint(c.Revision))
			text += fmt.Sprintf(" %s %s %s %s>%s%s", c.SerInstanceID, c.SerName, c.Change, c.From, c.To, c.Filter)
		case mp1.ResetEvent:
			var r mp1.ServiceReset
			require.NoError(t, json.Unmarshal([]byte(e.data), &r))
			require.Equal(t, e.id, fmt.Sprint(r.Revision))
			for _, s := range r.Services {
				text += fmt.Sprintf(" %s=%s", s.SerInstanceID, s.State)
			}
		case mp1.PingEvent:
			var p mp1.ServicePing
			require.NoError(t, json.Unmarshal([]byte(e.data), &p))
			require.Equal(t, e.id, fmt.Sprint(p.Revision))
		}
		out = append(out, text)
	}
	return out
}
