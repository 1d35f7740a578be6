package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// socketPlatform delivers notifications by WebSockets as our platform does, within a bubble: its
// network is in memory.
type socketPlatform struct {
	t       *testing.T
	answer  func(n int, w http.ResponseWriter, r *http.Request) // of the n-th connection, from 1
	mu      sync.Mutex
	opened  []time.Time
	auth    []string
	conns   chan net.Conn
	stopped chan struct{}
}

func (p *socketPlatform) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.stopped:
		return nil, net.ErrClosed
	}
}
func (p *socketPlatform) Close() error   { return nil }
func (p *socketPlatform) Addr() net.Addr { return &net.TCPAddr{} }

func (p *socketPlatform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.opened = append(p.opened, time.Now())
	p.auth = append(p.auth, r.Header.Get("Authorization"))
	n := len(p.opened)
	p.mu.Unlock()
	p.answer(n, w, r)
}

// newSocketPlatform must be called in a bubble.
func newSocketPlatform(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) (*socketPlatform, *Client) {
	t.Helper()
	p := &socketPlatform{t: t, answer: answer, conns: make(chan net.Conn), stopped: make(chan struct{})}
	server := &http.Server{Handler: p}
	go func() { _ = server.Serve(p) }()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		p.conns <- theirs
		return ours, nil
	}}
	c, err := New(Options{BaseURL: "http://mep.example", HTTPClient: &http.Client{Transport: transport, Timeout: 5 * time.Second}})
	require.NoError(t, err)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		close(p.stopped)
		_ = server.Close()
	})
	return p, c
}

// deliver sends a frame and waits for the pong to the ping behind it.
func deliver(ctx context.Context, conn *websocket.Conn, frame string) error {
	if err := conn.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
		return err
	}
	patience, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return conn.Ping(patience)
}

func changeFrame(id, name string) string {
	return fmt.Sprintf(`{"webhookId":%q,"notificationType":"SerAvailabilityNotification","serviceReferences":[{"serName":%q,"serInstanceId":"i","state":"ACTIVE","changeType":"ADDED"}],
		"_links":{"subscription":{"href":"/mec_service_mgmt/v1/applications/a/subscriptions/s"}}}`, id, name)
}

// serveFrames accepts a WebSocket and delivers frames, then waits for its end.
func serveFrames(t *testing.T, w http.ResponseWriter, r *http.Request, frames ...string) error {
	conn, err := websocket.Accept(w, r, nil)
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	ended := conn.CloseRead(context.Background())
	for _, frame := range frames {
		if err := deliver(ended, conn, frame); err != nil {
			return err
		}
	}
	<-ended.Done()
	return nil
}

func collectNames(to *[]string) func(context.Context, mp1.Notification) error {
	return func(_ context.Context, n mp1.Notification) error {
		*to = append(*to, n.ServiceReferences[0].SerName)
		return nil
	}
}

func TestWhatComesByAWebSocketIsHandedOverInOrderAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := newSocketPlatform(t, func(n int, w http.ResponseWriter, r *http.Request) {
			require.Equal(t, "/mec_service_mgmt/v1/applications/a/subscriptions/s/websocket", r.URL.Path)
			if n == 1 { // the platform is killed before it notes that the second one was taken
				conn, err := websocket.Accept(w, r, nil)
				require.NoError(t, err)
				ended := conn.CloseRead(context.Background())
				require.NoError(t, deliver(ended, conn, changeFrame("1", "one")))
				require.NoError(t, deliver(ended, conn, changeFrame("2", "two")))
				_ = conn.CloseNow()
				return
			}
			_ = serveFrames(t, w, r, changeFrame("2", "two"), changeFrame("3", "three"))
		})
		var got []string
		ctx, cancel := context.WithCancel(t.Context())
		connected, losses := 0, 0
		s := Stream{URI: "ws://mep.example/mec_service_mgmt/v1/applications/a/subscriptions/s/websocket", To: NewNotifications(collectNames(&got), OfApplication("a")),
			OnConnect: func() { connected++ }, OnLoss: func(error) { losses++ }}
		ended := make(chan error, 1)
		go func() { ended <- c.Receive(ctx, s) }()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"one", "two", "three"}, got)
		require.Equal(t, []int{2, 1}, []int{connected, losses})
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

// The pong says that it was taken: what its function has failed for comes again.
func TestANotificationWhoseFunctionFailsIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := newSocketPlatform(t, func(n int, w http.ResponseWriter, r *http.Request) {
			err := serveFrames(t, w, r, changeFrame("1", "one"))
			require.Equal(t, n == 1, err != nil, "only the first time it fails")
		})
		calls := 0
		to := NewNotifications(func(context.Context, mp1.Notification) error {
			if calls++; calls == 1 {
				return errors.New("no room")
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, c.Receive(ctx, Stream{URI: "/x", To: to}), context.DeadlineExceeded)
		require.Equal(t, 2, calls)
	})
}

