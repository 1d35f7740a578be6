package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

const (
	usual        = `{"state":"ACTIVE"}`
	registration = `{"serName":"n","version":"1","state":"ACTIVE","serializer":"JSON","transportId":"transportId","livenessInterval":0}`
)

// MEC 011 leaves the order open; the conformance suite sends an invalid body to an
// unknown service and wants 404.
func TestABeatIsCheckedForExistenceOwnerBodyAndStateInThisOrder(t *testing.T) {
	faults := []struct {
		status int
		add    func(d *fakeRegistry, path, body *string)
	}{
		{404, func(d *fakeRegistry, _, _ *string) { d.producerErr = heartbeat.ErrNotFound }},
		{403, func(_ *fakeRegistry, path, _ *string) { *path = mp1.Base + "/applications/other/services/id1/liveness" }},
		{400, func(_ *fakeRegistry, _, body *string) { *body = `{"state":"INACTIVE"}` }},
		{409, func(d *fakeRegistry, _, _ *string) { d.err = heartbeat.ErrInactive }},
		{204, func(*fakeRegistry, *string, *string) {}},
	}
	for i, first := range faults {
		for _, method := range []string{"PATCH", "PUT"} {
			d, path, body := newFakeRegistry(), servicePath+"/liveness", usual
			for _, f := range faults[i:] { // this fault, with all that are checked later
				f.add(d, &path, &body)
			}
			require.Equal(t, first.status, request(d, method, path, strings.NewReader(body)).Code, method)
		}
	}
	d := newFakeRegistry()
	d.producerErr = heartbeat.ErrNoLiveness
	require.Equal(t, 404, request(d, "PATCH", servicePath+"/liveness", strings.NewReader(usual)).Code)
	require.Equal(t, 404, request(d, "GET", servicePath+"/liveness", nil).Code)
	require.Equal(t, 403, request(newFakeRegistry(), "GET", mp1.Base+"/applications/other/services/id1/liveness", nil).Code)
}

func TestAForeignServiceIsRefusedAndNotChanged(t *testing.T) {
	foreign := mp1.Base + "/applications/other/services/id1"
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		d := newFakeRegistry()
		require.Equal(t, 403, request(d, method, foreign, strings.NewReader("not even JSON")).Code, method)
		require.Zero(t, d.updates)
	}
	require.Equal(t, 200, request(newFakeRegistry(), "GET", mp1.Base+"/services/id1", nil).Code, "anybody may read what is offered")
}

func TestJSONUnderAnyNameAndNothingElse(t *testing.T) {
	for value, ok := range map[string]bool{
		"": true, "application/json": true, "application/json; charset=utf-8": true, "Application/JSON": true, "*/*": true,
		"application/merge-patch+json": true, "application/vnd.x+json;v=1": true,
		"text/xml": false, "text/plain; x=application/json": false, "application/x-www-form-urlencoded": false, "application/jsonx": false, "application/json, text/xml": false,
	} {
		for _, c := range []struct {
			method, path, body string
			good               int
		}{{"PATCH", servicePath + "/liveness", usual, 204}, {"POST", mp1.Base + "/applications/app/services", registration, 201}} {
			var header []string
			if value != "" {
				header = []string{"Content-Type", value}
			}
			want := 415
			if ok {
				want = c.good
			}
			require.Equal(t, want, request(newFakeRegistry(), c.method, c.path, strings.NewReader(c.body), header...).Code, "%s %q", c.method, value)
		}
	}
}

func TestARegistrationIsAnsweredWithWhereItIs(t *testing.T) {
	for _, prefix := range []string{"", "/mep"} {
		w := request(newFakeRegistry(), "POST", prefix+mp1.Base+"/applications/app/services", strings.NewReader(registration))
		require.Equal(t, 201, w.Code)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		at := prefix + mp1.Base + "/applications/app/services/new"
		require.Equal(t, at, w.Header().Get("Location"))
		require.NotEmpty(t, w.Header().Get("ETag"))
		var info mp1.ServiceInfo
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &info))
		require.Equal(t, at, info.Links.Self.Href)
		require.Equal(t, at+"/liveness", info.Links.Liveness.Href)
		require.Equal(t, "/mep"+mp1.Base+"/applications/app/services/new/liveness", info.Links.Self.Liveness)
		require.Equal(t, "transportId", info.TransportInfo.ID, "the transport is shown in full")
		require.Empty(t, info.TransportID)
	}
}

