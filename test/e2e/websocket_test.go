package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/consumer"
	"github.com/mec-liveness/mepserver/test/mep"
	"github.com/mec-liveness/mepserver/test/tier"
	"github.com/mec-liveness/mepserver/test/wait"
)

const askedByWebSocket = `"websockNotifConfig":{"requestWebsocketUri":true}`

// asked subscribes, with more members than the type, and returns the answer's path and body.
func asked(t *testing.T, s *mep.Server, app, members string) (path string, made mp1.Subscription) {
	t.Helper()
	a := s.Want(http.StatusCreated, "POST", mep.SubscriptionsOf(app), `{"subscriptionType":"SerAvailabilityNotificationSubscription",`+members+`}`)
	a.Into(t, &made)
	return a.Header.Get("Location"), made
}

// connect opens a WebSocket, which ends with the test.
func connect(t *testing.T, uri string) *websocket.Conn {
	t.Helper()
	c, res, err := websocket.Dial(t.Context(), uri, nil) //nolint:bodyclose // the connection is closed, or the library has read the answer
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

// told is a notification that came through a WebSocket.
type told struct {
	WebhookID string
	mp1.Notification
	body string
}

// next reads a notification. Its ping is answered by the next read.
func next(t *testing.T, c *websocket.Conn) (n told) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // ends a test that fails
	defer cancel()
	kind, b, err := c.Read(ctx)
	require.NoError(t, err)
	require.Equal(t, websocket.MessageText, kind)
	require.NoError(t, json.Unmarshal(b, &n), string(b))
	require.NotEmpty(t, n.WebhookID)
	n.body = string(b)
	return n
}

// changes reads until so many changes were told, and returns them as lines.
func changes(t *testing.T, c *websocket.Conn, n int) (lines []string) {
	t.Helper()
	for len(lines) < n {
		for _, r := range next(t, c).ServiceReferences {
			lines = append(lines, fmt.Sprint(r.SerName, " ", r.ChangeType))
		}
	}
	return lines
}

// closing reads until the server ends the WebSocket, and returns its code.
func closing(t *testing.T, c *websocket.Conn) websocket.StatusCode {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		if _, _, err := c.Read(ctx); err != nil {
			require.NoError(t, ctx.Err())
			return websocket.CloseStatus(err)
		}
	}
}

// A consumer that nothing can be POSTed to opens a WebSocket, at the URI of the answer, and is
// told what happened before as well.
func TestAConsumerBehindNATIsTold(t *testing.T) {
	t.Parallel()
	s := mep.Start(t)
	for _, prefix := range []string{"", "/mep"} {
		a := s.Want(http.StatusCreated, "POST", prefix+mep.SubscriptionsOf("watcher"), `{"subscriptionType":"SerAvailabilityNotificationSubscription",`+askedByWebSocket+`}`)
		var made mp1.Subscription
		a.Into(t, &made)
		where := a.Header.Get("Location")
		require.Equal(t, "ws"+strings.TrimPrefix(s.URL, "http")+where+"/websocket", made.WebsockNotifConfig.WebsocketURI)
		require.Empty(t, made.CallbackReference)
		require.True(t, strings.HasPrefix(where, prefix+mp1.Base))
		read := s.Want(http.StatusOK, "GET", where, "")
		require.JSONEq(t, string(a.Body), string(read.Body))
		v := s.Register("app", "face", -1)
		c := connect(t, made.WebsockNotifConfig.WebsocketURI)
		n := next(t, c)
		require.Equal(t, mp1.NotificationType, n.NotificationType)
		require.Equal(t, where, n.Links.Subscription.Href)
		require.Equal(t, v.ID, n.ServiceReferences[0].SerInstanceID)
		require.Equal(t, prefix+mp1.Base+"/services/"+v.ID, n.ServiceReferences[0].Link.Href)
		s.Want(http.StatusNoContent, "DELETE", v.Location, "")
		require.Equal(t, []string{"face REMOVED"}, changes(t, c, 1))
		s.Want(http.StatusNoContent, "DELETE", where, "", "If-Match", read.Header.Get("ETag"))
		require.EqualValues(t, mp1.CloseSubscriptionGone, closing(t, c))
	}
}