func TestAnEndedSubscriptionEndsItsStream(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		want   error
	}{
		"not there": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, ErrNotFound},
		"forbidden": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, ErrForbidden},
		"ended":     {func(w http.ResponseWriter, r *http.Request) { _ = serveFrames(t, w, r, changeFrame("1", "end")) }, ErrEndSubscription},
		"replaced": {func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, nil)
			require.NoError(t, err)
			_ = conn.Close(mp1.CloseReplaced, "another connection")
		}, ErrReplaced},
		"deleted": {func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, nil)
			require.NoError(t, err)
			_ = conn.Close(mp1.CloseSubscriptionGone, "")
		}, ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, client := newSocketPlatform(t, func(_ int, w http.ResponseWriter, r *http.Request) { c.answer(w, r) })
				to := NewNotifications(func(context.Context, mp1.Notification) error { return ErrEndSubscription })
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				require.ErrorIs(t, client.Receive(ctx, Stream{URI: "/x", To: to}), c.want)
				require.Len(t, p.opened, 1, "it is not asked again")
			})
		})
	}
}

// A platform that restarts answers 503, and many clients must not come back at one moment.
func TestALostConnectionIsMadeAgainAfterGrowingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := newSocketPlatform(t, func(n int, w http.ResponseWriter, _ *http.Request) {
			switch n {
			case 8:
				w.Header().Set("Retry-After", "100")
			case 9:
				w.WriteHeader(http.StatusUnauthorized) // the next token may be better
				return
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		require.ErrorIs(t, c.Receive(ctx, Stream{URI: "/x", To: NewNotifications(nil)}), context.DeadlineExceeded)
		most := []time.Duration{1, 2, 4, 8, 16, 30, 30, 100, 30, 30}
		require.Greater(t, len(p.opened), len(most))
		for i, want := range most {
			wait := p.opened[i+1].Sub(p.opened[i])
			require.LessOrEqual(t, wait, want*time.Second, i)
			require.GreaterOrEqual(t, wait, want*time.Second*3/4, i)
		}
	})
}

// A NAT that has forgotten a connection tells nobody.
func TestASilentConnectionIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		p, c := newSocketPlatform(t, func(n int, w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, nil)
			require.NoError(t, err)
			defer func() { _ = conn.CloseNow() }()
			if n == 1 { // reads nothing: it answers no ping
				<-stop
				return
			}
			<-conn.CloseRead(context.Background()).Done()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.ErrorIs(t, c.Receive(ctx, Stream{URI: "/x", To: NewNotifications(nil)}), context.DeadlineExceeded)
		require.Len(t, p.opened, 2, "one that answers is kept")
		close(stop)
	})
}

// A function that takes long is not taken for a connection that is gone.
func TestALongFunctionKeepsItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := newSocketPlatform(t, func(_ int, w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, nil)
			require.NoError(t, err)
			defer func() { _ = conn.CloseNow() }()
			require.NoError(t, conn.Write(context.Background(), websocket.MessageText, []byte(changeFrame("1", "one"))))
			<-conn.CloseRead(context.Background()).Done()
		})
		to := NewNotifications(func(context.Context, mp1.Notification) error { time.Sleep(10 * time.Minute); return nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.ErrorIs(t, c.Receive(ctx, Stream{URI: "/x", To: to}), context.DeadlineExceeded)
		require.Len(t, p.opened, 1)
	})
}

func TestWhatIsNoNotificationEndsTheConnection(t *testing.T) {
	for name, frame := range map[string]string{
		"no JSON": "{", "no type": "{}", "of another application": strings.Replace(changeFrame("1", "x"), "/a/", "/b/", 1),
		"long id": changeFrame(strings.Repeat("1", maxWebhookID+1), "x"), "too large": changeFrame("1", strings.Repeat("n", maxNotification)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, c := newSocketPlatform(t, func(_ int, w http.ResponseWriter, r *http.Request) { _ = serveFrames(t, w, r, frame) })
				to := NewNotifications(func(context.Context, mp1.Notification) error { panic("it was handed over") }, OfApplication("a"))
				err := c.ReceiveOnce(t.Context(), Stream{URI: "/x", To: to})
				require.Error(t, err)
				require.NotContains(t, err.Error(), "nnn", "nothing of it is repeated")
			})
		})
	}
}

func TestAWebSocketIsOpenedOnlyAtThePlatform(t *testing.T) {
	c, err := New(Options{BaseURL: "https://mep.example:30100"})
	require.NoError(t, err)
	for uri, want := range map[string]string{
		"wss://mep.example:30100/x/websocket?a": "https://mep.example:30100/x/websocket?a",
		"ws://MEP.example:30100/x":              "https://mep.example:30100/x",
		"/x":                                    "https://mep.example:30100/x",
		"wss://mep.example/x":                   "",
		"wss://elsewhere.example:30100/x":       "",
		"wss://u:p@mep.example:30100/x":         "",
		"ws:/x":                                 "",
		"ftp://mep.example:30100/x":             "",
		"x":                                     "",
	} {
		u, err := c.resolveSocket(uri)
		if want == "" {
			require.Error(t, err, uri)
			continue
		}
		require.NoError(t, err, uri)
		require.Equal(t, want, u.String())
	}
}
