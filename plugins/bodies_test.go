package plugins

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// wire is our HTTP server over pipes, with resources that read their body or do not.
type wire struct {
	t     *testing.T
	pipes pipes
	seen  atomic.Int32 // requests for /secret
	conf  conf.Config
}

func inBubble(t *testing.T, run func(w *wire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{t: t, pipes: pipes{make(chan net.Conn)}, conf: conf.Default()}
		mux := http.NewServeMux()
		mux.HandleFunc("/none", func(w http.ResponseWriter, _ *http.Request) {
			server.Refuse(w, http.StatusNotFound, "There is none.", 0)
		})
		mux.HandleFunc("/reads", func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 1<<20) // as service-center puts another in its place
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				server.Refuse(w, http.StatusBadRequest, "It could not be read to its end.", 0)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})
		mux.HandleFunc("/begins", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadFull(r.Body, make([]byte, 2))
			server.Refuse(w, http.StatusRequestEntityTooLarge, "Two bytes are too many.", 0)
		})
		mux.HandleFunc("/silent", func(http.ResponseWriter, *http.Request) {})
		mux.HandleFunc("/flushes", func(w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).Flush() })
		mux.HandleFunc("/long", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			time.Sleep(time.Second)
			assert.NoError(t, r.Context().Err(), "the client is still there")
		})
		mux.HandleFunc("/taken", func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if assert.NoError(t, err) {
				_, _ = io.WriteString(c, "HTTP/1.1 299 Taken\r\nContent-Length: 0\r\n\r\n")
				_ = c.Close()
			}
		})
		mux.HandleFunc("/secret", func(http.ResponseWriter, *http.Request) { w.seen.Add(1) })
		srv := newServer(&Host{Config: w.conf}, newBodies().Handler(mux))
		go func() { _ = srv.Serve(w.pipes) }()
		defer func() { _ = srv.Close() }()
		run(w)
	})
}

// client is one connection.
type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (w *wire) dial() *client {
	ours, theirs := net.Pipe()
	w.pipes.conns <- theirs
	w.t.Cleanup(func() { _ = ours.Close() })
	return &client{ours, w.t, bufio.NewReader(ours)}
}

// ask sends text and reads an answer; 0: the connection ended.
func (c *client) ask(text string) (status int, closes bool, took time.Duration) {
	c.t.Helper()
	began := time.Now()
	go func() { _, _ = io.WriteString(c, text) }()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, true, time.Since(began)
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	require.NoError(c.t, err)
	return res.StatusCode, res.Close, time.Since(began)
}

// ends waits for the end of the connection, and gives how long that took.
func (c *client) ends() time.Duration {
	c.t.Helper()
	began := time.Now()
	b, err := io.ReadAll(c.r)
	require.NoError(c.t, err)
	require.Empty(c.t, string(b), "nothing more was answered")
	return time.Since(began)
}

const (
	beatBody = `{"state":"ACTIVE"}`
	length   = "Content-Length: 18\r\n"
	expects  = "Expect: 100-continue\r\n"
	chunked  = "Transfer-Encoding: chunked\r\n"
	smuggled = "GET /secret HTTP/1.1\r\nHost: h\r\n\r\n"
)

func head(path string, more ...string) string {
	return "PATCH " + path + " HTTP/1.1\r\nHost: h\r\n" + strings.Join(more, "") + "\r\n"
}

// By itself net/http waits ten seconds, the time that a body has, before it sends these.
func TestAnAnswerDecidedWithoutTheBodyIsSentAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		status int
		took   time.Duration
	}{
		"withheld":                       {head("/none", length, expects), 404, 0},
		"withheld, chunked":              {head("/none", chunked, expects), 404, 0},
		"withheld, large":                {head("/none", "Content-Length: 1000000000000\r\n", expects), 404, 0},
		"withheld, without a word":       {head("/silent", length, expects), 200, 0},
		"withheld, flushed":              {head("/flushes", length, expects), 200, 0},
		"withheld, in HTTP/1.0":          {strings.Replace(head("/none", length, expects), "1.1", "1.0", 1), 404, 0},
		"declared":                       {head("/none", length), 404, bodyGrace},
		"declared, large":                {head("/none", "Content-Length: 1000000000000\r\n"), 404, bodyGrace},
		"declared, without a word":       {head("/silent", length), 200, bodyGrace},
		"slow":                           {head("/none", length) + "{", 404, bodyGrace},
		"slow, chunked":                  {head("/none", chunked) + "1\r\n{\r\n", 404, bodyGrace},
		"slow, too large when it begins": {head("/begins", length) + "{}", 413, bodyGrace},
		"withheld, too large at all":     {head("/begins", length, expects), 100, 0},
		"OPTIONS *":                      {strings.Replace(head("*", length), "PATCH", "OPTIONS", 1), 400, 0},
	} {
		inBubble(t, func(w *wire) {
			conn := w.dial()
			status, closes, took := conn.ask(c.text)
			require.Equal(t, c.status, status, name)
			require.Equal(t, c.took, took, name)
			if status == http.StatusContinue {
				status, closes, took = conn.ask("{}")
				require.Equal(t, 413, status, name)
				require.Equal(t, bodyGrace, took, name)
			}
			require.True(t, closes, "%s: the client is told that the rest is not awaited", name)
			require.LessOrEqual(t, conn.ends(), lingerRead, name)
		})
	}
}

