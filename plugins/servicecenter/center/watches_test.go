package center

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/center/centertest"
)

// openWatch asks for a watch as a WebSocket client does, under a context of the server.
func openWatch(t *testing.T, path string, under func(context.Context) context.Context) (status int, header http.Header, body io.Reader) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		center.Handler().ServeHTTP(w, r.WithContext(under(r.Context())))
	}))
	t.Cleanup(s.Close)
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+registryPath+path, nil)
	require.NoError(t, err)
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	return res.StatusCode, res.Header, res.Body
}

// frame reads a frame that is short and not masked.
func frame(t *testing.T, from io.Reader) (kind byte, payload string) {
	head := make([]byte, 2)
	_, err := io.ReadFull(from, head)
	require.NoError(t, err)
	require.Less(t, head[1], byte(126))
	body := make([]byte, head[1])
	_, err = io.ReadFull(from, body)
	require.NoError(t, err)
	return head[0] & 0x0f, string(body)
}

// A consumer that is told that its service does not exist registers anew.
func TestAWatchIsOpenedOnlyOnceTheStoreHasAnswered(t *testing.T) {
	centertest.DrivesControllers(t)
	status, _, b := web.Send(t, "POST", registryPath+"microservices", `{"service":{"serviceId":"watches","appId":"watches","serviceName":"watches","version":"1.0.0"}}`)
	require.Equal(t, http.StatusOK, status, b)
	hung := func(ctx context.Context) context.Context {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return ctx
	}
	well := func(ctx context.Context) context.Context { return ctx }
	for _, route := range []string{"/watcher", "/listwatcher"} {
		forgetReads()
		status, header, body := openWatch(t, "microservices/watches"+route, hung)
		text, err := io.ReadAll(body)
		require.NoError(t, err)
		require.Equal(t, http.StatusServiceUnavailable, status, "%s: %s", route, text)
		require.Equal(t, "1", header.Get("Retry-After"))
		require.Contains(t, string(text), `"errorCode":"500011"`)
		forgetReads()
		status, _, _ = openWatch(t, "microservices/watches"+route, well)
		require.Equal(t, http.StatusSwitchingProtocols, status, route)
		status, _, body = openWatch(t, "microservices/nobody"+route, well)
		require.Equal(t, http.StatusSwitchingProtocols, status, route)
		_, said := frame(t, body)
		require.Contains(t, said, "not exist", "of what is not there that is true")
	}
}

// hijacker gives its connection away.
type hijacker struct {
	http.ResponseWriter
	conn net.Conn
}

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.conn, nil, nil }

// While a watch is open its service is looked for every 30 s, and so are the instances that a listwatch
// begins with: what is made of a read that was not answered is not told.
func TestAWatchEndsWhenTheStoreDoesNotAnswer(t *testing.T) {
	ours, theirs := net.Pipe()
	require.NoError(t, theirs.SetReadDeadline(time.Now().Add(time.Minute))) // else a defect is found by the end of all tests
	call, r := newCall(httptest.NewRequest("GET", registryPath+"microservices/watches/watcher", nil))
	conn, _, err := http.NewResponseController(&refusalWriter{ResponseWriter: hijacker{httptest.NewRecorder(), ours}, call: call}).Hijack()
	require.NoError(t, err)
	go func() { _, _ = conn.Write([]byte("\x81\x02ok")) }()
	kind, text := frame(t, theirs)
	require.Equal(t, byte(1), kind)
	require.Equal(t, "ok", text, "what was answered is told")
	go func() {
		unanswered(r.Context())
		unanswered(r.Context())
		_, _ = conn.Write([]byte("\x81\x17Service does not exit."))
	}()
	kind, text = frame(t, theirs)
	require.Equal(t, byte(8), kind)
	require.Equal(t, "\x03\xf5"+endingReason, text)
	_, err = theirs.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}
