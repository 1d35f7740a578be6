package plugins

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1/server"
)

const govern = "/v4/default/govern/microservices"

// status reads the answer that comes to a connection.
func status(t *testing.T, c net.Conn) int {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	return res.StatusCode
}

// service-center's older paths have the same handlers.
func TestEveryLargeAnswerIsOfAKind(t *testing.T) {
	for path, want := range map[string]responseKind{
		"/metrics":                                       metricsKind,
		govern:                                           governKind,
		"/v4/default/govern/relations":                   governKind,
		"/v4/default/govern/apps":                        governKind,
		"/registry/v3/govern/services":                   governKind,
		"/registry/v3/govern/relation":                   governKind,
		"/v4/default/admin/dump":                         adminKind,
		"/v4/x/registry/microservices":                   listKind,
		"/registry/v3/govern/service/id":                 findKind,
		govern + "/id":                                   findKind,
		"/v4/x/registry/instances":                       findKind,
		"/v4/x/registry/microservices/id/instances":      findKind,
		"/v4/x/registry/microservices/id/schemas":        findKind,
		"/v4/x/registry/microservices/id/providers":      findKind,
		"/v4/x/registry/microservices/id/consumers":      findKind,
		"/v4/x/registry/microservices/id/instances/id":   smallKind,
		"/v4/x/registry/health":                          smallKind,
		"/mec_service_mgmt/v1/services":                  smallKind,
		"/mec_liveness/v1/state":                         stateKind,
		"/mep/mec_liveness/v1/state":                     stateKind,
		"/mec_liveness/v1/changes":                       changesKind,
		"/mep/mec_liveness/v1/changes":                   changesKind,
		"/mec_liveness/v1/state/id":                      smallKind,
		"/mep/service_govern/v1/services":                platformKind,
		"/mep/service_govern/v1/subscribe_statistic":     platformKind,
		"/mep/service_govern/v1/kong_log":                platformKind,
		"/mepcfg/mec_platform_config/v1/capabilities":    platformKind,
		"/mepcfg/app_lcm/v1/tasks/id/appd_configuration": smallKind,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			r := httptest.NewRequest(method, path+"?options=all", nil)
			require.Equal(t, want, kindOf(r), path)
			r.ContentLength = -1
			require.Equal(t, want, kindOf(r), "%s with a body", path)
		}
		require.Equal(t, smallKind, kindOf(httptest.NewRequest("POST", path, nil)), path)
	}
}

// A request with a body, even an empty one or one that never comes, must neither pass the
// limit nor hold the semaphore.
func TestABodyIsNoWayAroundTheBoundOfAnswers(t *testing.T) {
	for _, body := range []string{"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Content-Length: 5\r\n\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			var making, most, failed atomic.Int64
			wait := make(chan struct{})
			p, end := served(t, newResponses(mostUnread), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if n, err := io.Copy(io.Discard, r.Body); n > 0 || err != nil {
					failed.Add(1)
				}
				most.Store(max(most.Load(), making.Add(1)))
				<-wait
				making.Add(-1)
			}))
			defer end()
			for range 3 * maxLists {
				ours, theirs := net.Pipe()
				defer func() { _ = ours.Close() }()
				p.conns <- theirs
				_, err := fmt.Fprintf(ours, "GET %s HTTP/1.1\r\nHost: h\r\n%s", govern, body)
				require.NoError(t, err)
				synctest.Wait()
			}
			require.EqualValues(t, maxLists, making.Load())
			close(wait)
			time.Sleep(time.Minute)
			require.EqualValues(t, maxLists, most.Load())
			require.Zero(t, failed.Load(), "nobody waits for the body")
		})
	}
}

// The metrics' own handler would gather them all for any method.
func TestMetricsAreOnlyRead(t *testing.T) {
	asked := 0
	h := newResponses(mostUnread).Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/metrics?x", nil))
		require.Equal(t, 405, w.Code, method)
		require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	}
	require.Zero(t, asked)
	for _, method := range []string{"GET", "HEAD"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/metrics", nil))
		require.Equal(t, 200, w.Code, method)
	}
	require.Equal(t, 2, asked)
}

// Only heartbeats are not counted as unread.
func TestOnlyAHeartbeatIsNotCounted(t *testing.T) {
	a := newResponses(mostUnread)
	const service = "/mec_service_mgmt/v1/applications/a/services/s"
	for what, want := range map[string]bool{"PATCH " + service + "/liveness": true, "PUT /mep" + service + "/liveness": true,
		"PUT /mec_service_mgmt/v1/applications/a/service/s/liveness": true, "PATCH " + service: false, "PUT " + service: false,
		"POST " + service + "/liveness": false, "GET " + service + "/liveness": false,
		"PUT /v4/default/registry/microservices/x/tags/liveness": false, "PUT /v4/default/registry/microservices/x/schemas/liveness": false, "PUT /liveness": false} {
		var method, path string
		_, err := fmt.Sscan(what, &method, &path)
		require.NoError(t, err)
		a.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, counted := w.(*responseWriter)
			require.Equal(t, want, !counted, what)
		})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, nil))
	}
}

