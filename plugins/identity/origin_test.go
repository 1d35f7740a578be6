package identity

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
)

var loopback = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8081}

// ask sends a request through the guard of a configuration; header are pairs.
func ask(c conf.Server, at net.Addr, method, host string, header ...string) (w *httptest.ResponseRecorder, reached bool) {
	h := newOrigins(c, at, false).guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached = true
		w.Header().Set("ETag", `"1"`)
		w.WriteHeader(http.StatusTeapot)
	}))
	r := httptest.NewRequest(method, "/", nil)
	r.Host = host
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w, reached
}

// TestANameThatIsReboundToLoopbackIsRefused (DNS rebinding).
func TestANameThatIsReboundToLoopbackIsRefused(t *testing.T) {
	c := conf.Server{Advertise: "mep.example:8081"}
	for _, host := range []string{"127.0.0.1:8081", "127.0.0.1", "127.9.9.9:1", "localhost", "LocalHost:8081", "[::1]:8081", "[::1]", "[::ffff:127.0.0.1]:1",
		"mep.example", "MEP.example:8081", "localhost:0"} {
		w, reached := ask(c, loopback, "GET", host)
		require.True(t, reached, "%s: %d", host, w.Code)
	}
	for _, host := range []string{"", "evil.example", "evil.example:8081", "localhost.evil.example", "evil-localhost", "127.0.0.1.evil.example", "127.0.0.1.nip.io:8081",
		"mep.example.evil", "0.0.0.0:8081", "192.0.2.1", "[::]:8081", "[fe80::1%25lo]:1", "localhost:80:80", "user@localhost", "localhost,evil", "127.1", "2130706433", "0x7f.1", " localhost", "localhost ", ":8081"} {
		for _, method := range []string{"GET", "PATCH", "OPTIONS"} {
			w, reached := ask(c, loopback, method, host)
			require.False(t, reached, host)
			require.Equal(t, http.StatusMisdirectedRequest, w.Code, host)
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			if host != "" && len(host) > 9 {
				require.NotContains(t, strings.Replace(w.Body.String(), " localhost,", "", 1), host, "no echo")
			}
		}
	}
	_, reached := ask(conf.Server{}, loopback, "GET", "mep.example")
	require.False(t, reached, "it is not advertised")
}

func TestEdgeGallerysSiteWithoutTLSAnswersToNamesOfItsCluster(t *testing.T) {
	at := &net.TCPAddr{IP: net.IPv4zero, Port: 8088}
	o := newOrigins(conf.Server{Advertise: "mep.example:80"}, at, true)
	for host, taken := range map[string]bool{
		"mep-mm5.mep": true, "mep-mm5.mep:80": true, "MEP-MM5.mep.svc.cluster.local.": true, "mep-mm5": true, "localhost": true, "mep.example": true,
		"10.244.0.8:8088": true, "[fd00::8]:8088": true, "127.0.0.1": true,
		"evil.example": false, "mep-mm5.mep.evil.example": false, "mep": true, "xmep": true, "10.244.0.8.evil.example": false, "": false, ".": false, "mep-mm5.mep.com:80": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		require.Equal(t, taken, o.hosts.take(r), host)
	}
	require.Nil(t, newOrigins(conf.Server{TLS: conf.TLS{CertFile: "x", KeyFile: "y"}}, at, true).hosts, "its certificate names the server")
}

func TestHTTP10NeedNotSayAHost(t *testing.T) {
	o := newOrigins(conf.Server{}, loopback, false)
	r := httptest.NewRequest("GET", "/", nil)
	r.Host, r.Proto, r.ProtoMinor = "", "HTTP/1.0", 0
	require.True(t, o.hosts.take(r))
}

func TestAnyHostIsTakenWhereANameCannotBeRebound(t *testing.T) {
	for _, at := range []net.Addr{&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}, &net.TCPAddr{IP: net.IPv6unspecified}, nil} {
		_, reached := ask(conf.Server{}, at, "GET", "mep.example")
		require.True(t, reached, "%v", at)
	}
	_, reached := ask(conf.Server{TLS: conf.TLS{CertFile: "x", KeyFile: "y"}}, loopback, "GET", "mep.example")
	require.True(t, reached, "its certificate names the server")
}

