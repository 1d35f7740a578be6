package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/mec-liveness/mepserver/mp1"
)

// Stream is the WebSocket by which a platform delivers the notifications of a subscription, and
// who takes them (MEC 009 v3.1.1 §6.12a; with MEC 011 an extension of our platform). It needs no
// address that the platform could reach.
type Stream struct {
	// URI is WebsocketURI of the subscription's WebsockNotifConfig, or its path.
	URI string
	// To takes the notifications, one after the other.
	To *Notifications
	// OnConnect, if it is not nil, is called when a connection stands: what comes from then
	// on is handed over.
	OnConnect func()
	// OnLoss, if it is not nil, is called when Receive has lost a connection or could make none, with
	// the reason, before it waits and tries again.
	OnLoss func(error)
}

// ErrReplaced is the error of a WebSocket that was closed because another one of the same
// subscription was opened. A subscription has one consumer: another one needs another
// subscription.
var ErrReplaced = errors.New("mp1 client: another connection receives the notifications of the subscription")

const (
	minReconnect = time.Second
	maxReconnect = 30 * time.Second
	maxAskedWait = 5 * time.Minute // whatever the platform asks for
	// stableAfter is for how long a connection stands that was no failure.
	stableAfter = 10 * time.Second
	// A connection that a NAT has forgotten looks like one on which nothing comes: the platform
	// must answer a ping.
	keepAliveInterval = 30 * time.Second
	keepAlivePatience = 15 * time.Second
)

// errEnded is the error of a WebSocket that was not closed as RFC 6455 has it.
var errEnded = fmt.Errorf("mp1 client: the connection has ended: %w", io.ErrUnexpectedEOF)

// Receive hands over what comes by a WebSocket until ctx ends, and connects again whenever the
// connection is lost: at once, and after failures in a row after waits from a second to thirty, or
// after the one that the platform asks for. What the platform has sent meanwhile comes then, and
// what was handed over before is not handed over again, as [Notifications] has it.
//
// A notification counts as taken when its function has returned nil, and the next one comes
// after that. After any other error the connection is closed, and the notification comes
// again. A function that takes longer than the platform waits (notify.timeout, 10 s) has its
// connection closed by the platform, which sends the notification again: it is not handed over twice.
//
// It returns the error of ctx, [ErrReplaced], [ErrEndSubscription] if the function has returned
// that, or what the platform refuses for good, such as an [ErrNotFound] of a subscription that
// has ended. It never returns nil.
func (c *Client) Receive(ctx context.Context, s Stream) error {
	failures := 0
	for {
		begun := time.Now()
		err := c.ReceiveOnce(ctx, s)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case endsStream(err):
			return err
		case s.OnLoss != nil:
			s.OnLoss(err)
		}
		if failures++; time.Since(begun) >= stableAfter {
			failures = 0
		}
		wait := time.NewTimer(reconnectWait(failures, err))
		select {
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		case <-wait.C:
		}
	}
}

// reconnectWait is the wait after n failures in a row, the last of which was err.
func reconnectWait(n int, err error) time.Duration {
	wait := time.Duration(0)
	if n > 0 {
		wait = min(minReconnect<<min(n-1, 10), maxReconnect)
	}
	var p *Problem
	if errors.As(err, &p) && p.RetryAfter > 0 {
		wait = min(p.RetryAfter, maxAskedWait)
	}
	return wait - time.Duration(rand.Float64()*float64(wait)/4) //nolint:gosec // it parts clients
}

// endsStream reports whether another connection would end as this one did.
func endsStream(err error) bool {
	var p *Problem
	if !errors.As(err, &p) {
		return errors.Is(err, ErrReplaced) || errors.Is(err, ErrEndSubscription) || errors.Is(err, errForeign) || errors.Is(err, errHref)
	}
	switch p.Status {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false // another token, or a later moment
	}
	return p.Status < http.StatusInternalServerError || p.Status == http.StatusNotImplemented
}

