package plugins

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// gate is a server with a small number of connections, whose clock a test moves.
type gate struct {
	*connections
	t       *testing.T
	release chan struct{} // lets "/wait" be answered
}

func newGate(t *testing.T, most int) *gate {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := &gate{newConnections(l, most, nil), t, make(chan struct{})}
	srv := &http.Server{ReadHeaderTimeout: time.Minute, ConnState: g.state, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/wait":
			<-g.release
		case "/watch":
			_, _, err := http.NewResponseController(w).Hijack()
			assert.NoError(t, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})}
	go func() { _ = srv.Serve(g) }()
	t.Cleanup(func() { close(g.release); _ = srv.Close() })
	return g
}

// dial opens a connection, sends text and waits until the server has seen what it does.
func (g *gate) dial(text string, doing int64) net.Conn {
	g.t.Helper()
	c, err := new(net.Dialer).DialContext(g.t.Context(), "tcp", g.Addr().String())
	require.NoError(g.t, err)
	g.t.Cleanup(func() { _ = c.Close() })
	_, err = io.WriteString(c, text)
	require.NoError(g.t, err)
	require.Eventually(g.t, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		for one := range g.all {
			if one.RemoteAddr().String() == c.LocalAddr().String() {
				return one.doing.Load()&3 == doing
			}
		}
		return false
	}, 10*time.Second, time.Millisecond)
	return c
}

const beatText = "PATCH /beat HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"

// answered sends a request on a connection, or a new one, and gives the status; 0: it is
// closed.
func (g *gate) answered(c net.Conn) int {
	g.t.Helper()
	if c == nil {
		var err error
		c, err = new(net.Dialer).DialContext(g.t.Context(), "tcp", g.Addr().String())
		require.NoError(g.t, err)
		defer func() { _ = c.Close() }()
	}
	require.NoError(g.t, c.SetDeadline(time.Now().Add(10*time.Second)))
	_, _ = io.WriteString(c, beatText)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	if res.StatusCode == 503 {
		require.Equal(g.t, "1", res.Header.Get("Retry-After"))
	}
	return res.StatusCode
}

func (g *gate) pass(d time.Duration) { g.clock.Add(int64(d / tick)) }

// Connections that somebody leaves open must not keep the heartbeats of others out.
func TestThereIsRoomForAHeartbeatWhateverIsOpen(t *testing.T) {
	const most = 20
	for name, c := range map[string]struct {
		text  string
		doing int64
		after time.Duration
	}{
		"silent":   {"", silent, newSilence},
		"a header": {"GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ", silent, newSilence},
		"idle":     {beatText, idle, 0},
		"hanging":  {"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n", busy, busySilence},
		"a watch":  {"GET /watch HTTP/1.1\r\nHost: h\r\n\r\n", hijacked, busySilence},
		"a body":   {"POST /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n1", busy, busySilence},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, most)
			for range most {
				g.dial(c.text, c.doing)
			}
			if c.after > 0 {
				require.Equal(t, 503, g.answered(nil), "at first nobody is thrown out, and whoever comes is told so at once")
				g.pass(c.after)
			}
			for range 3 * most {
				require.Equal(t, 204, g.answered(nil))
				require.LessOrEqual(t, g.open.Load(), int64(most))
			}
		})
	}
}

func TestTheLongestIdleMakesRoomFirst(t *testing.T) {
	g := newGate(t, 10)
	// The client has its answer before the server calls the connection idle.
	idleSince := func(c net.Conn) {
		require.Equal(t, 204, g.answered(c))
		require.Eventually(t, func() bool { return g.doing() == 0 }, 10*time.Second, time.Millisecond)
	}
	var all []net.Conn
	for range 10 {
		c := g.dial("", silent)
		idleSince(c)
		g.pass(time.Second)
		all = append(all, c)
	}
	idleSince(all[0]) // which makes it the newest
	g.dial("", silent)
	require.Zero(t, g.answered(all[1]), "it was closed")
	for _, c := range append(all[2:], all[0]) {
		require.Equal(t, 204, g.answered(c))
	}
}