// Whatever happens between a message and its pong, the same comes again with the same id, and
// what came behind it after it, in order.
func TestWhatWasNotAcknowledgedComesAgain(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, "MEP_NOTIFY_TIMEOUT=2s")
	where, made := asked(t, s, "watcher", askedByWebSocket)
	uri := made.WebsockNotifConfig.WebsocketURI
	c := connect(t, uri)
	var want []string
	register := func() {
		name := fmt.Sprint("s", len(want))
		s.Register("app", name, -1)
		want = append(want, name+" ADDED")
	}
	register()
	first := next(t, c) // no pong: nothing reads on
	for name, cut := range map[string]func(){
		"the server is killed":           func() { s.Kill(); s.Restart() },
		"the connection breaks":          func() { _ = c.CloseNow() },
		"the consumer closes":            func() { _ = c.Close(websocket.StatusNormalClosure, "") },
		"the server stops":               func() { s.Stop(); s.Restart() },
		"no pong came in notify.timeout": func() { time.Sleep(3 * time.Second) },
		"a newer connection is opened":   func() {},
	} {
		register()
		cut()
		register()
		c = connect(t, uri)
		again := next(t, c)
		require.Equal(t, first.WebhookID, again.WebhookID, name)
		require.Equal(t, first.body, again.body, name)
	}
	got := []string{"s0 ADDED"}
	got = append(got, changes(t, c, len(want)-1)...)
	require.Equal(t, want, got)
	wait.Until(t, "it is delivered", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, _, err := c.Read(ctx) // answers the last ping
		return err != nil && s.Metric(`mep_notification_posts_total{outcome="delivered"}`) > 0
	})
	require.Equal(t, http.StatusOK, s.Do("GET", where, "").Status)
}

// A connection ends with its application, with the server (1001), and by a newer one.
func TestAConnectionEndsWithWhatItBelongsTo(t *testing.T) {
	t.Parallel()
	s := mep.Start(t)
	s.Want(http.StatusCreated, "POST", mp1.AppSupportBase+"/registrations", `{"appName":"n","appInstanceId":"watcher"}`)
	_, made := asked(t, s, "watcher", askedByWebSocket)
	uri := made.WebsockNotifConfig.WebsocketURI
	one := connect(t, uri)
	other := connect(t, uri)
	require.EqualValues(t, mp1.CloseReplaced, closing(t, one))
	_, made = asked(t, s, "another", askedByWebSocket)
	third := connect(t, made.WebsockNotifConfig.WebsocketURI)
	wait.Until(t, "both are counted", func() bool { return s.Metric("mep_notification_websockets") == 2 })
	s.Want(http.StatusNoContent, "DELETE", mp1.AppSupportBase+"/registrations/watcher", "")
	require.EqualValues(t, mp1.CloseSubscriptionGone, closing(t, other))
	_, res, err := websocket.Dial(t.Context(), uri, nil) //nolint:bodyclose // the connection is closed, or the library has read the answer
	require.Error(t, err)
	require.Equal(t, http.StatusNotFound, res.StatusCode)
	ended := make(chan websocket.StatusCode)
	go func() { ended <- closing(t, third) }()
	s.Stop()
	require.Equal(t, websocket.StatusGoingAway, <-ended)
}

// A test notification decides between callback and WebSocket; alone it is repeated until it is
// taken, and the subscription is made whatever becomes of it.
func TestATestNotificationDecides(t *testing.T) {
	t.Parallel()
	s := mep.Start(t, "MEP_NOTIFY_TIMEOUT=3s") // within which a busy consumer answers
	c := consumer.Start(t)
	callback := `"callbackReference":"` + c.URL + `/cb"`
	where, made := asked(t, s, "a", callback+`,"requestTestNotification":true,`+askedByWebSocket)
	require.Equal(t, c.URL+"/cb", made.CallbackReference)
	require.Nil(t, made.WebsockNotifConfig)
	got := c.Last()
	require.JSONEq(t, `{"notificationType":"TestNotification","subscription":"`+where+`","_links":{"subscription":{"href":"`+where+`"}}}`, got.Body)
	require.NotEmpty(t, got.ID)

	_, made = asked(t, s, "a", callback+`,"requestTestNotification":true`)
	require.Equal(t, c.URL+"/cb", made.CallbackReference)
	wait.Until(t, "it came", func() bool { return len(c.Receipts()) == 2 })

	c.Answer(http.StatusInternalServerError)
	_, made = asked(t, s, "a", callback+`,"requestTestNotification":true,`+askedByWebSocket)
	require.Empty(t, made.CallbackReference)
	require.NotEmpty(t, made.WebsockNotifConfig.WebsocketURI)
	_, made = asked(t, s, "a", callback+`,`+askedByWebSocket)
	require.NotEmpty(t, made.WebsockNotifConfig.WebsocketURI)
	require.Len(t, c.Receipts(), 3, "without the wish nothing is tried out")
	_, made = asked(t, s, "a", `"callbackReference":"http://203.0.113.7/","requestTestNotification":true,`+askedByWebSocket)
	require.NotEmpty(t, made.WebsockNotifConfig.WebsocketURI)
	hangs := consumer.Listen(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or its end would not be noticed
		<-r.Context().Done()
	}))
	_, made = asked(t, s, "a", `"callbackReference":"`+hangs+`","requestTestNotification":true,`+askedByWebSocket)
	require.NotEmpty(t, made.WebsockNotifConfig.WebsocketURI)

	_, made = asked(t, s, "a", callback+`,"requestTestNotification":true`)
	require.NotEmpty(t, made.CallbackReference)
	wait.Until(t, "it is sent again", func() bool { return len(c.Receipts()) >= 5 })
	all := c.Receipts()
	require.Equal(t, all[3].ID, all[4].ID, "one id for all attempts")
}

