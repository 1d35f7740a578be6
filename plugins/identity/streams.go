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

// streams are connections that a handler took over, which ServiceComb's watches do. They
// would outlive the token or certificate that opened them: a request is asked once who
// calls, but a stream shows what happens for hours. There are no more than connections.
type streams struct {
	valid func(*http.Request) bool // whether what a request presented is valid now

	mu   sync.Mutex
	open map[*stream]struct{}
}

// stream is the connection of one, which ends when either side closes it.
type stream struct {
	net.Conn
	of      *streams
	request *http.Request
}

// Close implements net.Conn.
func (s *stream) Close() error {
	s.of.mu.Lock()
	delete(s.of.open, s)
	s.of.mu.Unlock()
	return s.Conn.Close()
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
	s := &stream{Conn: c, of: h.of, request: h.request}
	h.of.mu.Lock()
	if h.of.open == nil {
		h.of.open = map[*stream]struct{}{}
	}
	h.of.open[s] = struct{}{}
	h.of.mu.Unlock()
	return s, rw, nil
}

// watch is the response to a request that may become a stream.
func (s *streams) watch(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	return &hijacker{w, s, r.Clone(context.WithoutCancel(r.Context()))}
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
			go func() { _ = one.Close() }() // with TLS it waits for a client that reads nothing
		}
	}
}

// count is how many there are.
func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}