func TestARequestIsRefusedWithTheRuleItBroke(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		status             int
		detail             string
	}{
		{"POST", mp1.Base + "/applications/app/services", strings.Replace(registration, "serName", "Name", 1), 400, "serName"},
		{"POST", mp1.Base + "/applications/app/services", "", 400, "empty"},
		{"PATCH", servicePath + "/liveness", "", 400, "empty"},
		{"PATCH", servicePath + "/liveness?x=1", usual, 400, "query"},
		{"GET", mp1.Base + "/services?instance_id=5", "", 400, "ser_instance_id"},
		{"GET", mp1.Base + "/services?CANARY=", "", 400, "ser_instance_id"},
		{"GET", mp1.Base + "/applications/app/services?is_local=1", "", 400, "true or false"},
		{"GET", mp1.Base + "/services?a;b", "", 400, "query"},
		{"GET", mp1.Base + "/transports?x", "", 400, "query"},
		{"POST", servicePath, registration, 405, "Allow"},
		{"PUT", servicePath, strings.Replace(registration, "version", "a_version", 1), 400, "version"},
		{"PUT", servicePath, strings.Replace(registration, "transportId\":\"transportId", "transportId\":\"no", 1), 400, "transportId"},
		{"GET", mp1.Base + "/applications/%2e%2e/services", "", 404, "no such resource"},
	} {
		w := request(newFakeRegistry(), c.method, c.path, strings.NewReader(c.body))
		require.Equal(t, c.status, w.Code, c.path)
		var p mp1.ProblemDetails
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p), c.path)
		require.Equal(t, c.status, p.Status)
		require.Contains(t, p.Detail, c.detail, c.path)
		require.NotContains(t, p.Detail, "CANARY")
	}
}

func TestUnsetOptionsAreTheDefaults(t *testing.T) {
	m := http.NewServeMux()
	for _, r := range Routes(newFakeRegistry(), Options{}) {
		m.Handle(r.Pattern, r.Handler)
	}
	for n, status := range map[int]int{defaultMaxBeat: 204, defaultMaxBeat + 1: 413} {
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequest("PATCH", servicePath+"/liveness", strings.NewReader(usual+strings.Repeat(" ", n-len(usual)))))
		require.Equal(t, status, w.Code, n)
	}
	for n, status := range map[int]int{defaultMaxBody: 201, defaultMaxBody + 1: 413} {
		w := httptest.NewRecorder()
		body := registration + strings.Repeat(" ", n-len(registration))
		m.ServeHTTP(w, httptest.NewRequest("POST", mp1.Base+"/applications/app/services", strings.NewReader(body)))
		require.Equal(t, status, w.Code, n)
	}
}

// endlessBody counts what is read of a body that never ends.
type endlessBody struct{ read int }

func (e *endlessBody) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += len(p)
	return len(p), nil
}

func TestBodiesAreCutOffAndNotRead(t *testing.T) {
	e := &endlessBody{}
	require.Equal(t, 413, request(newFakeRegistry(), "PATCH", servicePath+"/liveness", e).Code)
	require.LessOrEqual(t, e.read, 1025)
	e = &endlessBody{}
	require.Equal(t, 413, request(newFakeRegistry(), "POST", mp1.Base+"/applications/app/services", e).Code)
	require.LessOrEqual(t, e.read, 2*65536)
}

func TestTheApplicationMustBeAdmittedAndNamedWell(t *testing.T) {
	require.Equal(t, 404, request(newFakeRegistry(), "POST", mp1.Base+"/applications/stranger/services", strings.NewReader("{}")).Code)
	require.Equal(t, 404, request(newFakeRegistry(), "GET", mp1.Base+"/applications/a%2Fb/services", nil).Code)
	require.Equal(t, 404, request(newFakeRegistry(), "GET", mp1.Base+"/services/%00", nil).Code)
	require.Equal(t, 403, request(newFakeRegistry(), "PATCH", mp1.Base+"/applications/other/services/id1/liveness", strings.NewReader("not even JSON")).Code)
	require.Equal(t, 400, request(newFakeRegistry(), "GET", servicePath+"?x=1", nil).Code)
}

func TestAHeartbeatAllocatesNothingInItsHandler(t *testing.T) {
	for _, route := range Routes(newFakeRegistry(), Options{}) {
		if route.Name != "mp1.PatchLiveness" {
			continue
		}
		body, w := strings.NewReader(""), &discardWriter{h: http.Header{}}
		r := httptest.NewRequest("PATCH", servicePath+"/liveness", nil)
		r.SetPathValue("appInstanceId", "app")
		r.SetPathValue("serviceId", "id1")
		r.Header.Set("Content-Type", "application/json")
		r.Body = io.NopCloser(body)
		n := testing.AllocsPerRun(1000, func() {
			body.Reset(usual)
			route.Handler.ServeHTTP(w, r)
		})
		require.Equal(t, 204, w.status)
		require.Zero(t, n, route.Pattern)
	}
}

