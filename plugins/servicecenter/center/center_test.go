package center

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1/server"
)

// The order in which Go initialises packages made service-center's own bootstrap
// panic; ours has survived it when a test of this package runs. What a process
// prints while it is being initialised must stay away from the user.
func TestServiceCenterInitialisesInOrderAndSilently(t *testing.T) {
	if os.Getenv("MEP_TEST_INIT") != "" {
		return // the child: TestMain started and stopped service-center
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServiceCenterInitialisesInOrderAndSilently$")
	cmd.Env = append(os.Environ(), "MEP_TEST_INIT=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "PASS", strings.TrimSpace(string(out)))
}

func TestThereIsOneServiceCenterPerProcess(t *testing.T) {
	_, err := Start(Options{Listen: "127.0.0.1:1"})
	require.ErrorContains(t, err, "started before")
}

func TestPATCHGoesThroughTheChain(t *testing.T) {
	center.Handle("PATCH /chain/{what}", "test.Patch", server.Open, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "thing", r.PathValue("what"))
		w.WriteHeader(http.StatusNoContent)
	}))
	status, h, _ := web.Send(t, "PATCH", "/chain/thing", "{}")
	require.Equal(t, http.StatusNoContent, status)
	require.NotContains(t, h, "Server", "no header that nobody needs")
	require.Eventually(t, func() bool { // the metrics handler counts it, after the answer
		_, b := web.Get(t, "/metrics")
		return strings.Contains(b, `api="test.Patch",code="204"`) || strings.Contains(b, `code="204"`) && strings.Contains(b, `test.Patch`)
	}, 10*time.Second, 50*time.Millisecond)
}

func TestAPanicIsA500AndNothingMore(t *testing.T) {
	center.Handle("GET /panics", "test.Panic", server.Open, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret") }))
	status, h, b := web.Send(t, "GET", "/panics", "")
	require.Equal(t, http.StatusInternalServerError, status)
	require.Equal(t, "application/problem+json", h.Get("Content-Type"))
	require.NotContains(t, b, "secret")
	require.True(t, json.Valid([]byte(b)))
	status, _, _ = web.Send(t, "GET", "/v4/default/registry/version", "")
	require.Equal(t, http.StatusOK, status, "and everybody else goes on")
}

// service-center's access interceptor refuses in plain text, shows the raw URI, and
// lets the request be carried out all the same.
func TestNothingReachesTheAccessInterceptorThatItRefuses(t *testing.T) {
	var carriedOut atomic.Int64
	center.Handle("GET /mec_refused/{rest...}", "test.Refused", server.Open, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		carriedOut.Add(1)
		_, _ = w.Write([]byte(r.URL.RawQuery))
	}))
	long := strings.Repeat("x", 3000)
	for _, c := range []struct {
		status int
		target string
	}{
		{414, "/mec_refused/a?q=" + long}, {414, "/%6dec_refused/a?q=" + long}, {414, "http://host/mec_refused/a?q=" + long},
		{400, "/mec_refused//a"}, {400, "http://host/mec_refused//a"}, {400, "/mec_refused/a;"}, {400, "/%6dec_refused/a@"}, {400, "//mec_refused/a"},
		{404, "/mec_refused/../a"}, {404, "/mec_refused/%2e%2e/a"}, {404, "/mec_refused/./a"},
		{414, "/v4/default/registry/version?" + long}, {400, "/v4/default//registry/version"},
	} {
		status, body := raw(t, c.target)
		require.Equal(t, c.status, status, "%.40s", c.target)
		require.True(t, json.Valid([]byte(body)), "%.40s: %.200s", c.target, body)
		require.NotContains(t, body, "refused/", "no echo of the request")
	}
	require.Zero(t, carriedOut.Load())
	for _, target := range []string{"/mec_refused/a?q=http://x", "http://host/mec_refused/a?q=1&", "/mec_refused/a?", "/mec_refused/a?q=;@", "/v4/default/registry/version?a=b&"} {
		status, _ := raw(t, target)
		require.Equal(t, 200, status, target)
	}
	require.EqualValues(t, 4, carriedOut.Load(), "each once")
}

