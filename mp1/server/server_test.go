package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// fakeRegistry answers what a test sets. Only the handlers' own rules are tested here; those
// of the platform are tested in test/e2e.
type fakeRegistry struct {
	unready     bool
	err         error
	producerErr error // of Producer
	changed     bool
	svc         *Service
	found       []*Service // what Discover finds, if set
	updates     int
	admittedErr error  // of Admitted
	by          Caller // of the last change
	beaten      []mp1.HeartbeatOf
}

func (d *fakeRegistry) Ready() bool { return !d.unready }
func (d *fakeRegistry) Admitted(_ context.Context, app string) (bool, error) {
	return app != "stranger", d.admittedErr
}
func (d *fakeRegistry) Register(_ context.Context, by Caller, i mp1.ServiceInfo) (*Service, error) {
	d.by = by
	i.SerInstanceID = "new"
	return NewService(by.App, i, 5), d.err
}
func (d *fakeRegistry) Service(context.Context, string) (*Service, error) { return d.svc, d.err }
func (d *fakeRegistry) Update(_ context.Context, by Caller, id string, i mp1.ServiceInfo, c Condition) (*Service, error) {
	if c != nil && !c(d.svc) {
		return nil, heartbeat.ErrStale
	}
	d.updates++
	d.by = by
	i.SerInstanceID = id
	return NewService(by.App, i, 5), d.err
}

func (d *fakeRegistry) Remove(_ context.Context, by Caller, _ string, c Condition) error {
	if c != nil && !c(d.svc) {
		return heartbeat.ErrStale
	}
	d.by = by
	return d.err
}
func (d *fakeRegistry) Discover(context.Context, mp1.Filter) ([]*Service, error) {
	if d.found != nil {
		return d.found, d.err
	}
	return []*Service{d.svc, d.svc}, d.err
}
func (d *fakeRegistry) OfApplication(context.Context, string, mp1.Filter) ([]*Service, error) {
	return nil, d.err
}
func (d *fakeRegistry) Producer(context.Context, string) (string, error) { return "app", d.producerErr }
func (d *fakeRegistry) Beat(context.Context, string, string) (Liveness, bool, error) {
	return Liveness{State: mp1.Active, At: time.Unix(7, 8), Interval: 9, Reason: "a heartbeat came"}, d.changed, d.err
}
func (d *fakeRegistry) Beats(ctx context.Context, agent string, beats []mp1.HeartbeatOf, answer func(i, interval int, err error)) {
	d.beaten = append(d.beaten, beats...)
	for i := range beats {
		l, changed, err := d.Beat(ctx, beats[i].SerInstanceID, agent)
		if !changed {
			l.Interval = 0
		}
		answer(i, l.Interval, err)
	}
}
func (d *fakeRegistry) Liveness(context.Context, string) (Liveness, error) {
	return Liveness{State: mp1.Suspended, At: time.Unix(7, 8), Interval: 9, Reason: "no heartbeat in time"}, d.err
}

func newFakeRegistry() *fakeRegistry {
	return &fakeRegistry{svc: NewService("app", mp1.ServiceInfo{SerInstanceID: "id1", SerName: "n", Version: "1", State: mp1.Active, Serializer: "JSON"}, 5)}
}

func mux(d *fakeRegistry) *http.ServeMux {
	m := http.NewServeMux()
	for _, r := range Routes(d, Options{RetryAfter: 3, MaxBody: 65536, MaxBeat: 1024}) {
		m.Handle(r.Pattern, r.Handler)
	}
	return m
}

func request(d *fakeRegistry, method, path string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, body)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	mux(d).ServeHTTP(w, r)
	return w
}

const servicePath = mp1.Base + "/applications/app/services/id1"

func TestEveryErrorOfThePlatformHasItsStatus(t *testing.T) {
	for err, status := range map[error]int{
		heartbeat.ErrNotFound: 404, heartbeat.ErrNoLiveness: 404, heartbeat.ErrNotOwner: 403, heartbeat.ErrInactive: 409, heartbeat.ErrNotDrained: 409, heartbeat.ErrKept: 409, heartbeat.ErrStale: 412,
		heartbeat.ErrUnavailable: 503, heartbeat.ErrFull: 507, heartbeat.ErrLimit: 403, heartbeat.ErrNotReady: 503,
		context.DeadlineExceeded: 503, errors.New("a secret"): 500, fmt.Errorf("wrapped: %w", heartbeat.ErrFull): 507,
	} {
		d := newFakeRegistry()
		d.err = err
		w := request(d, "PATCH", servicePath+"/liveness", strings.NewReader(`{"state":"ACTIVE"}`))
		require.Equal(t, status, w.Code, err)
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		var p mp1.ProblemDetails
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
		require.Equal(t, status, p.Status)
		require.NotEmpty(t, p.Detail)
		require.NotContains(t, p.Detail, "secret")
		require.Equal(t, errors.Is(err, heartbeat.ErrLimit), p.Type == mp1.LimitType, "a 403 may say other things, too")
		if status == 503 || status == 507 {
			require.Equal(t, "3", w.Header().Get("Retry-After"))
		}
	}
	require.Equal(t, 400, problemOf(heartbeat.ErrLimit, Options{LimitStatus: 400}).status, "EdgeGallery's clients know 400 for a limit")
}

