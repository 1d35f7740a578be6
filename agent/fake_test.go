package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// fake is a platform in memory: a RoundTripper, so that its time can be a bubble's.
// The real one is met in test/e2e.
type fake struct {
	mu       sync.Mutex
	interval int
	services map[string]mp1.ServiceInfo
	next     int
	seen     []seen
	// answer, if not nil, may answer a request in place of the platform.
	answer func(r *http.Request, n int) said
}

type seen struct {
	at           time.Time
	method, path string
	host, auth   string
}

func newFake(interval int) *fake {
	return &fake{interval: interval, services: map[string]mp1.ServiceInfo{}}
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.seen = append(f.seen, seen{time.Now(), r.Method, r.URL.Path, r.URL.Host, r.Header.Get("Authorization")})
	n, answer := len(f.seen), f.answer
	f.mu.Unlock()
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	if answer != nil {
		if s := answer(r, n); s.err != nil {
			return nil, s.err
		} else if s.status != 0 {
			return reply(s.status, s.body, s.header...), nil
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.platform(r, body), nil
}

func (f *fake) platform(r *http.Request, body []byte) *http.Response {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, mp1.Base), "/")
	id := ""
	if len(parts) > 4 {
		id = parts[4]
	}
	info, known := f.services[id]
	switch {
	case r.Method == http.MethodPost:
		_ = json.Unmarshal(body, &info)
		f.next++
		info.SerInstanceID = fmt.Sprintf("id%04d", f.next)
		if info.LivenessInterval != nil {
			info.LivenessInterval = &f.interval
			info.Links = &mp1.ServiceLinks{Liveness: &mp1.LinkType{Href: r.URL.Path + "/" + info.SerInstanceID + "/liveness"}}
		}
		f.services[info.SerInstanceID] = info
		return reply(201, info)
	case id == "":
		list := []mp1.ServiceInfo{}
		for _, id := range slices.Sorted(maps.Keys(f.services)) {
			list = append(list, f.services[id])
		}
		return reply(200, list)
	case !known:
		return reply(404, mp1.ProblemDetails{Detail: "no such service"})
	case r.Method == http.MethodDelete:
		delete(f.services, id)
		return reply(204, nil)
	case r.Method == http.MethodPut:
		links := info.Links
		_ = json.Unmarshal(body, &info)
		info.SerInstanceID, info.Links, info.LivenessInterval = id, links, &f.interval
		f.services[id] = info
		return reply(200, info)
	case r.Method == http.MethodGet:
		return reply(200, mp1.ServiceLivenessInfo{State: info.State, Interval: f.interval})
	case info.State == mp1.Inactive:
		return reply(409, mp1.ProblemDetails{Detail: "it is INACTIVE"})
	}
	info.State = mp1.Active
	f.services[id] = info
	return reply(204, nil)
}

func reply(status int, v any, header ...string) *http.Response {
	b, _ := json.Marshal(v)
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(string(b)))}
}

// of gives the requests with a method whose path ends so.
func (f *fake) of(method, end string) (out []seen) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.seen {
		if s.method == method && strings.HasSuffix(s.path, end) {
			out = append(out, s)
		}
	}
	return out
}

func (f *fake) beats() []seen     { return f.of("PATCH", "/liveness") }
func (f *fake) registers() []seen { return f.of("POST", "/services") }
func (f *fake) looks() []seen     { return f.of("GET", "/liveness") }

func (f *fake) set(id string, state mp1.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info := f.services[id]
	info.State = state
	f.services[id] = info
}

func (f *fake) answers(a func(r *http.Request, n int) said) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = a
}

// all is a copy of what is registered.
func (f *fake) all() map[string]mp1.ServiceInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.services)
}

func (f *fake) put(id string, info mp1.ServiceInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.services[id] = info
}

// forgets loses every registration.
func (f *fake) forgets() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.services)
}

// said is what a test answers; the zero value leaves it to the platform.
type said struct {
	status int
	body   any
	header []string
	err    error
}

func says(status int, body any, header ...string) said { return said{status, body, header, nil} }

// onBeat answers heartbeats only.
func onBeat(answer func(n int) said) func(*http.Request, int) said {
	n := 0
	return func(r *http.Request, _ int) said {
		if r.Method != http.MethodPatch {
			return said{}
		}
		n++
		return answer(n)
	}
}

func offered(name string) mp1.ServiceInfo {
	zero := 0
	return mp1.ServiceInfo{SerName: name, Version: "1", State: mp1.Active, Serializer: "JSON", LivenessInterval: &zero,
		TransportInfo: &mp1.TransportInfo{ID: "t", Name: "n", Type: "REST_HTTP", Protocol: "HTTP", Version: "1",
			Endpoint: mp1.EndPointInfo{URIs: []string{"http://h/" + name}}}}
}

func options(f http.RoundTripper, n int) Options {
	o := Options{App: "app", Endpoints: []string{"http://one"}, Transport: f}
	for i := range n {
		o.Services = append(o.Services, Service{Info: offered(fmt.Sprint("s", i))})
	}
	return o
}

// running is an agent that a test has started in its bubble.
type running struct {
	*Agent
	t      *testing.T
	cancel context.CancelFunc
	ended  chan error
}

func run(t *testing.T, o Options) *running {
	t.Helper()
	a, err := New(o)
	require.NoError(t, err)
	return start(t, a)
}

func start(t *testing.T, a *Agent) *running {
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{Agent: a, t: t, cancel: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- a.Run(ctx) }()
	synctest.Wait()
	return r
}

// stop ends the agent; the bubble fails the test if a goroutine of it stays.
func (r *running) stop() error {
	r.cancel()
	return <-r.ended
}

// pass lets time go by.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// quiet is for servers whose handshakes are meant to fail.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func checkState(t *testing.T, file string, services int) {
	t.Helper()
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var s savedState
	require.NoError(t, json.Unmarshal(data, &s))
	require.Len(t, s.Services, services)
	left, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing is left beside it")
}