// One look at a path must not let through what the whole judgement refuses, nor leave it otherwise
// than that does.
func TestAPlainPathIsOneThatTheWholeJudgementTakesAsItIs(t *testing.T) {
	paths := []string{"", "/", "/a", "a", "/a/b/", "//", "/a//b", "/.", "/..", "/a/.b", "/a/b.c/d", "/a.", "/a/..", "/a/%2e", "/a b", "/a;", "/a&", "/a+", "/a@", "/a~", "/ä", "*"}
	const odd = "//..aZ09-_;&+@~%? \x00\xff"
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for range 20000 {
		b := make([]byte, r.IntN(9))
		for i := range b {
			b[i] = odd[r.IntN(len(odd))]
		}
		paths = append(paths, "/"+string(b))
	}
	taken := 0
	for _, path := range paths {
		if !plain(path) {
			continue
		}
		taken++
		w := httptest.NewRecorder()
		got, ok := judged(w, &http.Request{Method: "GET", URL: &url.URL{Path: path}, RequestURI: path})
		require.True(t, ok, "seed %d: %q: %d", seed, path, w.Code)
		require.Equal(t, path, got, "seed %d", seed)
	}
	require.Positive(t, taken)
	for _, path := range []string{"/", "/a", "/a/b/", "/a/b.c/d", "/a.", "/mec_service_mgmt/v1/applications/app-1/services/0123abc_9.x/liveness"} {
		require.True(t, plain(path), path)
	}
}

// What the chain is given is used again by the next request of the route.
func TestRequestsOfARouteAreKeptApart(t *testing.T) {
	center.Handle("POST /mec_apart/{name}", "test.Apart", server.Open, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		switch name := r.PathValue("name"); {
		case name == "panics":
			panic("as a test asks for")
		case name != string(b):
			w.WriteHeader(http.StatusConflict)
		default:
			_, _ = w.Write(b)
		}
	}))
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 50 {
				name := fmt.Sprint("n", n, "-", i)
				status, _, body := web.Send(t, "POST", "/mec_apart/"+name, name)
				assert.Equal(t, 200, status)
				assert.Equal(t, name, body)
				if i%10 == 0 {
					status, _, _ = web.Send(t, "POST", "/mec_apart/panics", "")
					assert.Equal(t, 500, status)
				}
			}
		})
	}
	wg.Wait()
}

// raw sends a request target as it is.
func raw(t *testing.T, target string) (status int, body string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(string(web), "http://"))
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	_, err = c.Write([]byte("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(b)
}

// TestNoOriginIsLetInHere: rs/cors, which service-center would bring, allows all of them.
func TestNoOriginIsLetInHere(t *testing.T) {
	center.Handle("/mec_options", "test.Options", server.Open, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(405) }))
	for _, path := range []string{"/mec_options", "/v4/default/registry/microservices", "/metrics"} {
		for _, method := range []string{"OPTIONS", "GET"} {
			r, err := http.NewRequest(method, string(web)+path, nil)
			require.NoError(t, err)
			r.Header.Set("Origin", "http://console.example")
			r.Header.Set("Access-Control-Request-Method", "PATCH")
			res, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			for name := range res.Header {
				require.NotContains(t, name, "Access-Control", "%s %s", method, path)
			}
		}
	}
}

// Who asked before he registered was told for a while that what he had registered is not there.
func TestWhatWasWrittenIsThereForWhoAskedBefore(t *testing.T) {
	const asked = "/v4/default/registry/existence?type=microservice&appId=asked&serviceName=before&version=1.0.0"
	for range 20 { // the watch is seldom slower than the next request
		status, _, _ := web.Send(t, "GET", asked, "")
		require.Equal(t, http.StatusBadRequest, status)
		status, _, body := web.Send(t, "POST", "/v4/default/registry/microservices", `{"service":{"appId":"asked","serviceName":"before","version":"1.0.0"}}`)
		require.Equal(t, http.StatusOK, status, body)
		var made struct{ ServiceID string }
		require.NoError(t, json.Unmarshal([]byte(body), &made))
		status, _, body = web.Send(t, "GET", asked, "")
		require.Equal(t, http.StatusOK, status, body)
		status, _, body = web.Send(t, "DELETE", "/v4/default/registry/microservices/"+made.ServiceID+"?force=1", "")
		require.Equal(t, http.StatusOK, status, body)
		require.Eventually(t, func() bool { status, _, _ := web.Send(t, "GET", asked, ""); return status != http.StatusOK }, 30*time.Second, time.Millisecond)
	}
}
