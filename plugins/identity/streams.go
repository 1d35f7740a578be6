package identity

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// streamCheck is how often it is looked whether who opened a stream still may. With the time
// that a replica needs to hear of it, a token ends within two seconds after its credential.
const streamCheck = time.Second / 2

// streams are connections that a handler took over, which ServiceComb's watches and WebSockets do,
// and responses that go on until somebody ends them, which event streams are. They would outlive
// the token or certificate that opened them: a request is asked once who calls, but a stream shows
// what happens for hours. There are no more than connections.
type streams struct {
	valid func(*http.Request) bool // whether what a request presented is valid now

	mu   sync.Mutex
	open map[*stream]struct{}
}

// stream is what one request has opened.
type stream struct {
	request *http.Request
	end     func()
}

// begin takes one in.
func (s *streams) begin(r *http.Request, end func()) *stream {
	one := &stream{r, end}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*stream]struct{}{}
	}
	s.open[one] = struct{}{}
	return one
}

// ended forgets one.
func (s *streams) ended(one *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, one)
}

// taken is a connection that a handler took over, until either side closes it.
type taken struct {
	net.Conn
	of     *streams
	stream *stream
}

// Close implements net.Conn.
func (c *taken) Close() error {
	c.of.ended(c.stream)
	return c.Conn.Close()
}

// hijacker is the response to a request that asks for a stream.
type hijacker struct {
	http.ResponseWriter
	of      *streams
	request *http.Request
}

// Unwrap lets http.ResponseController through.
func (h *hijacker) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	t := &taken{Conn: c, of: h.of}
	t.stream = h.of.begin(h.request, func() { _ = t.Close() })
	return t, rw, nil
}

// watch is the response to a request that may become a stream.
func (s *streams) watch(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	return &hijacker{w, s, kept(r)}
}

// kept is a request as it was, after it was answered.
func kept(r *http.Request) *http.Request { return r.Clone(context.WithoutCancel(r.Context())) }

// serve has next answer a request whose response goes on until somebody ends it. Its context ends
// with what opened it.
func (s *streams) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	ctx, end := context.WithCancel(r.Context())
	defer end()
	one := s.begin(kept(r), end)
	defer s.ended(one)
	next.ServeHTTP(w, r.WithContext(ctx))
}

// run closes the streams of those who may no longer have them, until ctx ends.
func (s *streams) run(ctx context.Context) {
	t := time.NewTicker(streamCheck)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			s.check()
		}
	}
}

func (s *streams) check() {
	s.mu.Lock()
	all := make([]*stream, 0, len(s.open))
	for one := range s.open {
		all = append(all, one)
	}
	s.mu.Unlock()
	for _, one := range all {
		if !s.valid(one.request) {
			go one.end() // with TLS, to close waits for a client that reads nothing
		}
	}
}

// count is how many there are.
func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}
