package conformance

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/client"
	"github.com/mec-liveness/mepserver/test/wait"
)

// asking is a subscription to the changes of the service that is named as the test, with more
// members.
func asking(t *testing.T, more string) string {
	return `{"subscriptionType":"SerAvailabilityNotificationSubscription","filteringCriteria":{"serNames":["` + t.Name() + `"]},` + more + `}`
}

func TestOWN_ATestNotificationTriesTheCallback(t *testing.T) {
	t.Parallel()
	p := begin(t, "MEC 009 6.12a.3", "requestTestNotification (an extension): a test notification with the link of the subscription; the subscription is made whether its callback answers or not, but with a WebSocket asked for too, it gets that where nobody answers")
	c := newConsumer(t)
	where := p.want(http.StatusCreated, "POST", p.of("/subscriptions"), asking(t, `"callbackReference":"`+c.URL+`","requestTestNotification":true`)).Header.Get("Location")
	wait.Until(t, "the test", func() bool { return len(c.Receipts()) >= 1 })
	require.NotEmpty(t, c.Last().ID)
	var test mp1.TestNotification
	require.NoError(t, json.Unmarshal([]byte(c.Last().Body), &test))
	require.Equal(t, "TestNotification", test.NotificationType)
	require.Equal(t, where, test.Links.Subscription.Href)

	p.want(http.StatusCreated, "POST", p.of("/subscriptions"), asking(t, `"callbackReference":"`+nowhere+`","requestTestNotification":true`))
	const either = `,"requestTestNotification":true,"websockNotifConfig":{"requestWebsocketUri":true}`
	m := p.want(http.StatusCreated, "POST", p.of("/subscriptions"), asking(t, `"callbackReference":"`+c.URL+`"`+either)).Object(t)
	require.Equal(t, c.URL, m["callbackReference"])
	require.NotContains(t, m, "websockNotifConfig")
	m = p.want(http.StatusCreated, "POST", p.of("/subscriptions"), asking(t, `"callbackReference":"`+nowhere+`"`+either)).Object(t)
	require.Contains(t, m["websockNotifConfig"], "websocketUri")
	require.NotContains(t, m, "callbackReference")
}

// streamed receives through a WebSocket until stop.
func (p *platform) streamed(uri string, to *client.Notifications) (stop func()) {
	p.t.Helper()
	c, err := client.New(client.Options{BaseURL: p.URL})
	require.NoError(p.t, err)
	ctx, cancel := context.WithCancel(p.t.Context())
	connected, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = c.ReceiveOnce(ctx, client.Stream{URI: uri, To: to, OnConnect: func() { close(connected) }})
	}()
	select {
	case <-connected:
	case <-done:
		p.t.Fatal("no WebSocket at ", uri)
	}
	return func() { cancel(); <-done }
}

func TestOWN_ConsumersBehindNATAreToldByAWebSocket(t *testing.T) {
	t.Parallel()
	p := begin(t, "MEC 009 6.12a.2", "websockNotifConfig (an extension): 201 with a websocketUri and without a callback; each change comes there once, in order; what happened without a connection comes with the next one")
	r := p.want(http.StatusCreated, "POST", p.of("/subscriptions"), asking(t, `"websockNotifConfig":{"requestWebsocketUri":true}`))
	config := r.Object(t)["websockNotifConfig"].(map[string]any)
	uri := config["websocketUri"].(string)
	require.True(t, strings.HasPrefix(uri, "ws://"+p.Listen+r.Header.Get("Location")+"/"), uri)
	require.NotContains(t, r.Object(t), "callbackReference")

	lines := make(chan string, 10)
	to := client.NewNotifications(func(_ context.Context, n mp1.Notification) error {
		for _, r := range n.ServiceReferences {
			lines <- strings.TrimSpace(string(r.ChangeType) + " " + string(r.State))
		}
		return nil
	})
	stop := p.streamed(uri, to)
	s := p.register(t.Name(), -1)
	require.Equal(t, "ADDED ACTIVE", <-lines)
	p.want(http.StatusOK, "PUT", s.self, strings.Replace(serviceInfo(t.Name(), ""), `"ACTIVE"`, `"INACTIVE"`, 1))
	require.Equal(t, "STATE_CHANGED INACTIVE", <-lines)
	stop()
	p.want(http.StatusOK, "PUT", s.self, serviceInfo(t.Name(), ""))
	p.want(http.StatusNoContent, "DELETE", s.self, "")
	stop = p.streamed(uri, to)
	require.Equal(t, "STATE_CHANGED ACTIVE", <-lines)
	require.Equal(t, "REMOVED ACTIVE", <-lines)
	stop()
	require.Empty(t, lines)
	p.want(http.StatusNoContent, "DELETE", r.Header.Get("Location"), "")
	wait.Until(t, "it ends with its subscription", func() bool {
		return p.Do("GET", strings.TrimPrefix(uri, "ws://"+p.Listen), "").Status == http.StatusNotFound
	})
}
