package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// fakePlatform is a platform in memory. It is a RoundTripper and opens no connection, so that
// it works in a synctest bubble. The real server is tested in test/e2e.
type fakePlatform struct {
	mu       sync.Mutex
	interval int
	reason   string // of what is INACTIVE: an operator has drained it
	services map[string]mp1.ServiceInfo
	next     int
	keeps    bool                // it keeps the agents of each registration
	agents   map[string][]string // by serInstanceId
	beats    map[string]time.Time
	ahead    time.Duration // of its clock
	batches  bool          // it takes heartbeats of many services at once
	batched  []sentRequest // those heartbeats, as if each had been a PATCH
	// respondToPart, if it is not nil, answers one of many heartbeats; with the zero result the
	// fake answers itself.
	respondToPart func(id string) mp1.HeartbeatResult
	requests      []sentRequest
	// respond, if it is not nil, answers the n-th request; with the zero response the fake
	// answers itself.
	respond func(r *http.Request, n int) response
}

type sentRequest struct {
	at           time.Time
	method, path string
	host, auth   string
	scope        string // Mep-Agent-Scope
}

func newFakePlatform(interval int) *fakePlatform {
	return &fakePlatform{interval: interval, services: map[string]mp1.ServiceInfo{}, agents: map[string][]string{}, beats: map[string]time.Time{}}
}

func (f *fakePlatform) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.requests = append(f.requests, sentRequest{time.Now(), r.Method, r.URL.Path, r.URL.Host, r.Header.Get("Authorization"), r.Header.Get("Mep-Agent-Scope")})
	n, answer := len(f.requests), f.respond
	f.mu.Unlock()
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	if answer != nil {
		if s := answer(r, n); s.err != nil {
			return nil, s.err
		} else if s.status != 0 {
			return f.echo(r, reply(s.status, s.body, s.header...)), nil
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.echo(r, f.serve(r, body)), nil
}

// echo has an answer show that the platform keeps agents, if it does.
func (f *fakePlatform) echo(r *http.Request, answer *http.Response) *http.Response {
	if f.keeps {
		answer.Header.Set("Mep-Agent", r.Header.Get("Mep-Agent"))
	}
	return answer
}

// join enters the agent of a request, in place of one that ran where it runs.
func (f *fakePlatform) join(id string, r *http.Request) {
	name := r.Header.Get("Mep-Agent")
	place, _, _ := strings.Cut(name, ".")
	f.agents[id] = append(slices.DeleteFunc(f.agents[id], func(one string) bool { return strings.HasPrefix(one, place+".") }), name)
}

// leave takes the agent of a request out, and tells whether another one is left.
func (f *fakePlatform) leave(id string, r *http.Request) bool {
	name := r.Header.Get("Mep-Agent")
	if place, _, _ := strings.Cut(name, "."); r.Header.Get("Mep-Agent-Scope") == "place" {
		elsewhere := func(one string) bool { return !strings.HasPrefix(one, place+".") }
		return len(f.agents[id]) == 0 || slices.ContainsFunc(f.agents[id], elsewhere)
	}
	f.agents[id] = slices.DeleteFunc(f.agents[id], func(one string) bool { return one == name })
	return f.keeps && len(f.agents[id]) > 0
}

// suspend does what a platform does that hears nothing of a service.
func (f *fakePlatform) suspend(id string) {
	f.setState(id, mp1.Suspended)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.agents, id)
}

func (f *fakePlatform) serve(r *http.Request, body []byte) *http.Response {
	if r.URL.Path == mp1.HeartbeatsPath {
		return f.serveBatch(r, body)
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, mp1.Base), "/")
	id := ""
	if len(parts) > 4 {
		id = parts[4]
	} else if parts[1] == "services" && len(parts) > 2 {
		id = parts[2]
	}
	info, known := f.services[id]
	switch {
	case r.Method == http.MethodPost:
		_ = json.Unmarshal(body, &info)
		f.next++
		info.SerInstanceID = fmt.Sprintf("id%04d", f.next)
		if info.LivenessInterval != nil {
			interval := f.interval
			info.LivenessInterval = &interval
			info.Links = &mp1.ServiceLinks{Liveness: &mp1.LinkType{Href: r.URL.Path + "/" + info.SerInstanceID + "/liveness"}}
		}
		f.services[info.SerInstanceID] = info
		f.join(info.SerInstanceID, r)
		f.beats[info.SerInstanceID] = time.Now()
		return reply(201, info)
	case id == "":
		list := []mp1.ServiceInfo{}
		for _, id := range slices.Sorted(maps.Keys(f.services)) {
			list = append(list, f.services[id])
		}
		return reply(200, list)
	case !known:
		return reply(404, mp1.ProblemDetails{Detail: "no such service"})
	case r.Method == http.MethodDelete && f.leave(id, r):
		return reply(409, mp1.ProblemDetails{Detail: "another agent keeps the service alive"})
	case r.Method == http.MethodDelete:
		delete(f.services, id)
		return reply(204, nil)
	case r.Method == http.MethodPut:
		before := info
		info = mp1.ServiceInfo{}
		_ = json.Unmarshal(body, &info)
		switch given := r.Header.Get("If-Match"); {
		case info.State == mp1.Suspended:
			return reply(400, mp1.ProblemDetails{Detail: "state: must not be SUSPENDED"})
		case given != "" && given != tagOf(before):
			return reply(412, mp1.ProblemDetails{Detail: "it has changed"})
		}
		info.SerInstanceID, info.Links = id, before.Links
		if interval := f.interval; before.LivenessInterval != nil {
			info.LivenessInterval = &interval
		}
		f.services[id] = info
		f.join(id, r)
		return reply(200, info)
	case r.Method == http.MethodGet && !strings.HasSuffix(r.URL.Path, "/liveness"):
		return reply(200, info, "ETag", tagOf(info))
	case r.Method == http.MethodGet:
		at := f.beats[id].Add(f.ahead)
		return reply(200, mp1.ServiceLivenessInfo{State: info.State, Interval: f.interval, Reason: f.reason,
			TimeStamp: mp1.TimeStamp{Seconds: uint32(at.Unix()), NanoSeconds: uint32(at.Nanosecond())}})
	case info.State == mp1.Inactive && f.reason != "":
		return reply(409, mp1.ProblemDetails{Type: mp1.DrainedType, Detail: f.reason})
	case info.State == mp1.Inactive:
		return reply(409, mp1.ProblemDetails{Detail: "it is INACTIVE"})
	}
	info.State = mp1.Active
	f.services[id], f.beats[id] = info, time.Now()
	return reply(204, nil)
}

