package notify

import (
	"compress/gzip"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/test/proxy"
)

// rude is a consumer that does what it likes with each connection after it has read
// the request.
func rude(t *testing.T, do func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				b := make([]byte, 64<<10)
				_, _ = c.Read(b)
				do(c)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// drip writes a text byte by byte, so slowly that a total time must end it.
func drip(c net.Conn, text string) {
	for i := range len(text) {
		if _, err := c.Write([]byte{text[i]}); err != nil {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
}

func say(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

func waits4End(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// The total time of an attempt: short for those that it must end, long for all others,
// for a busy machine is no hostile consumer.
const (
	quick   = 400 * time.Millisecond
	patient = 5 * time.Second
	long    = time.Minute
)

func attemptAt(t *testing.T, url string, timeout time.Duration) result {
	t.Helper()
	return newWebhook(policy{loopback: true}, timeout, "test", nil).post(t.Context(), delivery{id: "sub-1-2", url: url, body: []byte(`{"a":1}`)}, 0)
}

func TestHostileSubscribers(t *testing.T) {
	port, strayed := canary(t, "127.0.0.1:0")
	elsewhere := "http://127.0.0.1:" + port
	ok := "HTTP/1.1 200 OK\r\n"
	var poured atomic.Int64
	pourer := make(chan struct{})
	cases := map[string]struct {
		url  string
		want outcome
	}{
		"hangs":                      {rude(t, waits4End), timedOut},
		"drips its header":           {rude(t, func(c net.Conn) { drip(c, ok+strings.Repeat("X: y\r\n", 50)) }), timedOut},
		"drips its status line":      {rude(t, func(c net.Conn) { drip(c, ok) }), timedOut},
		"drips its body":             {rude(t, func(c net.Conn) { say(ok + "Content-Length: 1000\r\n\r\n")(c); drip(c, strings.Repeat("x", 1000)) }), delivered},
		"refuses":                    {"http://" + proxy.Nobody(t), unreachable},
		"closes early":               {rude(t, func(net.Conn) {}), unreachable},
		"closes within the status":   {rude(t, say("HTTP/1.1 20")), unreachable},
		"closes within the header":   {rude(t, say(ok+"Content-Le")), unreachable},
		"closes within the body":     {rude(t, say(ok+"Content-Length: 100\r\n\r\nabc")), delivered},
		"speaks SSH":                 {rude(t, say("SSH-2.0-OpenSSH_9.6\r\n")), unreachable},
		"speaks nonsense":            {rude(t, say(strings.Repeat("\x00\xff", 1000))), unreachable},
		"has a status of four":       {rude(t, say("HTTP/1.1 2000 OK\r\n\r\n")), unreachable},
		"has a huge header":          {rude(t, say(ok+"X: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")), unreachable},
		"has endless headers":        {rude(t, func(c net.Conn) { say(ok)(c); pour(c, "X: y\r\n") }), unreachable},
		"goes on with 1xx for ever":  {rude(t, func(c net.Conn) { pour(c, "HTTP/1.1 102 Processing\r\n\r\n") }), unreachable},
		"switches protocols":         {rude(t, say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")), failed},
		"pours out a body for ever":  {rude(t, func(c net.Conn) { say(ok + "\r\n")(c); poured.Add(pour(c, strings.Repeat("x", 32<<10))); close(pourer) }), delivered},
		"lies about its length":      {rude(t, say(ok+"Content-Length: 999999999999\r\n\r\n")), delivered},
		"has two lengths":            {rude(t, say(ok+"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab")), unreachable},
		"hangs before the handshake": {strings.Replace(rude(t, waits4End), "http", "https", 1), timedOut},
		"offers a choice":            {status(t, 300, "Location", elsewhere), redirected},
		"moves":                      {status(t, 301, "Location", elsewhere), redirected},
		"is found elsewhere":         {status(t, 302, "Location", elsewhere), redirected},
		"wants a GET elsewhere":      {status(t, 303, "Location", elsewhere), redirected},
		"moves for now":              {status(t, 307, "Location", elsewhere), redirected},
		"moves for good":             {status(t, 308, "Location", elsewhere), redirected},
		"refreshes":                  {status(t, 200, "Refresh", "0; url="+elsewhere), delivered},
		"says not modified":          {status(t, 304), redirected},
		"says no":                    {status(t, 400), refused},
		"does not know us":           {status(t, 401, "WWW-Authenticate", "Basic"), refused},
		"is not there":               {status(t, 404), refused},
		"wants a proxy":              {status(t, 407, "Proxy-Authenticate", "Basic"), refused},
		"has enough":                 {status(t, 429), refused},
		"is gone":                    {status(t, 410), gone},
		"fails":                      {status(t, 500), failed},
		"is not up":                  {status(t, 503), failed},
		"says 999":                   {status(t, 999), failed},
		"says 204":                   {status(t, 204), delivered},
		"says 202":                   {status(t, 202), delivered},
		"says 299":                   {status(t, 299), delivered},
	}
	t.Run("all at once", func(t *testing.T) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				timeout := long
				switch {
				case c.want == timedOut:
					timeout = quick
				case name == "drips its body":
					timeout = patient
				}
				require.Equal(t, c.want.String(), attemptAt(t, c.url, timeout).outcome.String())
			})
		}
	})
	require.Zero(t, strayed.Load(), "nobody is followed elsewhere")
	<-pourer
	require.Less(t, poured.Load(), int64(32<<20), "its connection was closed")
}

// pour writes until the other side has enough.
func pour(c net.Conn, text string) (n int64) {
	for {
		m, err := io.WriteString(c, text)
		n += int64(m)
		if err != nil {
			return n
		}
	}
}

func status(t *testing.T, code int, header ...string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestAGzipBombIsNotUnpacked(t *testing.T) {
	var asked atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Header.Clone())
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		zeros := make([]byte, 1<<20)
		for range 100 {
			_, _ = z.Write(zeros)
		}
		_ = z.Close()
	}))
	defer s.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w := newWebhook(policy{loopback: true}, time.Minute, "test", nil) // packing it takes a while
	require.Equal(t, delivered, w.post(t.Context(), delivery{id: "x", url: s.URL}, 0).outcome)
	runtime.ReadMemStats(&after)
	require.NotContains(t, asked.Load(), "Accept-Encoding", "it was not asked for")
	require.Less(t, after.HeapAlloc, before.HeapAlloc+64<<20)
}

