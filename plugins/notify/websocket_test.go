package notify

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// opened are the two ends of a WebSocket: ours, which reads until the connection ends, and the
// path to the consumer's.
type opened struct {
	ours  chan *webSocket
	ended chan struct{}
	url   string
}

func newOpened(t *testing.T, timeout time.Duration, origins ...string) *opened {
	o := &opened{ours: make(chan *webSocket, 1), ended: make(chan struct{})}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one, err := openWebSocket(w, r, origins, timeout, func() error { return nil })
		if err != nil {
			return
		}
		o.ours <- one
		one.run()
		close(o.ended)
	}))
	t.Cleanup(s.Close)
	o.url = s.URL
	return o
}

// dial connects as a consumer.
func (o *opened) dial(t *testing.T, header http.Header) *websocket.Conn {
	t.Helper()
	c, res, err := websocket.Dial(t.Context(), o.url, &websocket.DialOptions{HTTPHeader: header}) //nolint:bodyclose // the connection is closed, or the library has read the answer
	require.NoError(t, err)
	_ = res.Body
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

// raw connects as a consumer that writes frames by hand.
func (o *opened) raw(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(o.url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	require.NoError(t, err)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil) //nolint:bodyclose // the connection is closed, or the library has read the answer
	require.NoError(t, err)
	require.Equal(t, 101, res.StatusCode)
	return c, r
}

// frameOf is a masked frame with a mask of zeros, as a client may write it.
func frameOf(first byte, payload string) []byte {
	return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

// closeCode reads frames until one closes the connection, and returns its code; 0: the
// connection ended without one.
func closeCode(t *testing.T, r *bufio.Reader) int {
	t.Helper()
	for {
		var h [2]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return 0
		}
		require.Less(t, h[1], byte(126))
		payload := make([]byte, h[1])
		if _, err := io.ReadFull(r, payload); err != nil {
			return 0
		}
		if h[0] == 0x88 {
			return int(payload[0])<<8 | int(payload[1])
		}
	}
}

var anyDelivery = delivery{id: "sub-1-2-3", body: []byte(`{"notificationType":"SerAvailabilityNotification"}`)}

// A notification is a text message of the JSON that would be POSTed, with its webhook-id, and
// is delivered when the pong has come.
func TestAPongAcknowledgesANotification(t *testing.T) {
	o := newOpened(t, 10*time.Second)
	c := o.dial(t, nil)
	ours := <-o.ours
	got := make(chan []byte, 2)
	go func() {
		for {
			kind, b, err := c.Read(context.Background())
			if err != nil {
				return
			}
			if kind == websocket.MessageText {
				got <- b
			}
		}
	}()
	require.Equal(t, result{}, ours.send(t.Context(), anyDelivery))
	var n struct{ NotificationType, WebhookID string }
	b := <-got
	require.NoError(t, json.Unmarshal(b, &n), string(b))
	require.Equal(t, "SerAvailabilityNotification", n.NotificationType)
	require.Equal(t, anyDelivery.id, n.WebhookID)
	require.JSONEq(t, `{"notificationType":"SerAvailabilityNotification"}`, string(anyDelivery.body), "the body itself is as before: it may be sent again")
}

// A consumer that never answers a ping has not got anything: its connection is closed, so that
// it connects again.
func TestAConsumerThatSendsNoPongIsClosed(t *testing.T) {
	o := newOpened(t, 50*time.Millisecond)
	_, r := o.raw(t)
	require.Equal(t, result{outcome: timedOut}, (<-o.ours).send(t.Context(), anyDelivery))
	require.Equal(t, mp1.CloseNotAcknowledged, closeCode(t, r))
	<-o.ended
}

// A pong that nobody asked for, or of another ping, acknowledges nothing.
func TestAPongOfAnotherPingAcknowledgesNothing(t *testing.T) {
	o := newOpened(t, 50*time.Millisecond)
	c, _ := o.raw(t)
	for _, payload := range []string{"", "0", "2", "sub-1-2-3"} {
		_, err := c.Write(frameOf(0x8a, payload))
		require.NoError(t, err)
	}
	require.Equal(t, result{outcome: timedOut}, (<-o.ours).send(t.Context(), anyDelivery))
}

// A consumer that stops reading blocks a write no longer than a notification may take.
func TestAConsumerThatStopsReadingHoldsNobodyUp(t *testing.T) {
	o := newOpened(t, 200*time.Millisecond)
	_, _ = o.raw(t)
	ours := <-o.ours
	large := delivery{id: "x", body: append(append([]byte(`{"a":"`), make([]byte, 64<<20)...), `"}`...)}
	require.Equal(t, result{outcome: timedOut}, ours.send(t.Context(), large))
	<-o.ended
}

// That a connection ended says nothing about the consumer.
func TestAConnectionThatEndedIsNoAttempt(t *testing.T) {
	o := newOpened(t, 10*time.Second)
	c, _ := o.raw(t)
	ours := <-o.ours
	require.NoError(t, c.Close())
	<-o.ended
	require.Equal(t, result{outcome: disconnected}, ours.send(t.Context(), anyDelivery))
}

// What a consumer sends is dropped; one that sends too much, in whatever frames, is closed.
func TestAConsumerThatFloodsIsClosed(t *testing.T) {
	for name, c := range map[string]struct {
		first, rest []byte
		code        int
	}{
		"messages":     {frameOf(0x81, "hello"), frameOf(0x81, "hello"), int(websocket.StatusPolicyViolation)},
		"pings":        {nil, frameOf(0x89, "x"), int(websocket.StatusPolicyViolation)},
		"pongs":        {nil, frameOf(0x8a, "x"), int(websocket.StatusPolicyViolation)},
		"empty frames": {frameOf(0x01, ""), frameOf(0x00, ""), int(websocket.StatusPolicyViolation)},
		"large frame":  {append([]byte{0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 4096)...), nil, int(websocket.StatusMessageTooBig)},
		"long message": {frameOf(0x01, strings.Repeat("x", 125)), frameOf(0x00, strings.Repeat("x", 125)), int(websocket.StatusMessageTooBig)},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOpened(t, 10*time.Second)
			conn, r := o.raw(t)
			<-o.ours
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_, err := conn.Write(c.first)
				for err == nil && len(c.rest) > 0 {
					_, err = conn.Write(c.rest)
				}
			}()
			require.Contains(t, []int{c.code, 0}, closeCode(t, r), "the code may be lost with what was not read")
			<-o.ended
			_ = conn.Close()
			<-sent
		})
	}
}

