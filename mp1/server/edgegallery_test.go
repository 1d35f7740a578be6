package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
)

// What EdgeGallery's clients leave out is completed for them, and for nobody else.
func TestDescriptionsAreCompletedOnlyUnderCompat(t *testing.T) {
	const bare = `{"serName":"n","version":"1","state":"ACTIVE","serializer":"JSON"`
	for _, tt := range []struct {
		method, path, body string
		plain, compat      int
	}{
		{"POST", mp1.Base + "/applications/app/services", bare + `}`, 400, 201},
		{"POST", mp1.Base + "/applications/app/services", bare + `,"transportId":"Rest1"}`, 400, 201},
		{"POST", mp1.Base + "/applications/app/services", bare + `,"serCategory":{"id":"c"},"transportInfo":{"endpoint":{"uris":["http://h"]}}}`, 400, 201},
		{"PUT", servicePath, bare + `,"transportInfo":{"id":"t","type":""}}`, 400, 200},
		{"PUT", servicePath, bare + `,"transportId":"Rest1"}`, 400, 200},
		{"POST", mp1.Base + "/applications/app/services", `{"serName":"n"}`, 400, 400},
	} {
		for compat, want := range map[bool]int{false: tt.plain, true: tt.compat} {
			m := http.NewServeMux()
			for _, r := range Routes(newFakeRegistry(), Options{RetryAfter: 3, EdgeGallery: compat}) {
				m.Handle(r.Pattern, r.Handler)
			}
			w := httptest.NewRecorder()
			m.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body)))
			require.Equal(t, want, w.Code, "%s %s compat %t: %s", tt.method, tt.body, compat, w.Body)
		}
	}
}