// A response about one service can be as long as a list of all.
func TestFewFindsAreMadeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newResponses(mostUnread)
		var making atomic.Int64
		wait := make(chan struct{})
		p, end := served(t, a, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if kindOf(r) == findKind {
				making.Add(1)
				<-wait
			}
		}))
		defer end()
		for i := range 3 * maxFinds {
			c := p.ask(t, "GET", []string{"/v4/default/registry/instances?appId=a", "/v4/default/registry/microservices/x/instances", "/v4/default/registry/microservices/x/schemas"}[i%3])
			defer func() { _ = c.Close() }()
			synctest.Wait()
		}
		require.EqualValues(t, maxFinds, making.Load())
		c := p.ask(t, "GET", govern)
		require.Equal(t, 200, status(t, c), "lists have a semaphore of their own")
		_ = c.Close()
		time.Sleep(buildWait)
		synctest.Wait()
		require.Equal(t, 2*maxFinds, value(t, a.refused))
		close(wait)
	})
}

// After a very large response, smaller ones of its kind are refused only until one of them was
// built. A refusal says nothing about the size of the next one.
func TestAfterALargeAnswerSmallOnesAreMadeAgain(t *testing.T) {
	a := newResponses(mostUnread)
	size, code := 2*mostUnread, http.StatusOK
	h := a.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write(make([]byte, size))
	}))
	get := func(path string) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Code
	}
	held := func(path string) int { // while others have not read theirs
		release, ok := a.Reserve(mostUnread / 2)
		require.True(t, ok)
		defer release()
		return get(path)
	}
	require.Equal(t, 200, get(govern))
	require.Equal(t, 503, held(govern), "it would be made in vain")
	size, code = 10, http.StatusBadRequest
	require.Equal(t, 400, get(govern))
	require.Equal(t, 503, held(govern), "a refusal is small whatever the list is")
	code = http.StatusOK
	require.Equal(t, 200, get(govern))
	require.Equal(t, 200, held(govern))

	size = 2 * mostUnread
	require.Equal(t, 200, get(govern+"/large"))
	size = 10
	require.Equal(t, 200, held(govern+"/small"), "one service says nothing about another")
}

// refusing is a limit that refuses every list, and counts them.
type refusing struct {
	server.Limits
	lists int
	bytes []int64
}

func (l *refusing) Listed(_ context.Context, _ string, n int64) { l.bytes = append(l.bytes, n) }

func (l *refusing) List(context.Context, string) time.Duration {
	l.lists++
	return 1500 * time.Millisecond
}

// A caller that asks for too many lists must not take a place in the semaphores from others.
func TestTooManyListsAreRefusedBeforeTheyTakeAPlace(t *testing.T) {
	a, l := newResponses(mostUnread), &refusing{}
	a.limits = l
	asked := 0
	h := a.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	for range 2 * (maxLists + maxFinds) {
		for _, path := range []string{"/metrics", "/v4/default/registry/microservices", "/v4/default/govern/microservices", "/v4/default/registry/instances"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			require.Equal(t, 429, w.Code, path)
			require.Equal(t, "2", w.Header().Get("Retry-After"))
		}
	}
	require.Zero(t, asked)
	require.Zero(t, len(a.lists)+len(a.finds))
	counted := l.lists
	for _, path := range []string{"/health", "/v4/default/registry/version"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	require.Equal(t, 2, asked)
	require.Equal(t, counted, l.lists)
}

// Otherwise one identity could take the processors with fifty lists of megabytes a second.
func TestALargeAnswerCountsByItsSize(t *testing.T) {
	a, l := newResponses(mostUnread), &refusing{}
	a.limits = l
	h := a.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 300<<10)) }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/mec_service_mgmt/v1/services", nil))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/mec_service_mgmt/v1/services", nil))
	require.Equal(t, []int64{300 << 10}, l.bytes)
}

func TestOnlyAHeartbeatOfServiceCombIsOne(t *testing.T) {
	const one = "/v4/default/registry/microservices/s"
	for path, want := range map[string]bool{one + "/instances/i/heartbeat": true, "/v4/default/registry/heartbeats": true,
		one + "/tags/heartbeat": false, one + "/schemas/heartbeats": false, "/v4/heartbeat": false} {
		require.Equal(t, want, RegistryBeats(httptest.NewRequest("PUT", path, nil)), path)
	}
}