// What does not open a WebSocket is answered with what to do.
func TestWhatOpensNoWebSocketIsToldWhy(t *testing.T) {
	t.Parallel()
	s := mep.Start(t)
	where, _ := asked(t, s, "a", askedByWebSocket)
	callback, _ := asked(t, s, "a", `"callbackReference":"http://127.0.0.1:9/"`)
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}
	without := func(name, value string) (out []string) {
		for i := 0; i < len(upgrade); i += 2 {
			if upgrade[i] != name {
				out = append(out, upgrade[i], upgrade[i+1])
			} else if value != "" {
				out = append(out, name, value)
			}
		}
		return out
	}
	require.Equal(t, "websocket", s.Want(http.StatusUpgradeRequired, "GET", where+"/websocket", "").Header.Get("Upgrade"))
	s.Want(http.StatusUpgradeRequired, "GET", where+"/websocket", "", without("Upgrade", "h2c")...)
	require.Equal(t, "13", s.Want(http.StatusUpgradeRequired, "GET", where+"/websocket", "", without("Sec-WebSocket-Version", "8")...).Header.Get("Sec-WebSocket-Version"))
	s.Want(http.StatusBadRequest, "GET", where+"/websocket", "", without("Sec-WebSocket-Key", "short")...)
	s.Want(http.StatusBadRequest, "GET", where+"/websocket", "", without("Sec-WebSocket-Key", "")...)
	s.Want(http.StatusNotFound, "GET", callback+"/websocket", "", upgrade...)
	s.Want(http.StatusNotFound, "GET", strings.Replace(where, "/a/", "/b/", 1)+"/websocket", "", upgrade...)
	s.Want(http.StatusMethodNotAllowed, "POST", where+"/websocket", "{}", upgrade...)
	s.Want(http.StatusForbidden, "GET", where+"/websocket", "", append(without("", ""), "Origin", "https://evil.example")...)
	s.Want(http.StatusBadRequest, "POST", mep.SubscriptionsOf("a"), `{"subscriptionType":"SerAvailabilityNotificationSubscription"}`)
}

// An idle connection costs little, and a thousand of them hold nobody up.
func TestAThousandIdleConnectionsCostLittle(t *testing.T) {
	tier.Long(t, "test/e2e", "opens a thousand connections")
	s := mep.Start(t)
	const many = 1000
	before := s.Metric("process_resident_memory_bytes")
	conns := make([]*websocket.Conn, many)
	var all sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i := range conns {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			_, made := asked(t, s, fmt.Sprint("app", i), askedByWebSocket)
			conns[i] = connect(t, made.WebsockNotifConfig.WebsocketURI)
		})
	}
	all.Wait()
	wait.Until(t, "all are counted", func() bool { return s.Metric("mep_notification_websockets") == many })
	each := (s.Metric("process_resident_memory_bytes") - before) / many
	t.Logf("%d idle connections cost %d KiB each, subscription and worker included (%s)", many, each>>10, runtime.GOARCH)
	began := time.Now()
	s.Register("app", "face", -1)
	for _, c := range conns {
		all.Go(func() { require.Len(t, next(t, c).ServiceReferences, 1) })
	}
	all.Wait()
	t.Logf("all of them told in %v", time.Since(began).Round(time.Millisecond))
}