// ReceiveOnce is [Client.Receive] with one connection, for who connects again by rules of their
// own, such as to another endpoint of the platform. It returns when the connection is lost or
// could not be made; a refusal is a [*Problem]. It does not call OnLoss.
func (c *Client) ReceiveOnce(ctx context.Context, s Stream) error {
	conn, err := c.dial(ctx, s.URI)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(maxNotification)
	if s.OnConnect != nil {
		s.OnConnect()
	}
	var reading atomic.Int64 // odd while a notification is handed over and nothing is read
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go keepAlive(ctx, conn, &reading)
	for {
		// Reading on answers the ping behind the notification before: it says that it was taken.
		kind, frame, err := conn.Read(ctx)
		if err != nil {
			return lost(ctx, err)
		}
		reading.Add(1)
		err = s.To.receive(ctx, kind, frame)
		reading.Add(1)
		if err != nil {
			return err
		}
	}
}

// dial opens the WebSocket at uri, which must be one of the platform's.
func (c *Client) dial(ctx context.Context, uri string) (*websocket.Conn, error) {
	target, err := c.resolveSocket(uri)
	if err != nil {
		return nil, err
	}
	h := c.http
	if h.Timeout == 0 { // it bounds the handshake only
		h.Timeout = defaultTimeout
	}
	header := http.Header{"Accept": {"application/problem+json"}}
	if c.agent != "" {
		header.Set(agentHeader, c.agent)
	}
	conn, resp, err := websocket.Dial(ctx, target.String(), &websocket.DialOptions{HTTPClient: &h, HTTPHeader: header}) //nolint:bodyclose // the library has closed it
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
		data, _ := io.ReadAll(resp.Body) // the library has kept 1,024 bytes
		return nil, readProblem(resp, data)
	}
	return nil, fmt.Errorf("mp1 client: %w", err)
}

// resolveSocket is resolve for ws and wss. A proxy that ends TLS has the platform say ws where
// wss is meant: the client's own scheme counts.
func (c *Client) resolveSocket(uri string) (*url.URL, error) {
	u, err := parseHref(uri)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "ws" || u.Scheme == "wss" {
		u.Scheme = c.origin.Scheme
	}
	return c.resolve(u.String())
}

// lost is why a connection has ended.
func lost(ctx context.Context, err error) error {
	var closed websocket.CloseError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case websocket.CloseStatus(err) == mp1.CloseReplaced:
		return ErrReplaced
	case websocket.CloseStatus(err) == mp1.CloseSubscriptionGone:
		return &Problem{Status: http.StatusGone, Detail: "the subscription was deleted"}
	case errors.As(err, &closed): // its text is the platform's
		return fmt.Errorf("mp1 client: the platform has closed the WebSocket: %d %s", closed.Code, printable(closed.Reason))
	case errors.Is(err, websocket.ErrMessageTooBig):
		return ErrTooLarge
	case errors.Is(err, io.EOF): // as when the platform is killed
		return errEnded
	}
	return fmt.Errorf("mp1 client: %w", err)
}

// receive takes a notification from a WebSocket.
func (n *Notifications) receive(ctx context.Context, kind websocket.MessageType, frame []byte) error {
	var id struct {
		WebhookID string `json:"webhookId"`
	}
	if kind != websocket.MessageText || json.Unmarshal(frame, &id) != nil || len(id.WebhookID) > maxWebhookID {
		return errUnreadable
	}
	handOver, status := n.parse(frame)
	if status != 0 {
		return errUnreadable
	}
	return n.take(ctx, id.WebhookID, handOver)
}

// keepAlive closes a connection on which the platform answers no ping, until ctx ends. While a
// notification is handed over nobody would read the answer.
func keepAlive(ctx context.Context, conn *websocket.Conn, reading *atomic.Int64) {
	tick := time.NewTicker(keepAliveInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		before := reading.Load()
		if before%2 != 0 {
			continue
		}
		patience, cancel := context.WithTimeout(ctx, keepAlivePatience)
		err := conn.Ping(patience)
		cancel()
		if err != nil && ctx.Err() == nil && reading.Load() == before {
			_ = conn.CloseNow()
			return
		}
	}
}
