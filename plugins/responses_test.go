package plugins

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
)

// mostUnread is the limit of these tests.
const mostUnread = 16 << 20

// pipes is a listener in memory, so that its time can be a bubble's.
type pipes struct{ conns chan net.Conn }

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { close(p.conns); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// ask sends a request and reads nothing.
func (p pipes) ask(t *testing.T, method, path string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	p.conns <- theirs
	_, err := fmt.Fprintf(ours, "%s %s HTTP/1.1\r\nHost: h\r\n\r\n", method, path)
	require.NoError(t, err)
	return ours
}

func served(t *testing.T, a *Responses, h http.Handler) (pipes, func()) {
	t.Helper()
	p := pipes{make(chan net.Conn)}
	srv := &http.Server{Handler: a.Handler(h), WriteTimeout: responseTimeout, ReadHeaderTimeout: headerTimeout}
	go func() { _ = srv.Serve(p) }()
	return p, func() { _ = srv.Close() }
}

func (rs *Responses) unread() int64 {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.held
}

func value(t *testing.T, c prometheus.Counter) int {
	t.Helper()
	r := prometheus.NewRegistry()
	require.NoError(t, r.Register(c))
	all, err := r.Gather()
	require.NoError(t, err)
	return int(all[0].GetMetric()[0].GetCounter().GetValue())
}

// bulky answers with 4 MiB in one piece, as service-center writes its lists.
var bulky = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(make([]byte, 4<<20))
})

// 150 clients that asked for a list of 2.3 MB and did not read held 330 MB.
func TestUnreadAnswersAreBoundedAndTheirConnectionsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newResponses(mostUnread)
		p, end := served(t, a, bulky)
		defer end()
		var idle []net.Conn
		for range 150 {
			idle = append(idle, p.ask(t, "GET", "/v4/default/registry/microservices"))
		}
		synctest.Wait()
		require.LessOrEqual(t, a.unread(), int64(mostUnread))
		require.Equal(t, 150-mostUnread>>22, value(t, a.refused))
		c := p.ask(t, "GET", "/anything")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		require.Equal(t, 503, res.StatusCode)
		require.Equal(t, "5", res.Header.Get("Retry-After"))
		require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
		_ = res.Body.Close()
		_ = c.Close()
		time.Sleep(stall + time.Second)
		synctest.Wait()
		require.Zero(t, a.unread(), "whoever does not read is cut")
		require.Equal(t, mostUnread>>22, value(t, a.cut))
		c = p.ask(t, "GET", "/anything")
		res, err = http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		require.Equal(t, 200, res.StatusCode)
		n, err := io.Copy(io.Discard, res.Body)
		require.NoError(t, err)
		require.EqualValues(t, 4<<20, n)
		_ = res.Body.Close()
		for _, c := range append(idle, c) {
			_ = c.Close()
		}
	})
}

// The Upgrade header, which anybody can send, must not pass the limit.
func TestOnlyAWatchTakesItsConnectionOver(t *testing.T) {
	for path, want := range map[string]bool{
		mp1.Base + "/applications/a/subscriptions/s/websocket": true, "/mep" + mp1.AppSupportBase + "/applications/a/subscriptions/s/websocket": true,
		mp1.Base + "/applications/a/subscriptions/s": false, mp1.Base + "/applications/a/services/s/websocket": false, mp1.Base + "/services/websocket": false,
		"/v4/default/registry/microservices/x/watcher": true, "/v4/default/registry/microservices/x/listwatcher": true,
		"/v4/default/govern/microservices/watcher": false, "/v4/default/registry/microservices/x/schemas/watcher": false, "/v4/default/registry/microservices/watcher": false,
		"/v4/default/govern/microservices": false, "/mec_service_mgmt/v1/services": false, "/metrics": false, "/watcher": false,
	} {
		r := httptest.NewRequest("GET", path, nil)
		require.False(t, upgrades(r))
		r.Header.Set("Upgrade", "websocket")
		require.Equal(t, want, upgrades(r), path)
	}
}

