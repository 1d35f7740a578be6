package notify

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/mec-liveness/mepserver/mp1"
)

// A consumer behind NAT opens a WebSocket, through which it gets what would be POSTed to it
// (MEC 009 v3.1.1 §6.12a). A notification is a text message; its receipt is the pong to a
// ping that is sent behind it. Every client of RFC 6455 answers pings, and frames keep their
// order, so a pong says that the message before it has arrived.

const (
	// idlePing is how long nothing may come from a consumer before it is asked for a pong: a
	// connection that a middlebox forgot is found by nothing else.
	idlePing = 30 * time.Second
	// closeWait is how long the consumer's part of the closing handshake is waited for.
	closeWait = 500 * time.Millisecond
	// mostMessage is how many bytes a message of a consumer may have; it is not looked at.
	mostMessage = 1 << 10
	// What a consumer may send in all, pongs and what frames are made of included: so many
	// bytes a second and so many at once.
	inboundRate, inboundBurst = 4 << 10, 64 << 10
)

// stream is the connection of a consumer that is told through it. Its methods may be called
// from several goroutines.
type stream interface {
	// send sends a notification and waits until the consumer has it. After any other outcome
	// than delivered the stream is of no use any more.
	send(ctx context.Context, d delivery) result
	// close ends the stream in bounded time. A second call waits for the first one.
	close(code websocket.StatusCode, reason string)
}

// webSocket is a stream over a connection that was an HTTP request's.
type webSocket struct {
	conn    *websocket.Conn
	inbound *inbound
	timeout time.Duration // of one notification
	idle    *time.Timer   // asks for a pong
	once    sync.Once     // for close
}

// openWebSocket answers a request for a WebSocket, which was found to be one. Pages of the
// origins may open one, beside those of the server's own. admit is called when nothing else
// speaks against it, and before the consumer hears so; its error is returned as it is, and
// the request is not answered. After errAnswered it is.
func openWebSocket(w http.ResponseWriter, r *http.Request, origins []string, timeout time.Duration, admit func() error) (*webSocket, error) {
	u := &upgrade{ResponseWriter: w, admit: admit}
	header := w.Header().Clone()
	s := &webSocket{timeout: timeout}
	conn, err := websocket.Accept(u, r, &websocket.AcceptOptions{OriginPatterns: originPatterns(origins),
		OnPongReceived: func(context.Context, []byte) { s.idle.Reset(idlePing) }})
	switch {
	case u.refused != nil: // without what the library has written meanwhile
		clear(w.Header())
		maps.Copy(w.Header(), header)
		return nil, u.refused
	case err != nil:
		return nil, errAnswered
	}
	conn.SetReadLimit(mostMessage)
	s.conn, s.inbound = conn, u.inbound
	s.idle = time.AfterFunc(idlePing, s.ping)
	return s, nil
}

// errAnswered says that the library has answered a request for a WebSocket, with what is wrong
// about it.
var errAnswered = errors.New("the request for a WebSocket was refused")

// originPatterns are the patterns that match the origins and nothing else.
func originPatterns(origins []string) (out []string) {
	for _, o := range origins {
		out = append(out, strings.NewReplacer(`[`, `\[`, `]`, `\]`, `*`, `\*`, `?`, `\?`).Replace(o))
	}
	return out
}

// run reads what the consumer sends, which is dropped, until the connection ends. Pongs are
// only seen by whoever reads.
func (s *webSocket) run() {
	defer s.idle.Stop()
	for {
		_, message, err := s.conn.Reader(context.Background())
		if err == nil {
			_, err = io.Copy(io.Discard, message)
		}
		switch {
		case err == nil:
		case errors.Is(err, errFlood):
			s.close(websocket.StatusPolicyViolation, "more was sent than a consumer may send")
			return
		default:
			s.close(websocket.StatusGoingAway, "") // which a connection that has ended does not notice
			return
		}
	}
}

// ping asks for a pong when nothing came for long, and ends the connection if none comes.
func (s *webSocket) ping() {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	if s.conn.Ping(ctx) != nil {
		s.close(mp1.CloseNotAcknowledged, "no pong came in time")
	}
}

// send implements stream.
func (s *webSocket) send(ctx context.Context, d delivery) result {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := s.conn.Write(ctx, websocket.MessageText, d.frame())
	if err == nil {
		err = s.conn.Ping(ctx)
	}
	switch {
	case err == nil:
		return result{}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		go s.close(mp1.CloseNotAcknowledged, "no pong came for a notification; it is sent again")
		return result{outcome: timedOut}
	default:
		go s.close(websocket.StatusGoingAway, "")
		return result{outcome: disconnected}
	}
}

// close implements stream. With a peer that reads nothing the library would wait for longer.
func (s *webSocket) close(code websocket.StatusCode, reason string) {
	s.once.Do(func() {
		s.idle.Stop()
		cut := time.AfterFunc(closeWait, func() { _ = s.inbound.Close() })
		defer cut.Stop()
		_ = s.conn.Close(code, reason)
	})
}

// frame is the delivery as it is sent through a WebSocket: the JSON of the POST, with the
// webhook-id as one more member, for there is no header.
func (d delivery) frame() []byte {
	id, err := json.Marshal(d.id)
	if err != nil { // a string: cannot happen
		id = []byte(`""`)
	}
	body := d.body[: len(d.body)-1 : len(d.body)-1]
	return append(append(append(body, `,"webhookId":`...), id...), '}')
}

// upgrade is the response to a request for a WebSocket. It keeps the connection, of which the
// library shows nothing, and asks admit before the library says that the protocols are
// switched, which it does when it has found nothing wrong.
type upgrade struct {
	http.ResponseWriter
	admit   func() error
	refused error // by admit; nothing of the library's gets through then
	inbound *inbound
}

// WriteHeader implements http.ResponseWriter.
func (u *upgrade) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols {
		u.refused = u.admit()
	}
	if u.refused == nil {
		u.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (u *upgrade) Write(p []byte) (int, error) {
	if u.refused != nil {
		return 0, u.refused
	}
	return u.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController through.
func (u *upgrade) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// Hijack implements http.Hijacker.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if u.refused != nil {
		return nil, nil, u.refused
	}
	c, rw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	u.inbound = &inbound{Conn: c, left: inboundBurst, at: time.Now()}
	return u.inbound, rw, nil
}

// errFlood says that a consumer sent more than inboundRate allows.
var errFlood = errors.New("the consumer sends too much")

// inbound is the connection of a consumer, which is to send little. It counts bytes, and not
// frames or messages, so that nothing gets past it: pings must be answered, and a message may
// have any number of empty frames. Reads do not overlap.
type inbound struct {
	net.Conn
	left float64 // bytes that may come now
	at   time.Time
}

// Read implements net.Conn.
func (c *inbound) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	now := time.Now()
	c.left = min(inboundBurst, c.left+now.Sub(c.at).Seconds()*inboundRate) - float64(n)
	if c.at = now; c.left < 0 {
		return 0, errFlood
	}
	return n, err
}