func TestBeforeReadyEveryRouteSaysTryAgain(t *testing.T) {
	d := newFakeRegistry()
	d.unready = true
	for _, r := range Routes(d, Options{}) {
		method, path, ok := strings.Cut(r.Pattern, " ")
		if !ok {
			method, path = "GET", r.Pattern
		}
		path = strings.NewReplacer("{appInstanceId}", "app", "{serviceId}", "id1").Replace(path)
		w := request(d, method, path, nil)
		require.Equal(t, 503, w.Code, r.Pattern)
		require.NotEmpty(t, w.Header().Get("Retry-After"))
	}
}

func TestOtherMethodsAreToldWhichThereAre(t *testing.T) {
	for path, allow := range map[string]string{"/services": "GET, HEAD", "/services/id1": "GET, HEAD", "/transports": "GET, HEAD",
		"/applications/app/services": "GET, HEAD, POST", "/applications/app/services/id1": "DELETE, GET, HEAD, PUT",
		"/applications/app/services/id1/liveness": "GET, HEAD, PATCH, PUT", "/applications/app/service/id1/liveness": "GET, HEAD, PATCH, PUT"} {
		for _, prefix := range []string{"", "/mep"} {
			w := request(newFakeRegistry(), "OPTIONS", prefix+mp1.Base+path, nil)
			require.Equal(t, 405, w.Code, path)
			require.Equal(t, allow, w.Header().Get("Allow"), path)
		}
	}
	for _, path := range []string{mp1.Base, mp1.Base + "/", mp1.Base + "/x", "/mep/x", "/mec_service_mgmt", "/mec_service_mgmt/", "/mep", "/mep/", "/mep/mec_service_mgmt", "/mep/mec_service_mgmt/", "/mep/mep" + mp1.Base, "/mec_service_mgmt/v2/services", servicePath + "/", servicePath + "/x"} {
		w := request(newFakeRegistry(), "GET", path, nil)
		require.Equal(t, 404, w.Code, path)
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"), path)
	}
}

func TestAServiceIsShownWithItsLinks(t *testing.T) {
	for _, prefix := range []string{"", "/mep"} {
		w := request(newFakeRegistry(), "GET", prefix+servicePath, nil)
		require.Equal(t, 200, w.Code)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		var m map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &m))
		require.Equal(t, map[string]any{
			"self":     map[string]any{"href": prefix + servicePath, "liveness": "/mep" + servicePath + "/liveness"},
			"liveness": map[string]any{"href": prefix + servicePath + "/liveness"},
		}, m["_links"])
		require.EqualValues(t, 5, m["livenessInterval"])
		require.Equal(t, true, m["isLocal"])
		require.Equal(t, "MEC_HOST", m["scopeOfLocality"])
		var list []json.RawMessage
		require.NoError(t, json.Unmarshal(request(newFakeRegistry(), "GET", prefix+mp1.Base+"/services", nil).Body.Bytes(), &list))
		require.Len(t, list, 2)
		require.JSONEq(t, w.Body.String(), string(list[0]))
	}
	d := newFakeRegistry()
	d.svc = NewService("app", *d.svc.Info(), 0)
	body := request(d, "GET", servicePath, nil).Body.String()
	require.NotContains(t, body, "liveness")
	require.Equal(t, "[]\n", request(newFakeRegistry(), "GET", mp1.Base+"/applications/app/services", nil).Body.String())
}

func TestIfMatchProtectsADeletion(t *testing.T) {
	etag := request(newFakeRegistry(), "GET", servicePath, nil).Header().Get("ETag")
	require.Regexp(t, `^"[0-9a-f]{32}"$`, etag)
	for value, status := range map[string]int{"": 204, etag: 204, "*": 204, `"x", ` + etag: 204, `"x"`: 412, "INVALID_ETAG": 412} {
		var header []string
		if value != "" {
			header = []string{"If-Match", value}
		}
		require.Equal(t, status, request(newFakeRegistry(), "DELETE", servicePath, nil, header...).Code, value)
	}
}

func TestANewIntervalIsToldWithTheWholeLivenessInfo(t *testing.T) {
	d := newFakeRegistry()
	d.changed = true
	w := request(d, "PATCH", servicePath+"/liveness", strings.NewReader(`{"state":"ACTIVE"}`))
	require.Equal(t, 200, w.Code)
	require.JSONEq(t, `{"state":"ACTIVE","timeStamp":{"seconds":7,"nanoSeconds":8},"interval":9}`, w.Body.String())
	d.changed = false
	w = request(d, "PATCH", servicePath+"/liveness", strings.NewReader(`{"state":"ACTIVE"}`))
	require.Equal(t, 204, w.Code)
	require.Zero(t, w.Body.Len())
	require.Equal(t, 412, request(d, "PATCH", servicePath+"/liveness", strings.NewReader(`{"state":"ACTIVE"}`), "If-Match", `"x"`).Code)
}
