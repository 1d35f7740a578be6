package plugins

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// bodyGrace is how long a response that was decided without the body waits for it, so
	// that a client whose body is on its way keeps its connection.
	bodyGrace = 50 * time.Millisecond
	// lingerRead is how long a connection that ends is still read from. If it were closed
	// while the client sends, the client's system would drop the response unread.
	lingerRead = 500 * time.Millisecond
	// maxDiscarded is how much of an unread body is read to keep a connection, as in net/http.
	maxDiscarded = 256 << 10
)

// bodies has responses sent as soon as they are decided. net/http by itself waits for the
// rest of a body that the handler did not read before it sends anything: a client that
// withholds its body until it gets 100 Continue, or sends it slowly or never, would get
// nothing for ten seconds although its response is there. And what the client sends then
// must never be taken for its next request.
type bodies struct {
	unread prometheus.Counter
}

func newBodies() *bodies {
	return &bodies{unread: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mep_bodies_left_total", Help: "Answers sent although the body of their request had not come; their connections are closed.",
	})}
}

// register adds the metric; the returned function takes it away.
func (b *bodies) register() func(context.Context) error {
	var cs Collectors
	cs.Add(b.unread)
	return cs.Unregister
}

// Handler is next with responses that wait for no body. next gets a copy of the request:
// handlers replace the body, and net/http needs the type of its own when it ends the
// connection.
func (b *bodies) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 || r.ProtoMajor != 1 { // HTTP/2 does not wait
			next.ServeHTTP(w, r)
			return
		}
		e := &exchange{ResponseWriter: w, bodies: b, request: *r}
		e.body.ReadCloser = r.Body
		e.request.Body = &e.body
		next.ServeHTTP(e, &e.request)
		e.decide()
		if e.unread { // net/http reads on before it closes the connection
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerRead)) // what cannot has no connection
		}
	})
}

// exchange is a request with a body and the writer of its response, in one allocation.
type exchange struct {
	http.ResponseWriter
	bodies  *bodies
	request http.Request
	body    requestBody
	decided bool
	unread  bool // the body was not awaited
}

// requestBody is a body that knows how far it was read.
type requestBody struct {
	io.ReadCloser
	begun  bool // reading has begun: a client that waited for 100 Continue has got it
	ended  bool
	failed bool // no more of it comes
}

// Read implements io.Reader.
func (i *requestBody) Read(p []byte) (int, error) {
	i.begun = true
	n, err := i.ReadCloser.Read(p)
	i.ended = err == io.EOF //nolint:errorlint // it is compared as io.Reader returns it
	i.failed = err != nil && !i.ended
	return n, err
}

// Unwrap lets http.ResponseController through.
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (e *exchange) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		e.decide()
	}
	e.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (e *exchange) Write(p []byte) (int, error) {
	e.decide()
	return e.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (e *exchange) Flush() { _ = e.FlushError() }

// FlushError is what http.ResponseController calls.
func (e *exchange) FlushError() error {
	e.decide()
	return http.NewResponseController(e.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker: what was not read belongs to whoever takes over.
func (e *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	e.decided = true
	return http.NewResponseController(e.ResponseWriter).Hijack()
}

// decide is called before the status of the response is written. If the body was not read
// to its end, and the rest is not here, the response says that the connection ends: net/http
// then neither waits for the body nor takes what comes of it for a request.
func (e *exchange) decide() {
	if e.decided {
		return
	}
	e.decided = true
	if e.body.ended {
		return
	}
	withheld := !e.body.begun && e.request.Header.Get("Expect") != ""
	if !withheld && !e.body.failed && e.Header().Get("Connection") != "close" && e.discardRest() {
		return
	}
	e.unread = true
	e.bodies.unread.Inc()
	e.Header().Set("Connection", "close")
}

// discardRest reads the rest of the body if it is here. It must not be called while the client
// waits for 100 Continue, for reading sends that.
func (e *exchange) discardRest() (ended bool) {
	control := http.NewResponseController(e.ResponseWriter)
	if control.SetReadDeadline(time.Now().Add(bodyGrace)) != nil {
		return false
	}
	_, err := io.CopyN(io.Discard, &e.body, maxDiscarded)
	return err == io.EOF //nolint:errorlint // it is compared as io.Reader returns it; net/http ends the deadline then
}
