package center

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/apache/servicecomb-service-center/pkg/rest"
	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// fakeIdentity may use the routes of some Access only, and notes what it was asked.
type fakeIdentity struct {
	may   map[server.Access]bool
	asked []server.Access
}

func (*fakeIdentity) On() bool                               { return true }
func (*fakeIdentity) Handler(next http.Handler) http.Handler { return next }
func (*fakeIdentity) Route(_, _ string, _ server.Access)     {}
func (*fakeIdentity) Bearer(context.Context, string) (time.Time, error) {
	return time.Time{}, server.ErrCredential
}
func (f *fakeIdentity) Allow(_ *http.Request, _ string, a server.Access, _ string) error {
	if f.asked = append(f.asked, a); f.may[a] {
		return nil
	}
	return server.ErrRole
}

// routesOf are METHOD and pattern of all routes in service-center's router, which shows them
// to nobody.
func routesOf(t *testing.T, router http.Handler) (out []string) {
	t.Helper()
	methods := reflect.ValueOf(router).Elem().FieldByName("handlers")
	for _, method := range methods.MapKeys() {
		of := methods.MapIndex(method)
		for i := range of.Len() {
			out = append(out, method.String()+" "+of.Index(i).Elem().FieldByName("Path").String())
		}
	}
	return out
}

func TestEveryRouteOfServiceCenterHasARow(t *testing.T) {
	var rows []string
	for row := range theAccess.of {
		rows = append(rows, row)
	}
	require.ElementsMatch(t, routesOf(t, rest.GetRouter()), rows)
}

func TestARouteOfServiceCenterWithoutARowIsRefusedBeforeItIsReached(t *testing.T) {
	const path = "/v4/default/registry/microservices"
	everything := &fakeIdentity{may: map[server.Access]bool{server.RegistryReading: true, server.RegistryWriting: true, server.Administrating: true}}
	var asked plugins.Identity = everything
	theAccess.identity.Store(&asked)
	defer theAccess.identity.Store(nil)
	status, _, _ := web.Send(t, "GET", path, "")
	require.Equal(t, http.StatusOK, status)
	row := "GET /v4/:project/registry/microservices"
	theAccess.of[row] = 0
	defer func() { theAccess.of[row] = server.RegistryReading }()
	status, h, body := web.Send(t, "GET", path, "")
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, "application/problem+json", h.Get("Content-Type"))
	require.NotContains(t, body, "services")
	require.Equal(t, []server.Access{server.RegistryReading, 0}, everything.asked)
}

// TestWhoMayUseNothingOfServiceCenterFindsNothing: what is behind the gate would answer 404
// or 405 where there is no route, and 400 to what it cannot parse.
func TestWhoMayUseNothingOfServiceCenterFindsNothing(t *testing.T) {
	reached := false
	mux := http.NewServeMux()
	for _, pattern := range []string{"/", "/metrics", "/debug/pprof/", "GET /ours", "/tree/", "/v4/token"} {
		mux.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) { reached = true })
	}
	for _, c := range []struct {
		method, path string
		may          server.Access // 0: nobody may
		asks         bool
	}{
		{"GET", "/v4/default/registry/microservices", server.RegistryReading, true},
		{"PATCH", "/v4/nothing", server.RegistryReading, true},
		{"GET", "/registry/v3/%2e", server.RegistryReading, true},
		{"GET", "/v1/x/gov/y", server.RegistryReading, true},
		{"GET", "/metrics", server.Reading, true},
		{"POST", "/metrics", server.Reading, true},
		{"GET", "/nothing", server.Identified, true},
		{"GET", "/debug/pprof/heap", 0, true},
		{"GET", "/ours", 0, false},
		{"PUT", "/tree/branch", 0, false},
		{"PUT", "/tree%2Fbranch", server.Identified, true}, // which is no path below it
		{"POST", "/v4/token", 0, false},                    // of the issuer, which Handle was given
	} {
		for _, may := range []bool{false, true} {
			reached = false
			identity := &fakeIdentity{may: map[server.Access]bool{c.may: may && c.may != 0}}
			gated := &Center{identity: identity, handled: map[string]bool{"GET /ours": true, "/v4/token": true, "/tree/": true}, trees: []string{"/tree/"}}
			w := httptest.NewRecorder()
			gated.gate(mux, mux).ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
			require.Equal(t, !c.asks || may && c.may != 0, reached, "%s %s", c.method, c.path)
			if c.asks {
				require.Equal(t, []server.Access{c.may}, identity.asked, "%s %s", c.method, c.path)
			}
		}
	}
}

func TestARouteOfServiceCenterThatWritesIsAskedForAsOne(t *testing.T) {
	reader := &fakeIdentity{may: map[server.Access]bool{server.RegistryReading: true}}
	var asked plugins.Identity = reader
	theAccess.identity.Store(&asked)
	defer theAccess.identity.Store(nil)
	status, _, _ := web.Send(t, "POST", "/v4/default/registry/microservices", `{"service":{"serviceName":"intruder","version":"1.0.0"}}`)
	require.Equal(t, http.StatusForbidden, status)
	_, body := web.Get(t, "/v4/default/registry/microservices")
	require.NotContains(t, body, "intruder")
	require.Equal(t, []server.Access{server.RegistryWriting, server.RegistryReading}, reader.asked)
}
