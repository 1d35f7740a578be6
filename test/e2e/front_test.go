package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/test/mep"
)

// front stands before a platform as gateways do: it forwards what is asked for, unless a
// test has it do something else.
type front struct {
	*httptest.Server
	t       *testing.T
	forward http.Handler

	mu   sync.Mutex
	does func(w http.ResponseWriter, r *http.Request) (answered bool)
	seen map[string]int // by kind
}

// newFront starts a front, with TLS if there is a certificate.
func newFront(t *testing.T, s *mep.Server, certificate ...tls.Certificate) *front {
	t.Helper()
	target, err := url.Parse(s.URL)
	require.NoError(t, err)
	f := &front{t: t, seen: map[string]int{}, forward: &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}}
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ErrorLog = quiet
	if len(certificate) > 0 {
		f.TLS = &tls.Config{Certificates: certificate, MinVersion: tls.VersionTLS12}
		f.StartTLS()
	} else {
		f.Start()
	}
	t.Cleanup(func() { f.CloseClientConnections(); f.Close() })
	return f
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.seen[kindOf(r)]++
	does := f.does
	f.mu.Unlock()
	if does == nil || !does(w, r) {
		f.forward.ServeHTTP(w, r)
	}
}

// set has every request from now on given to does, which may leave it to be forwarded; nil
// forwards all.
func (f *front) set(does func(w http.ResponseWriter, r *http.Request) (answered bool)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.does = does
}

// heartbeat is the kind of a request that carries one heartbeat or many.
const heartbeat = "heartbeat"

// kindOf is the kind of a request: its method, but for heartbeats.
func kindOf(r *http.Request) string {
	if r.Method == http.MethodPatch || r.URL.Path == mp1.HeartbeatsPath {
		return heartbeat
	}
	return r.Method
}

// requests is how many requests of a kind came.
func (f *front) requests(kind string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[kind]
}

// carryOut has the platform carry a request out whose answer nobody gets.
func (f *front) carryOut(r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	again := r.Clone(context.WithoutCancel(r.Context()))
	again.Body = io.NopCloser(bytes.NewReader(body))
	f.forward.ServeHTTP(httptest.NewRecorder(), again)
}

// watcher looks at what the platform has of an application, all the time.
type watcher struct {
	done    chan struct{}
	ended   sync.WaitGroup
	mu      sync.Mutex
	doubled map[string]int // names that stood there more than once, by how often that was seen
	looks   int
}

// watch begins to look, until end is called.
func watch(s *mep.Server, app string) *watcher {
	w := &watcher{done: make(chan struct{}), doubled: map[string]int{}}
	w.ended.Go(func() {
		for {
			if names, err := registeredNames(s, app); err == nil {
				w.mu.Lock()
				w.looks++
				for name, n := range names {
					if n > 1 {
						w.doubled[name]++
					}
				}
				w.mu.Unlock()
			}
			select {
			case <-w.done:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	return w
}

// end ends it, and returns the names that stood there more than once.
func (w *watcher) end() map[string]int {
	close(w.done)
	w.ended.Wait()
	return w.doubled
}

// registeredNames is how often each name is registered, in whatever state.
func registeredNames(s *mep.Server, app string) (map[string]int, error) {
	a, err := s.Try(http.MethodGet, mep.ServicesOf(app), "")
	if err != nil {
		return nil, err
	}
	var all []struct{ SerName string }
	if err := json.Unmarshal(a.Body, &all); err != nil {
		return nil, err
	}
	names := map[string]int{}
	for _, one := range all {
		names[one.SerName]++
	}
	return names, nil
}

// once tells whether n services of the agent's application are registered, each once, and
// all discovered.
func once(s *mep.Server, n int) bool {
	names, err := registeredNames(s, "agent-app")
	if err != nil || len(names) != n || !listed(s, n) {
		return false
	}
	for _, times := range names {
		if times != 1 {
			return false
		}
	}
	return true
}
