package agent

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// supportPlatform is a fakePlatform that has the application support API, too: subscriptions to
// the termination with WebSockets, and confirmations.
type supportPlatform struct {
	*fakePlatform
	mu            sync.Mutex
	t             *testing.T
	lacking       bool // it has none of it
	away          bool // nobody answers
	ready         []time.Time
	confirmed     []string // bodies
	subscriptions map[string]*websocket.Conn
	made          int
	onConfirm     func(f *supportPlatform) (status int) // may be nil
}

func newSupportPlatform(t *testing.T) *supportPlatform {
	return &supportPlatform{fakePlatform: newFakePlatform(30), t: t, subscriptions: map[string]*websocket.Conn{}}
}

const supportRoot = mp1.AppSupportBase + "/applications/app"

func (f *supportPlatform) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	away := f.away
	f.mu.Unlock()
	below, ours := strings.CutPrefix(r.URL.Path, supportRoot)
	switch {
	case away:
		return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
	case !ours:
		return f.fakePlatform.RoundTrip(r)
	case f.lacking:
		return reply(404, nil), nil
	}
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	id, socket := strings.CutSuffix(strings.TrimPrefix(below, "/subscriptions/"), "/websocket")
	_, known := f.subscriptions[id]
	switch {
	case below == "/confirm_ready":
		f.ready = append(f.ready, time.Now())
	case below == "/confirm_termination":
		f.confirmed = append(f.confirmed, string(body))
		if f.onConfirm != nil {
			if status := f.onConfirm(f); status != 0 {
				return reply(status, nil), nil
			}
		}
	case below == "/subscriptions" && r.Method == http.MethodPost:
		f.made++
		id := "s" + strconv.Itoa(f.made)
		f.subscriptions[id] = nil
		return reply(201, f.shown(id)), nil
	case below == "/subscriptions":
		list := mp1.SubscriptionLinkList{}
		for id := range f.subscriptions {
			list.Links.Subscriptions = append(list.Links.Subscriptions, mp1.SubscriptionLink{Href: supportRoot + "/subscriptions/" + id})
		}
		return reply(200, list), nil
	case !known:
		return reply(404, nil), nil
	case socket:
		return f.accept(id, r), nil
	case r.Method == http.MethodDelete:
		delete(f.subscriptions, id)
	default:
		return reply(200, f.shown(id)), nil
	}
	return reply(204, nil), nil
}

func (f *supportPlatform) shown(id string) mp1.Subscription {
	href := supportRoot + "/subscriptions/" + id
	return mp1.Subscription{SubscriptionType: mp1.TerminationSubscriptionType, Links: &mp1.SubscriptionLinks{Self: mp1.LinkType{Href: href}},
		WebsockNotifConfig: &mp1.WebsockNotifConfig{WebsocketURI: "ws://elsewhere.example" + href + "/websocket"}}
}

// accept opens a WebSocket over a pipe, in place of the one that is there.
func (f *supportPlatform) accept(id string, r *http.Request) *http.Response {
	if before := f.subscriptions[id]; before != nil {
		go func() { _ = before.Close(mp1.CloseReplaced, "another connection") }()
	}
	ours, theirs := net.Pipe()
	w := &hijacked{header: http.Header{}, conn: theirs}
	conn, err := websocket.Accept(w, r, nil)
	require.NoError(f.t, err)
	conn.CloseRead(context.Background())
	f.subscriptions[id] = conn
	return &http.Response{StatusCode: w.status, Header: w.header, Body: ours}
}

// hijacked is the answer to the request of a WebSocket.
type hijacked struct {
	header http.Header
	status int
	conn   net.Conn
}

func (h *hijacked) Header() http.Header         { return h.header }
func (h *hijacked) WriteHeader(status int)      { h.status = status }
func (h *hijacked) Write(b []byte) (int, error) { return len(b), nil }
func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// terminate announces the termination to every subscription.
func (f *supportPlatform) terminate() {
	f.mu.Lock()
	conns := map[string]*websocket.Conn{}
	for id, conn := range f.subscriptions {
		if conn != nil {
			conns[id] = conn
		}
	}
	f.mu.Unlock()
	for id, conn := range conns {
		_ = conn.Write(context.Background(), websocket.MessageText, []byte(`{"webhookId":"w-`+id+`","notificationType":"AppTerminationNotification",
			"operationAction":"TERMINATING","maxGracefulTimeout":60,"_links":{"subscription":{"href":"`+supportRoot+"/subscriptions/"+id+`"},
			"confirmTermination":{"href":"`+supportRoot+`/confirm_termination"}}}`))
	}
}

// state is what a test looks at.
func (f *supportPlatform) state() (ready, confirmed, subscriptions, connected int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, conn := range f.subscriptions {
		if conn != nil {
			connected++
		}
	}
	return len(f.ready), len(f.confirmed), len(f.subscriptions), connected
}

func (f *supportPlatform) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// closeAll closes what is open, for a bubble must end without goroutines.
func (f *supportPlatform) closeAll() {
	f.set(func() {
		for id, conn := range f.subscriptions {
			if conn != nil {
				_ = conn.CloseNow()
				f.subscriptions[id] = nil
			}
		}
	})
}

func supportOptions(f *supportPlatform, services int) Options {
	o := options(f, services)
	o.OnTermination = ConfirmTermination
	return o
}