// ask answers one request by all routes, over a registry with one service.
func askAll(o Options, r *http.Request) *httptest.ResponseRecorder {
	m := http.NewServeMux()
	d := newFakeRegistry()
	d.svc.EdgeGallery, d.found = o.EdgeGallery, []*Service{d.svc}
	o.RetryAfter, o.Subscriptions = 3, &fakeSubscriptions{}
	for _, route := range Routes(d, o) {
		m.Handle(route.Pattern, route.Handler)
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w
}

// EdgeGallery's clients are answered as they are used to, and nobody else is: shapes, the type
// of the content, and parameters.
func TestAnswersAreExtendedOnlyUnderCompat(t *testing.T) {
	for path, want := range map[string]string{
		mp1.Base + "/services":                 `"appInstanceId":"app"`,
		mp1.Base + "/services/id1":             `"serCategory":{"href":"","id":"","name":"","version":""}`,
		servicePath:                            `"livenessInterval":5`,
		mp1.Base + "/services?instance_id=id1": `"appInstanceId":"app"`,
		mp1.Base + "/transports":               `"tokenEndpoint":"/mep/token"`,
	} {
		compat := askAll(Options{EdgeGallery: true}, httptest.NewRequest("GET", path, nil))
		require.Equal(t, 200, compat.Code, "%s: %s", path, compat.Body)
		require.Contains(t, compat.Body.String(), want, path)
		require.Equal(t, "application/json; charset=UTF-8", compat.Header().Get("Content-Type"), path)
		plain := askAll(Options{}, httptest.NewRequest("GET", path, nil))
		require.NotContains(t, plain.Body.String(), "tokenEndpoint", path)
		require.NotContains(t, plain.Body.String(), `"appInstanceId"`, path)
		require.NotContains(t, plain.Body.String(), "serCategory", path)
		if plain.Code == 200 {
			require.Equal(t, "application/json", plain.Header().Get("Content-Type"), path)
			continue
		}
		require.Contains(t, path, "instance_id")
		require.Equal(t, 400, plain.Code, path)
	}
}

// EdgeGallery's POST of a subscription tells the id as a member of its own.
func TestSubscriptionsTellTheirIDOnlyUnderCompat(t *testing.T) {
	const body = `{"subscriptionType":"SerAvailabilityNotificationSubscription","callbackReference":"http://192.0.2.1/cb"}`
	for _, compat := range []bool{false, true} {
		w := askAll(Options{EdgeGallery: compat}, httptest.NewRequest("POST", mp1.Base+"/applications/app/subscriptions", strings.NewReader(body)))
		require.Equal(t, 201, w.Code, w.Body)
		require.Equal(t, compat, strings.Contains(w.Body.String(), `"subscriptionId":"`), w.Body)
		require.Contains(t, w.Body.String(), `"_links":{"self":{"href":"`+mp1.Base)
	}
}

// Behind a gateway the endpoint is the gateway's. The ETag is that of what was registered, so
// that the one of a registration's answer can be used for an update.
func TestAPublishedServiceShowsTheGatewaysEndpoint(t *testing.T) {
	service := func() *Service {
		s := newFakeRegistry().svc
		s.Info().TransportInfo = &mp1.TransportInfo{ID: "t", Endpoint: mp1.EndPointInfo{URIs: []string{"http://192.0.2.1/"}}}
		return s
	}
	registered, published := service(), service()
	published.Published = func(*Service) *mp1.EndPointInfo { return &mp1.EndPointInfo{URIs: []string{"https://gateway:8443/x"}} }
	for _, prefix := range []string{"", mepPrefix} {
		a, b := registered.represent(prefix), published.represent(prefix)
		require.Equal(t, a.etag, b.etag)
		require.NotContains(t, string(a.body), "https://gateway:8443/x")
		require.Contains(t, string(b.body), `"endpoint":{"uris":["https://gateway:8443/x"]}`)
	}
	require.Equal(t, []string{"http://192.0.2.1/"}, published.Info().TransportInfo.Endpoint.URIs, "what is kept is what was registered")
	nothing := service()
	nothing.Published = func(*Service) *mp1.EndPointInfo { return nil }
	require.Equal(t, registered.represent("").body, nothing.represent("").body)
}

// A label that an application gave its transport is EdgeGallery's to show, and not MEC 011's.
func TestALabelOfATransportIsShownOnlyUnderCompat(t *testing.T) {
	for _, compat := range []bool{false, true} {
		s := NewService("app", mp1.ServiceInfo{SerInstanceID: "id1", SerName: "n", TransportID: "Rest1"}, 0)
		s.EdgeGallery = compat
		require.Equal(t, compat, strings.Contains(string(s.represent("").body), `"transportId":"Rest1"`))
	}
}

// EdgeGallery's applications ask again after 5 s while their rules are being applied.
func TestAnApplicationIsNotReadyWhileItIsConfigured(t *testing.T) {
	busy := true
	b := newFakeRegistrations()
	m := http.NewServeMux()
	for _, r := range Routes(newFakeRegistry(), Options{Registrations: b, Configuring: func(app string) bool { return busy && app == "app" }}) {
		m.Handle(r.Pattern, r.Handler)
	}
	confirm := func(body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequest("POST", "/mep"+mp1.AppSupportBase+"/applications/app/confirm_ready", strings.NewReader(body)))
		return w
	}
	require.Equal(t, 400, confirm(`{"indication":"NO"}`).Code)
	require.Equal(t, 409, confirm(`{"indication":"READY"}`).Code)
	require.Empty(t, b.ready)
	busy = false
	require.Equal(t, 204, confirm(`{"indication":"READY"}`).Code)
	require.True(t, b.ready["app"])
}

// EdgeGallery's platform never looks at the type of a body: curl says that it sends a form.
func TestTheTypeOfABodyCountsOnlyWithoutCompat(t *testing.T) {
	const body = `{"serName":"n","version":"1","state":"ACTIVE","serializer":"JSON","transportInfo":{"id":"t","name":"n","type":"REST_HTTP","protocol":"HTTP","version":"1","endpoint":{"uris":["http://h"]},"security":{}}}`
	for _, tt := range []struct{ method, path, body string }{
		{"POST", mp1.Base + "/applications/app/services", body},
		{"PUT", servicePath, body},
		{"PUT", servicePath + "/liveness", `{"state":"ACTIVE"}`},
		{"PATCH", servicePath + "/liveness", `{"state":"ACTIVE"}`},
	} {
		for _, kind := range []string{"application/x-www-form-urlencoded", "text/plain"} {
			for compat, refused := range map[bool]bool{false: true, true: false} {
				r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
				r.Header.Set("Content-Type", kind)
				w := askAll(Options{EdgeGallery: compat}, r)
				require.Equal(t, refused, w.Code == http.StatusUnsupportedMediaType, "%s %s compat %t: %d %s", tt.method, tt.path, compat, w.Code, w.Body)
				require.Equal(t, refused, w.Code >= 300, "%d %s", w.Code, w.Body)
			}
		}
	}
}