// What comes of a body that was given up must not be taken for a request: behind a proxy
// it would be another client's.
func TestTheRestOfABodyIsNeverARequest(t *testing.T) {
	for name, begin := range map[string]string{
		"withheld": head("/none", "Content-Length: 100\r\n", expects), "declared": head("/none", "Content-Length: 100\r\n"), "slow": head("/none", "Content-Length: 100\r\n") + "{",
		"chunked": head("/none", chunked) + "1\r\n{\r\n", "read in vain": head("/reads", "Content-Length: 100\r\n") + "{", "begun": head("/begins", "Content-Length: 100\r\n") + "{}",
	} {
		for _, wait := range []time.Duration{0, lingerRead / 2, 2 * lingerRead, 11 * time.Second} {
			inBubble(t, func(w *wire) {
				conn := w.dial()
				status, closes, _ := conn.ask(begin)
				require.GreaterOrEqual(t, status, 400, name)
				require.True(t, closes, name)
				time.Sleep(wait)
				go func() { _, _ = io.WriteString(conn, smuggled) }()
				conn.ends()
				require.Zero(t, w.seen.Load(), "%s, after %v", name, wait)
			})
		}
	}
}

func TestABodyThatIsThereKeepsItsConnection(t *testing.T) {
	for name, path := range map[string]string{"read": "/reads", "not read": "/none", "read in part": "/begins", "without a word": "/silent"} {
		for how, text := range map[string]string{"at once": length, "chunked": chunked, "promised": expects + length} {
			inBubble(t, func(w *wire) {
				conn := w.dial()
				body := beatBody
				if how == "chunked" {
					body = "12\r\n" + beatBody + "\r\n0\r\n\r\n"
				}
				if how == "promised" {
					if path == "/none" || path == "/silent" {
						return // it is not asked for
					}
					status, _, took := conn.ask(head(path, text))
					require.Equal(t, http.StatusContinue, status)
					require.Zero(t, took)
					text, body = "", beatBody
				} else {
					text = head(path, text)
				}
				status, closes, took := conn.ask(text + body)
				require.NotZero(t, status, "%s, %s", name, how)
				require.False(t, closes, "%s, %s", name, how)
				require.Zero(t, took, "%s, %s", name, how)
				status, _, _ = conn.ask(head("/reads", length) + beatBody)
				require.Equal(t, 204, status, "%s, %s: the next request", name, how)
			})
		}
	}
	inBubble(t, func(w *wire) { // in a packet of its own, which comes a little later
		conn := w.dial()
		go func() {
			time.Sleep(bodyGrace - time.Millisecond)
			_, _ = io.WriteString(conn, beatBody)
		}()
		status, closes, _ := conn.ask(head("/none", length))
		require.Equal(t, 404, status)
		require.False(t, closes)
		time.Sleep(11 * time.Second) // no time of the body's is left over
		status, _, _ = conn.ask(head("/reads", length) + beatBody)
		require.Equal(t, 204, status)
		status, _, _ = conn.ask(head("/long", length) + beatBody)
		require.Equal(t, 202, status)
		status, _, _ = w.dial().ask(head("/taken", length))
		require.Equal(t, 299, status, "what takes the connection over takes the body, too")
	})
}

// A client that beats once in the longest interval, on one connection, must not meet a
// closed one; a body still has its ten seconds.
func TestAConnectionOutlivesTheLongestInterval(t *testing.T) {
	for longest, least := range map[time.Duration]time.Duration{time.Second: 90 * time.Second, time.Minute: 105 * time.Second, 300 * time.Second: 405 * time.Second, time.Hour: 75*time.Minute + 30*time.Second} {
		require.Equal(t, least, idleTimeout(longest), "%v", longest)
	}
	inBubble(t, func(w *wire) {
		conn := w.dial()
		longest := w.conf.Liveness.MaxInterval
		for range 4 {
			status, closes, took := conn.ask(head("/reads", length) + beatBody)
			require.Equal(t, 204, status)
			require.False(t, closes)
			require.Zero(t, took)
			time.Sleep(longest + 20*time.Second) // and it is late
		}
		status, _, took := conn.ask(head("/reads", length) + "{")
		require.Equal(t, 400, status)
		require.Equal(t, bodyTimeout, took, "counted from the request, not from the one before")
	})
	inBubble(t, func(w *wire) {
		conn := w.dial()
		_, _, _ = conn.ask(head("/reads", length) + beatBody)
		require.Equal(t, idleTimeout(w.conf.Liveness.MaxInterval), conn.ends(), "but it is let go in the end")
	})
}

// A heartbeat costs one allocation more.
func TestABodyThatIsReadCostsNearlyNothing(t *testing.T) {
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b [64]byte
		for {
			if _, err := r.Body.Read(b[:]); err != nil {
				break
			}
		}
		w.WriteHeader(http.StatusNoContent)
	})
	body := strings.NewReader("")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, "/", io.NopCloser(body))
	require.NoError(t, err)
	r.ContentLength, r.ProtoMajor = int64(len(beatBody)), 1
	quiet := &quietWriter{}
	allocs := func(h http.Handler) float64 {
		return testing.AllocsPerRun(1000, func() { body.Reset(beatBody); h.ServeHTTP(quiet, r) })
	}
	bare := allocs(next)
	require.LessOrEqual(t, allocs(newBodies().Handler(next)), bare+1)
	r.ContentLength = 0
	require.Equal(t, bare, allocs(newBodies().Handler(next)), "what has no body goes straight through") //nolint:testifylint // whole numbers
}

type quietWriter struct{}

func (quietWriter) Header() http.Header         { return nil }
func (quietWriter) WriteHeader(int)             {}
func (quietWriter) Write(p []byte) (int, error) { return len(p), nil }
