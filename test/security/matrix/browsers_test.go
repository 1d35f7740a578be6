package matrix

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

// TestAWebPageGetsNothingFromLoopback attacks a server without any configuration, as a page in
// a browser on the same machine could.
func TestAWebPageGetsNothingFromLoopback(t *testing.T) {
	t.Parallel()
	s := mep.Start(t)
	v := s.Register("app", "theirs", 300)
	own := "PATCH " + v.Liveness
	for _, request := range []string{own, "GET " + mp1.Base + "/services", "DELETE " + v.Location, "GET /v4/default/registry/microservices", "GET /metrics", "GET /health", "POST /v4/default/registry/microservices"} {
		for _, host := range []string{"evil.example", "evil.example:" + port(t, s.Listen), "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.1"} {
			require.Equal(t, 421, page(t, s, request, host), "%s at %s", request, host)
		}
		cross := []string{"Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Content-Type: text/plain"}
		if request[:3] != "GET" {
			require.Equal(t, 403, page(t, s, request, s.Listen, cross...), request)
			require.Equal(t, 403, page(t, s, request, "localhost", cross[0]), "%s by an old browser", request)
		}
	}
	for _, path := range []string{v.Liveness, "/v4/default/registry/microservices", "/metrics"} {
		a := s.Do("OPTIONS", path, "", "Origin", "http://evil.example", "Access-Control-Request-Method", "PATCH")
		require.GreaterOrEqual(t, a.Status, 400, path)
		a2 := s.Do("GET", path, "", "Origin", "http://evil.example")
		for _, h := range []http.Header{a.Header, a2.Header} {
			require.Empty(t, h.Get("Access-Control-Allow-Origin"), path)
		}
	}
	watch := "GET /v4/default/registry/microservices/" + v.ID[:32] + "/watcher"
	upgrade := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	require.Equal(t, 403, page(t, s, watch, s.Listen, append(upgrade, "Origin: http://evil.example")...))
	require.Equal(t, 101, page(t, s, watch, s.Listen, upgrade...))
	require.Equal(t, 204, page(t, s, own, "localhost:"+port(t, s.Listen), "Content-Type: application/json"), "it is still there, and its own agent beats")
}

// TestAConfiguredOriginReadsWhatAClientMust: Location, ETag and Retry-After.
func TestAConfiguredOriginReadsWhatAClientMust(t *testing.T) {
	t.Parallel()
	const origin = "https://console.example"
	s := mep.Start(t, "MEP_SERVER_ORIGINS="+origin)
	v := s.Register("app", "theirs", 300)
	a := s.Want(204, "OPTIONS", v.Liveness, "", "Origin", origin, "Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "content-type,if-match")
	require.Equal(t, origin, a.Header.Get("Access-Control-Allow-Origin"))
	require.Contains(t, a.Header.Get("Access-Control-Allow-Methods"), "PATCH")
	for _, path := range []string{v.Location, mp1.Base + "/services/nothing", "/v4/default/registry/microservices"} {
		a = s.Do("GET", path, "", "Origin", origin)
		require.Equal(t, origin, a.Header.Get("Access-Control-Allow-Origin"), path)
		require.Equal(t, "Location, ETag, Retry-After", a.Header.Get("Access-Control-Expose-Headers"), path)
		require.Contains(t, a.Header.Values("Vary"), "Origin", path)
		require.Empty(t, a.Header.Get("Access-Control-Allow-Credentials"), path)
		require.Empty(t, s.Do("GET", path, "", "Origin", "https://evil.example").Header.Get("Access-Control-Allow-Origin"), path)
	}
	require.Equal(t, 204, s.Do("PATCH", v.Liveness, mep.Alive, "Origin", origin, "Sec-Fetch-Site", "cross-site").Status)
	require.Equal(t, 403, s.Do("PATCH", v.Liveness, mep.Alive, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site").Status)
}

func port(t *testing.T, listen string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(listen)
	require.NoError(t, err)
	return port
}

// page sends a request as a browser does, with the Host of the page's own origin.
func page(t *testing.T, s *mep.Server, request, host string, header ...string) int {
	t.Helper()
	c, err := net.Dial("tcp", s.Listen)
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	text := request + " HTTP/1.1\r\nHost: " + host + "\r\n"
	for _, h := range header {
		text += h + "\r\n"
	}
	if request[:3] != "GET" {
		text += fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(mep.Alive), mep.Alive)
	}
	_, err = c.Write([]byte(text + "\r\n"))
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	_ = res.Body.Close()
	return res.StatusCode
}