// A reader may be slow, but not so slow that its answer lasts for ever.
func TestAReaderMustGetOn(t *testing.T) {
	for name, c := range map[string]struct {
		bytes int // each second
		whole bool
	}{"slow": {80 << 10, true}, "too slow": {4 << 10, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newResponses(mostUnread)
				p, end := served(t, a, bulky)
				defer end()
				conn := p.ask(t, "GET", "/")
				n := int64(0)
				for {
					_ = conn.SetReadDeadline(time.Now().Add(15 * time.Second)) // the answer has an end, the connection none
					more, err := io.CopyN(io.Discard, conn, int64(c.bytes))
					if n += more; err != nil || n > 4<<20 {
						break
					}
					time.Sleep(time.Second)
				}
				require.Equal(t, c.whole, n > 4<<20, "%d bytes", n)
				_ = conn.Close()
				synctest.Wait()
				require.Zero(t, a.unread())
			})
		})
	}
}

// Responses of service-center are built as a whole in memory: only a few at a time are.
func TestFewAnswersAreMadeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newResponses(mostUnread)
		var making, most atomic.Int64
		wait := make(chan struct{})
		p, end := served(t, a, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/v4/") {
				most.Store(max(most.Load(), making.Add(1))) // they come one after the other
				<-wait
				making.Add(-1)
			}
			_, _ = w.Write([]byte("ok"))
		}))
		defer end()
		var all []net.Conn
		for range 3 * maxLists {
			all = append(all, p.ask(t, "GET", "/v4/default/registry/microservices"))
			synctest.Wait()
		}
		require.EqualValues(t, maxLists, most.Load())
		beat := p.ask(t, "PATCH", "/x/liveness")
		res, err := http.ReadResponse(bufio.NewReader(beat), nil)
		require.NoError(t, err)
		require.Equal(t, 200, res.StatusCode, "others do not wait")
		_ = res.Body.Close()
		time.Sleep(buildWait)
		synctest.Wait()
		require.Equal(t, 2*maxLists, value(t, a.refused))
		close(wait)
		for _, c := range append(all, beat) {
			_ = c.Close()
		}
	})
}

// A response passes through as its handler wrote it.
func TestAnAnswerIsAsItsHandlerMadeIt(t *testing.T) {
	a := newResponses(mostUnread)
	for name, h := range map[string]http.HandlerFunc{
		"nothing":  func(http.ResponseWriter, *http.Request) {},
		"a status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"the first": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			w.WriteHeader(500)
			_, _ = w.Write([]byte("x"))
		},
		"in pieces": func(w http.ResponseWriter, _ *http.Request) {
			for range 5000 {
				_, _ = w.Write([]byte("0123456789"))
			}
		},
		"large": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			_, _ = w.Write(bytes.Repeat([]byte("ab"), 100000))
		},
		"a response controller": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("a"))
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write([]byte("b"))
		},
	} {
		for _, path := range []string{"/", "/v4/x/registry/microservices", "/metrics"} {
			want, got := httptest.NewRecorder(), httptest.NewRecorder()
			r := httptest.NewRequest("GET", path, nil)
			h(want, r)
			a.Handler(h).ServeHTTP(got, r)
			require.Equal(t, want.Code, got.Code, "%s %s", name, path)
			require.Equal(t, want.Body.Bytes(), got.Body.Bytes(), "%s %s", name, path)
		}
	}
	require.Zero(t, a.unread())
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	a.Handler(promhttp.Handler()).ServeHTTP(w, r)
	require.Equal(t, 200, w.Code)
	require.Equal(t, "gzip", w.Header().Get("Content-Encoding"))
}

// limits.unreadBytes is the bound, and 0 is none.
func TestTheLimitOfUnreadAnswersIsASetting(t *testing.T) {
	for most, fit := range map[conf.Size]int{conf.MiB: 1, 4 * conf.MiB: 4, 0: 100} {
		rs := newResponses(most)
		for i := range 100 {
			_, ok := rs.Reserve(int64(conf.MiB))
			require.Equal(t, i < fit, ok, "%d of %s", i, most)
		}
	}
}
