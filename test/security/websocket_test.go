package security

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

// The WebSocket of a subscription is for its owner, by HTTP/1.1 over TLS, and ends with the
// credential that opened it: it would show for hours what happens.
func TestAWebSocketIsItsOwnersAndEndsWithItsCredential(t *testing.T) {
	t.Parallel()
	s := mep.Secure(t)
	mine, other := s.Add("mine"), s.Add("other")
	a := s.As(mine).Want(http.StatusCreated, "POST", mep.SubscriptionsOf("mine"), `{"subscriptionType":"SerAvailabilityNotificationSubscription","websockNotifConfig":{"requestWebsocketUri":true}}`)
	var made mp1.Subscription
	a.Into(t, &made)
	uri := made.WebsockNotifConfig.WebsocketURI
	require.Equal(t, "wss"+strings.TrimPrefix(s.URL, "https")+a.Header.Get("Location")+"/websocket", uri)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.CA.Pool, MinVersion: tls.VersionTLS12}}}
	dial := func(token, origin string) (*websocket.Conn, int) {
		h := http.Header{}
		if token != "" {
			h.Set("Authorization", "Bearer "+token)
		}
		if origin != "" {
			h.Set("Origin", origin)
		}
		c, res, err := websocket.Dial(t.Context(), uri, &websocket.DialOptions{HTTPClient: client, HTTPHeader: h}) //nolint:bodyclose // the connection is closed, or the library has read the answer
		require.NotNil(t, res, "%v", err)
		return c, res.StatusCode
	}
	for _, c := range []struct {
		token, origin string
		want          int
	}{{"", "", 401}, {"x", "", 401}, {s.Token(other), "", 403}, {s.Token(mine), "https://evil.example", 403}} {
		_, status := dial(c.token, c.origin)
		require.Equal(t, c.want, status)
	}
	h2 := s.As(mine).Want(http.StatusBadRequest, "GET", a.Header.Get("Location")+"/websocket", "")
	require.Contains(t, string(h2.Body), "HTTP/1.1")

	c, status := dial(s.Token(mine), "")
	require.Equal(t, http.StatusSwitchingProtocols, status)
	defer func() { _ = c.CloseNow() }()
	s.As(mine).Register("mine", "n", -1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // ends a test that fails
	defer cancel()
	_, b, err := c.Read(ctx)
	require.NoError(t, err)
	require.Contains(t, string(b), `"webhookId"`)
	require.Equal(t, http.StatusNoContent, s.Admin("DELETE", "/mec_liveness/v1/credentials/mine", "").Status)
	_, _, err = c.Read(ctx)
	require.Error(t, err)
	require.NoError(t, ctx.Err(), "the WebSocket went on")
}