// serveBatch answers each heartbeat as it would its PATCH.
func (f *fakePlatform) serveBatch(r *http.Request, body []byte) *http.Response {
	if !f.batches {
		return reply(404, nil)
	}
	beats, err := mp1.DecodeHeartbeats(body, nil)
	if err != nil {
		return reply(400, mp1.ProblemDetails{Detail: err.Error()})
	}
	var out mp1.HeartbeatResults
	for _, b := range beats {
		one := r.Clone(r.Context())
		one.Method, one.URL.Path = http.MethodPatch, mp1.Base+"/applications/"+b.AppInstanceID+"/services/"+b.SerInstanceID+"/liveness"
		f.batched = append(f.batched, sentRequest{at: time.Now(), method: one.Method, path: one.URL.Path})
		result := mp1.HeartbeatResult{SerInstanceID: b.SerInstanceID}
		if f.respondToPart != nil {
			result = f.respondToPart(b.SerInstanceID)
			result.SerInstanceID = b.SerInstanceID
		}
		if result.Status == 0 {
			result.Status = f.serve(one, []byte(`{"state":"ACTIVE"}`)).StatusCode
		}
		out.Results = append(out.Results, result)
	}
	return reply(200, out)
}

// tagOf is the ETag of a service.
func tagOf(info mp1.ServiceInfo) string {
	b, _ := json.Marshal(info)
	sum := sha256.Sum256(b)
	return fmt.Sprintf("%q", hex.EncodeToString(sum[:8]))
}

func reply(status int, v any, header ...string) *http.Response {
	b, _ := json.Marshal(v)
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(string(b)))}
}

// sent returns the requests with that method whose path ends with end.
func (f *fakePlatform) sent(method, end string) (out []sentRequest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.requests {
		if s.method == method && strings.HasSuffix(s.path, end) {
			out = append(out, s)
		}
	}
	return out
}

// heartbeats are all heartbeats in order, those that came together among them.
func (f *fakePlatform) heartbeats() []sentRequest {
	out := f.sent("PATCH", "/liveness")
	f.mu.Lock()
	defer f.mu.Unlock()
	out = append(out, f.batched...)
	slices.SortStableFunc(out, func(a, b sentRequest) int { return a.at.Compare(b.at) })
	return out
}
func (f *fakePlatform) registrations() []sentRequest { return f.sent("POST", "/services") }
func (f *fakePlatform) livenessReads() []sentRequest { return f.sent("GET", "/liveness") }

func (f *fakePlatform) setState(id string, state mp1.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info := f.services[id]
	info.State = state
	f.services[id] = info
}

func (f *fakePlatform) respondWith(a func(r *http.Request, n int) response) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.respond = a
}

// registered returns a copy of what is registered, by serInstanceId.
func (f *fakePlatform) registered() map[string]mp1.ServiceInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.services)
}

func (f *fakePlatform) add(id string, info mp1.ServiceInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.services[id] = info
}

// forgetAll loses every registration.
func (f *fakePlatform) forgetAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.services)
}

// response is what a test answers in the fake's place. The zero value leaves it to the fake.
type response struct {
	status int
	body   any
	header []string
	err    error
}

func respond(status int, body any, header ...string) response {
	return response{status, body, header, nil}
}

// onHeartbeat has answer called for heartbeats, n from 1, and for no other request.
func onHeartbeat(answer func(n int) response) func(*http.Request, int) response {
	n := 0
	return func(r *http.Request, _ int) response {
		if r.Method != http.MethodPatch {
			return response{}
		}
		n++
		return answer(n)
	}
}

func serviceInfo(name string) mp1.ServiceInfo {
	zero := 0
	return mp1.ServiceInfo{SerName: name, Version: "1", State: mp1.Active, Serializer: "JSON", LivenessInterval: &zero,
		TransportInfo: &mp1.TransportInfo{ID: "t", Name: "n", Type: "REST_HTTP", Protocol: "HTTP", Version: "1",
			Endpoint: mp1.EndPointInfo{URIs: []string{"http://h/" + name}}}}
}

func options(f http.RoundTripper, n int) Options {
	o := Options{App: "app", Endpoints: []string{"http://one"}, Transport: f}
	for i := range n {
		o.Services = append(o.Services, Service{Info: serviceInfo(fmt.Sprint("s", i))})
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

// stop ends the agent. The bubble fails the test if a goroutine of the agent is left.
func (r *running) stop() error {
	r.cancel()
	return <-r.ended
}

// advance lets the time of the bubble go by, and what is due happen.
func advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// discardLog is the log of servers whose handshakes are meant to fail.
func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

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

// links has the services linked to themselves, as an ETSI platform does.
func (f *fakePlatform) links() {
	for id, info := range f.registered() {
		links := *info.Links
		links.Self.Href = mp1.Base + "/services/" + id
		info.Links = &links
		f.add(id, info)
	}
}