// A few messages harm nobody, and are ignored.
func TestWhatAConsumerSaysIsIgnored(t *testing.T) {
	o := newOpened(t, 10*time.Second)
	c := o.dial(t, nil)
	for i := range 100 {
		require.NoError(t, c.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `HTTP/1.1 204 No Content %d`, i)))
	}
	go func() { _, _, _ = c.Read(context.Background()); _, _, _ = c.Read(context.Background()) }()
	require.Equal(t, result{}, (<-o.ours).send(t.Context(), anyDelivery))
}

// A page of another origin than the server's own opens a WebSocket only if it is configured.
func TestOnlyPagesOfConfiguredOriginsOpenAWebSocket(t *testing.T) {
	o := newOpened(t, time.Second, "https://console.example:8443", "http://[::1]:3000")
	for origin, opens := range map[string]bool{
		"": true, "https://console.example:8443": true, "http://[::1]:3000": true, o.url: true,
		"https://console.example": false, "http://console.example:8443": false, "https://evil.example": false, "http://:3000": false, "null": false,
	} {
		h := http.Header{}
		if origin != "" {
			h.Set("Origin", origin)
		}
		c, res, err := websocket.Dial(t.Context(), o.url, &websocket.DialOptions{HTTPHeader: h}) //nolint:bodyclose // the connection is closed, or the library has read the answer
		if opens {
			require.NoError(t, err, origin)
			<-o.ours
			_ = c.CloseNow()
			<-o.ended
			o.ended = make(chan struct{})
			continue
		}
		require.Error(t, err, origin)
		require.Equal(t, http.StatusForbidden, res.StatusCode, origin)
	}
}

// Admission is asked for last: a request that the library refuses, such as one of a page of
// another origin, must not cost the consumer the connection that it has. One that is not
// admitted is left to be answered.
func TestAdmissionIsAskedForLast(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := openWebSocket(w, r, nil, time.Second, func() error { asked++; return errCut })
		if errors.Is(err, errCut) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	_, res, err := websocket.Dial(t.Context(), s.URL, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}}) //nolint:bodyclose // the library has read the answer
	require.Error(t, err)
	require.Equal(t, http.StatusForbidden, res.StatusCode)
	require.Zero(t, asked)
	_, res, err = websocket.Dial(t.Context(), s.URL, nil) //nolint:bodyclose // the library has read the answer
	require.Error(t, err)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Equal(t, 1, asked)
	require.Equal(t, "1", res.Header.Get("Retry-After"))
	for _, name := range []string{"Upgrade", "Sec-Websocket-Accept", "Content-Type"} {
		require.Empty(t, res.Header.Get(name), name)
	}
}

// Closing is over soon, whatever the consumer does.
func TestClosingWaitsForNoConsumer(t *testing.T) {
	o := newOpened(t, 10*time.Second)
	_, r := o.raw(t)
	ours := <-o.ours
	done := make(chan struct{})
	go func() { ours.close(websocket.StatusGoingAway, "the server stops"); close(done) }()
	require.Equal(t, int(websocket.StatusGoingAway), closeCode(t, r))
	<-done
	<-o.ended
}