func TestAPageOfAnotherOriginChangesNothing(t *testing.T) {
	const self, page = "http://127.0.0.1:8081", "https://console.example"
	for _, c := range []struct {
		name, method string
		header       []string
		forged       bool
	}{
		{"a form", "POST", []string{"Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"}, true},
		{"a form of an old browser", "POST", []string{"Origin", "http://evil.example"}, true},
		{"an opaque origin", "POST", []string{"Origin", "null"}, true},
		{"another port of this machine", "PATCH", []string{"Origin", "http://127.0.0.1:3000", "Sec-Fetch-Site", "same-site"}, true},
		{"a page that hides its origin", "DELETE", []string{"Sec-Fetch-Site", "cross-site"}, true},
		{"a method of nobody's", "BREW", []string{"Origin", "http://evil.example"}, true},
		{"a WebSocket", "GET", []string{"Upgrade", "websocket", "Connection", "Upgrade", "Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"}, true},
		{"a WebSocket of an old browser", "GET", []string{"Upgrade", "websocket", "Origin", "http://evil.example"}, true},
		{"a WebSocket of our own page", "GET", []string{"Upgrade", "websocket", "Origin", self, "Sec-Fetch-Site", "same-origin"}, false},
		{"a WebSocket of a client", "GET", []string{"Upgrade", "websocket"}, false},
		{"a link", "GET", []string{"Sec-Fetch-Site", "cross-site", "Origin", "http://evil.example"}, false}, // without CORS it reads nothing
		{"our own page", "PUT", []string{"Origin", self, "Sec-Fetch-Site", "same-origin"}, false},
		{"our own page in an old browser", "PUT", []string{"Origin", self}, false},
		{"no browser", "PATCH", nil, false},
		{"an allowed origin", "PUT", []string{"Origin", page, "Sec-Fetch-Site", "cross-site"}, false},
		{"a WebSocket of an allowed origin", "GET", []string{"Upgrade", "websocket", "Origin", page, "Sec-Fetch-Site", "cross-site"}, false},
		{"another scheme than the allowed one's", "PUT", []string{"Origin", "http://console.example", "Sec-Fetch-Site", "cross-site"}, true},
		{"another port than the allowed one's", "PUT", []string{"Origin", page + ":444"}, true},
		{"a domain below the allowed one", "PUT", []string{"Origin", "https://evil.console.example"}, true},
	} {
		w, reached := ask(conf.Server{Origins: []string{page}}, loopback, c.method, "127.0.0.1:8081", c.header...)
		require.Equal(t, !c.forged, reached, c.name)
		if c.forged {
			require.Equal(t, http.StatusForbidden, w.Code, c.name)
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
		}
	}
}

func TestOnlyConfiguredOriginsMayRead(t *testing.T) {
	const page = "https://console.example"
	shared := func(h http.Header) (n int) {
		for name := range h {
			if strings.HasPrefix(name, "Access-Control-") {
				n++
			}
		}
		return n
	}
	preflight := []string{"Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "authorization,if-match"}
	w, reached := ask(conf.Server{}, loopback, "OPTIONS", "localhost", append(preflight, "Origin", page)...)
	require.True(t, reached, "without origins it is an OPTIONS like any other")
	require.Zero(t, shared(w.Header()))
	require.Empty(t, w.Header().Get("Vary"))

	c := conf.Server{Origins: []string{page, "http://localhost:3000"}}
	for _, origin := range c.Origins {
		w, reached = ask(c, loopback, "OPTIONS", "localhost", append(preflight, "Origin", origin)...)
		require.False(t, reached)
		require.Equal(t, http.StatusNoContent, w.Code)
		require.Equal(t, origin, w.Header().Get("Access-Control-Allow-Origin"))
		require.Contains(t, w.Header().Get("Access-Control-Allow-Methods"), "PATCH")
		for _, name := range []string{"Authorization", "If-Match", "Content-Type", "Last-Event-ID"} {
			require.Contains(t, w.Header().Get("Access-Control-Allow-Headers"), name)
		}
		require.Contains(t, w.Header().Values("Vary"), "Origin")

		w, reached = ask(c, loopback, "GET", "localhost", "Origin", origin)
		require.True(t, reached)
		require.Equal(t, origin, w.Header().Get("Access-Control-Allow-Origin"))
		require.Equal(t, "Location, ETag, Retry-After", w.Header().Get("Access-Control-Expose-Headers"))
		require.Equal(t, []string{"Origin"}, w.Header().Values("Vary"))
		require.Empty(t, w.Header().Get("Access-Control-Allow-Credentials"))
	}
	for _, origin := range []string{"https://evil.example", "null", page + ".evil.example", strings.ToUpper(page), page + "/", "http://console.example", ""} {
		for _, method := range []string{"OPTIONS", "GET"} {
			w, reached = ask(c, loopback, method, "localhost", append(preflight, "Origin", origin)...)
			require.True(t, reached, origin)
			require.Zero(t, shared(w.Header()), origin)
			require.Contains(t, w.Header().Values("Vary"), "Origin", "no cache may give one origin the answer to another")
		}
	}
	w, _ = ask(c, loopback, "GET", "localhost")
	require.Equal(t, []string{"Origin"}, w.Header().Values("Vary"))
	w, _ = ask(c, loopback, "GET", "localhost", "Origin", page, "Origin", "https://evil.example")
	require.Zero(t, shared(w.Header()))
}

func FuzzHostsOfLoopback(f *testing.F) {
	for _, host := range []string{"localhost", "[::1]:1", "127.0.0.1:8081", "evil.example", "[", "]", "[]:", ":::", "%zz"} {
		f.Add(host)
	}
	n := hostNames{self: "127.0.0.1:8081"}
	f.Fuzz(func(t *testing.T, host string) {
		r := &http.Request{Host: host, ProtoMajor: 1, ProtoMinor: 1}
		if !n.take(r) {
			return
		}
		name := strings.ToLower(hostOf(host))
		if name != "localhost" && !net.ParseIP(name).IsLoopback() {
			t.Fatalf("%q is taken", host)
		}
	})
}