func TestARequestSaysWhatItIs(t *testing.T) {
	var got http.Request
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		got = *r
		w.WriteHeader(http.StatusNoContent)
	}))
	defer s.Close()
	w := newWebhook(policy{loopback: true}, long, "1.2.3", nil)
	r := w.post(t.Context(), delivery{id: "sub-1-2", url: s.URL + "/a/b?c=d", body: []byte(`{"a":1}`)}, 1700000000_999999999)
	require.Equal(t, result{outcome: delivered}, r)
	require.Equal(t, "POST", got.Method)
	require.Equal(t, "/a/b?c=d", got.RequestURI)
	require.Equal(t, "application/json", got.Header.Get("Content-Type"))
	require.Equal(t, "sub-1-2", got.Header.Get("webhook-id"))
	require.Equal(t, "1700000000", got.Header.Get("webhook-timestamp"))
	require.Equal(t, "mepserver/1.2.3", got.Header.Get("User-Agent"))
	require.JSONEq(t, `{"a":1}`, string(body))
	require.True(t, got.Close, "no connection is kept")
}

func TestAnAnswerSaysWhenToComeBack(t *testing.T) {
	require.Equal(t, 3*time.Second, attemptAt(t, status(t, 503, "Retry-After", "3"), long).retryAfter)
}

func TestACertificateThatNobodyVouchesForIsNotTrusted(t *testing.T) {
	for name, c := range map[string]struct {
		setup func(*httptest.Server)
		want  outcome
	}{
		"self-signed": {func(*httptest.Server) {}, untrusted},
		"TLS 1.1": {func(s *httptest.Server) {
			s.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
		}, unreachable},
	} {
		var served atomic.Bool
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Store(true) }))
		s.Config.ErrorLog = quiet()
		c.setup(s)
		s.StartTLS()
		require.Equal(t, c.want.String(), attemptAt(t, s.URL, long).outcome.String(), name)
		require.False(t, served.Load(), name)
		s.Close()
	}
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