// discardWriter is a ResponseWriter that allocates nothing.
type discardWriter struct {
	h      http.Header
	status int
}

func (q *discardWriter) Header() http.Header         { return q.h }
func (q *discardWriter) WriteHeader(status int)      { q.status = status }
func (q *discardWriter) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkPatchLiveness(b *testing.B) {
	for name, text := range map[string]string{"plain": usual, "wrapped": `{"ServiceLivenessUpdate": {"state": "ACTIVE"}}`, "unusual": `{"state":"ACTIVE","x":1}`} {
		b.Run(name, func(b *testing.B) {
			m, body, w := mux(newFakeRegistry()), strings.NewReader(""), &discardWriter{h: http.Header{}}
			r := httptest.NewRequest("PATCH", servicePath+"/liveness", nil)
			r.Header.Set("Content-Type", "application/json")
			r.Body = io.NopCloser(body)
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(text)
				m.ServeHTTP(w, r)
			}
			require.Equal(b, 204, w.status)
		})
	}
}

func BenchmarkGetTenThousandServices(b *testing.B) {
	d := newFakeRegistry()
	for i := range 10000 {
		info := *d.svc.Info()
		info.SerInstanceID = fmt.Sprint("id", i)
		d.found = append(d.found, NewService("app", info, 30))
	}
	m, w := mux(d), &discardWriter{h: http.Header{}}
	r := httptest.NewRequest("GET", mp1.Base+"/services", nil)
	m.ServeHTTP(w, r) // the pictures are made once
	b.ReportAllocs()
	for b.Loop() {
		m.ServeHTTP(w, r)
	}
}

// A precondition is evaluated only if the request would succeed without it (RFC 9110
// §13.2.1).
func TestAnUpdateIsCheckedForExistenceOwnerBodyAndIfMatchInThisOrder(t *testing.T) {
	faults := []struct {
		status int
		add    func(d *fakeRegistry, path, body, match *string)
	}{
		{404, func(d *fakeRegistry, _, _, _ *string) { d.err = heartbeat.ErrNotFound }},
		{403, func(_ *fakeRegistry, path, _, _ *string) { *path = mp1.Base + "/applications/other/services/id1" }},
		{400, func(_ *fakeRegistry, _, body, _ *string) { *body = `{"serName":"n"}` }},
		{412, func(_ *fakeRegistry, _, _, match *string) { *match = "INVALID_ETAG" }},
		{200, func(*fakeRegistry, *string, *string, *string) {}},
	}
	for i, first := range faults {
		d, path, body, match := newFakeRegistry(), servicePath, registration, "*"
		for _, f := range faults[i:] { // this fault, with all that are checked later
			f.add(d, &path, &body, &match)
		}
		require.Equal(t, first.status, request(d, "PUT", path, strings.NewReader(body), "If-Match", match).Code)
	}
}

func TestAnUpdateIsAnsweredWithTheNewRepresentation(t *testing.T) {
	for _, prefix := range []string{"", "/mep"} {
		d := newFakeRegistry()
		etag := request(d, "GET", prefix+servicePath, nil).Header().Get("ETag")
		body := `{"serName":"other","version":"2","state":"INACTIVE","serializer":"XML","serInstanceId":"mine","_links":{}}`
		w := request(d, "PUT", prefix+servicePath, strings.NewReader(body), "If-Match", etag)
		require.Equal(t, 200, w.Code)
		require.NotEqual(t, etag, w.Header().Get("ETag"))
		require.Empty(t, w.Header().Get("Location"))
		var info mp1.ServiceInfo
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &info))
		require.Equal(t, "id1", info.SerInstanceID, "the body's serInstanceId is ignored")
		require.Equal(t, "other", info.SerName)
		require.Equal(t, prefix+servicePath, info.Links.Self.Href)
		other := "/mep"
		if prefix == other {
			other = ""
		}
		require.Equal(t, 412, request(d, "PUT", other+servicePath, strings.NewReader(body), "If-Match", etag).Code, "an ETag is of one representation, and this one has other links")
		require.Equal(t, 1, d.updates)
	}
	require.Equal(t, 400, problemOf(heartbeat.ErrOnlyPlatform, Options{}).status, "only the platform suspends")
}