// doing is how many are busy.
func (g *gate) doing() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.all {
		if c.doing.Load()&3 == busy {
			n++
		}
	}
	return n
}

// fakeConn has an address and nothing else.
type fakeConn struct {
	net.Conn
	from string
}

func (f fakeConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(f.from), Port: 1} }
func (f fakeConn) Close() error         { return nil }

// Connections of the peer with the most are closed; the few of the others stay, whatever they
// do.
func TestWhoeverHasTheMostMakesRoom(t *testing.T) {
	c := newConnections(nil, 100, nil)
	var few []*connection
	for i := range 8 {
		one := c.track(fakeConn{from: "10.0.0.1"})
		one.set([]int{idle, busy}[i%2])
		few = append(few, one)
	}
	c.clock.Add(int64(time.Hour / tick)) // they are the oldest by far
	for range 92 {
		c.track(fakeConn{from: "10.6.6.6"}).set(busy)
	}
	require.True(t, c.evict(), "idle ones of the others, if there is nothing else")
	c.clock.Add(int64(busySilence / tick))
	for range 50 {
		require.True(t, c.evict())
		c.track(fakeConn{from: "10.6.6.6"}).set(idle)
	}
	left := 0
	for _, one := range few {
		if _, open := c.all[one]; open {
			left++
		}
	}
	require.Equal(t, 7, left)
	require.EqualValues(t, 99, c.open.Load())
}

// A victim that does something else by the time it would be closed stays open.
func TestWhoeverGoesOnIsNotClosed(t *testing.T) {
	c := newConnections(nil, 4, nil)
	var all []*connection
	for i := range 4 {
		one := c.track(fakeConn{from: fmt.Sprint("10.0.0.", i)})
		one.set(idle)
		all = append(all, one)
		c.clock.Add(1)
	}
	c.chooseVictims()
	all[0].set(busy)
	require.True(t, c.evict())
	require.Contains(t, c.all, all[0])
	require.NotContains(t, c.all, all[1])
}

// Behind a gateway, and on loopback, all have one address: the identity that has the most
// connections makes room, and the others keep theirs.
func TestTheIdentityWithTheMostConnectionsMakesRoom(t *testing.T) {
	const most = 20
	g := newGate(t, most)
	own := func(c net.Conn, by *Caller) {
		g.mu.Lock()
		defer g.mu.Unlock()
		for one := range g.all {
			if one.RemoteAddr().String() == c.LocalAddr().String() {
				r := httptest.NewRequest("GET", "/", nil)
				r = r.WithContext(WithCaller(context.WithValue(r.Context(), connectionKey{}, one), by))
				ownConnections(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
			}
		}
	}
	var quiet []net.Conn
	for i := range 3 { // the longest idle, which by its address alone would be closed first
		quiet = append(quiet, g.dial(beatText, idle))
		own(quiet[i], &Caller{Name: fmt.Sprint("quiet", i)})
	}
	g.pass(time.Minute)
	for range most - 3 {
		own(g.dial(beatText, idle), &Caller{Name: "greedy"}) // a token of its own for each
	}
	for range most / 2 {
		require.Equal(t, 204, g.answered(nil))
	}
	for i, c := range quiet {
		res, err := http.ReadResponse(bufio.NewReader(c), nil) // what was asked for before
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 204, g.answered(c), "%d was closed for another identity", i)
	}
}

func TestAHostOfIPv6IsOnePeer(t *testing.T) {
	peer := func(ip string) string { return peerOf(fakeConn{from: ip}.RemoteAddr()) }
	require.Equal(t, peer("2001:db8::1"), peer("2001:db8::ffff:2"))
	require.NotEqual(t, peer("2001:db8::1"), peer("2001:db8:0:1::1"))
	require.Equal(t, "10.0.0.1", peer("::ffff:10.0.0.1"))
	require.NotEqual(t, peer("10.0.0.1"), peer("10.0.0.2"))
	require.Empty(t, peerOf(&net.UnixAddr{Name: "x"}))
}
