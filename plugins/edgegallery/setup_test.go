package edgegallery

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// fakeRegistry has services, and remembers which were removed.
type fakeRegistry struct {
	server.Registry
	all     []*server.Service
	removed []string
	err     error
}

func (r *fakeRegistry) Discover(_ context.Context, f mp1.Filter) ([]*server.Service, error) {
	var out []*server.Service
	for _, s := range r.all {
		if f.Match(s.Info()) {
			out = append(out, s)
		}
	}
	return out, r.err
}

func (r *fakeRegistry) OfApplication(_ context.Context, app string, _ mp1.Filter) ([]*server.Service, error) {
	var out []*server.Service
	for _, s := range r.all {
		if s.Owner == app {
			out = append(out, s)
		}
	}
	return out, r.err
}

func (r *fakeRegistry) Remove(_ context.Context, by server.Caller, id string, _ server.Condition) error {
	if r.err != nil {
		return r.err
	}
	for i, s := range r.all {
		if s.ID == id && s.Owner == by.App {
			r.removed = append(r.removed, id)
			r.all = append(r.all[:i:i], r.all[i+1:]...)
			break
		}
	}
	return nil
}

func (r *fakeRegistry) add(owner, id, name string, state mp1.State, category *mp1.CategoryRef) {
	r.all = append(r.all, server.NewService(owner, mp1.ServiceInfo{SerInstanceID: id, SerName: name, Version: "v1", State: state, SerCategory: category}, 60))
}

// router is plugins.Base as far as routes go there.
type router struct {
	*http.ServeMux
	access map[string]server.Access
}

func (b router) Handle(pattern, _ string, a server.Access, h http.Handler) {
	b.access[pattern] = a
	b.ServeMux.Handle(pattern, h)
}

func serving(p *platform) router {
	by := router{http.NewServeMux(), map[string]server.Access{}}
	p.serve(by)
	return by
}

// ask sends a request and returns the answer's status and body.
func ask(t *testing.T, by http.Handler, verb, path, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	by.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), verb, path, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

func newPlatform() (*platform, *fakeRegistry, *[]*server.Subscription) {
	r, subs := &fakeRegistry{}, &[]*server.Subscription{}
	day := int64(19000) * dayMS * 1e6
	return &platform{
		ready: func() bool { return true }, services: r,
		subscriptions: func(see func(*server.Subscription)) {
			for _, s := range *subs {
				see(s)
			}
		},
		calls: newCalls(func() int64 { return day }),
	}, r, subs
}

func subscribed(app string, f *mp1.FilteringCriteria) *server.Subscription {
	return &server.Subscription{ID: "s", Owner: app, Asked: mp1.Subscription{FilteringCriteria: f}}
}

func TestEveryRouteRefusesOtherMethodsAndIsThePlatformsOrOpen(t *testing.T) {
	p, _, _ := newPlatform()
	by := serving(p)
	for _, res := range p.resources() {
		path := strings.NewReplacer("{appInstanceId}", "a", "{capabilityId}", "b", "{taskId}", "c").Replace(res.path)
		status, body := ask(t, by, http.MethodTrace, path, "")
		require.Equal(t, http.StatusMethodNotAllowed, status, path)
		require.Contains(t, body, "Allow lists")
		for _, m := range res.methods {
			want := server.Mm5
			switch m.name {
			case "edgegallery.Healthcheck", "edgegallery.Token":
				want = server.Open
			case "edgegallery.TerminateApplication":
				want = server.Mm5OrOwner
			}
			require.Equal(t, want, by.access[m.verb+" "+res.path], res.path)
		}
	}
	for _, path := range []string{"/mepcfg", "/mepcfg/", "/mepcfg/x/v1"} {
		status, _ := ask(t, by, http.MethodGet, path, "")
		require.Equal(t, http.StatusNotFound, status, path)
	}
}

func TestNothingIsAnsweredBeforeThePlatformIsReady(t *testing.T) {
	p, _, _ := newPlatform()
	p.ready = func() bool { return false }
	status, _ := ask(t, serving(p), http.MethodGet, "/mep/service_govern/v1/services", "")
	require.Equal(t, http.StatusServiceUnavailable, status)
}

func TestIDsAndQueriesAreChecked(t *testing.T) {
	p, _, _ := newPlatform()
	by := serving(p)
	for path, want := range map[string]int{
		"/mepcfg/mec_platform_config/v1/capabilities/%2e%2e": http.StatusNotFound,
		"/mepcfg/mec_platform_config/v1/capabilities?x=1":    http.StatusBadRequest,
		"/mep/service_govern/v1/services?x":                  http.StatusBadRequest,
	} {
		status, _ := ask(t, by, http.MethodGet, path, "")
		require.Equal(t, want, status, path)
	}
}

func TestAHealthcheckIsAnsweredAndATokenIsNot(t *testing.T) {
	p, _, _ := newPlatform()
	by := serving(p)
	status, body := ask(t, by, http.MethodGet, "/healthcheck", "")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "ok\n", body)
	status, body = ask(t, by, http.MethodPost, "/mep/token", "")
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, body, "mepauth")
}
