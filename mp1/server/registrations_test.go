package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// fakeRegistrations keeps registrations in a map that a test can read.
type fakeRegistrations struct {
	apps map[string]mp1.AppInfo
	err  error
	// ready are those that said so; timeouts are those of the terminations that go on.
	ready    map[string]bool
	timeouts map[string]uint32
}

func (b *fakeRegistrations) ConfirmReady(_ context.Context, app string) error {
	if b.timeouts[app] != 0 {
		return ErrTerminating
	}
	b.ready[app] = true
	return b.err
}

func (b *fakeRegistrations) BeginTermination(_ context.Context, app string, timeout uint32, c func(mp1.AppInfo) bool) error {
	switch i, there := b.apps[app]; {
	case !there:
		return ErrNoRegistration
	case b.timeouts[app] != 0:
		return ErrTerminating
	case c != nil && !c(i):
		return heartbeat.ErrStale
	}
	b.timeouts[app] = timeout
	return b.err
}

func (b *fakeRegistrations) ConfirmTermination(_ context.Context, app string, action mp1.OperationAction) error {
	switch {
	case b.timeouts[app] == 0:
		return ErrNoTermination
	case action != mp1.Terminating:
		return &mp1.Invalid{Attribute: "operationAction", Rule: "must be that of the notification"}
	}
	delete(b.timeouts, app)
	return b.err
}

func (b *fakeRegistrations) RegisterApplication(_ context.Context, i mp1.AppInfo) (mp1.AppInfo, error) {
	if i.AppInstanceID == "" {
		i.AppInstanceID = "chosen"
	}
	if b.err != nil {
		return i, b.err
	}
	if _, there := b.apps[i.AppInstanceID]; there {
		return i, ErrRegistered
	}
	b.apps[i.AppInstanceID] = i
	return i, nil
}

func (b *fakeRegistrations) Registration(_ context.Context, app string) (mp1.AppInfo, error) {
	i, there := b.apps[app]
	if !there {
		return i, ErrNoRegistration
	}
	return i, b.err
}

func (b *fakeRegistrations) UpdateApplication(_ context.Context, app string, i mp1.AppInfo, c func(mp1.AppInfo) bool) error {
	if c != nil && !c(b.apps[app]) {
		return heartbeat.ErrStale
	}
	b.apps[app] = i
	return b.err
}

func (b *fakeRegistrations) DeregisterApplication(_ context.Context, app string, c func(mp1.AppInfo) bool) error {
	if _, there := b.apps[app]; !there {
		return ErrNoRegistration
	}
	if c != nil && !c(b.apps[app]) {
		return heartbeat.ErrStale
	}
	delete(b.apps, app)
	return b.err
}

func (b *fakeRegistrations) call(method, path, body string, header ...string) *httptest.ResponseRecorder {
	m := http.NewServeMux()
	for _, r := range Routes(newFakeRegistry(), Options{Registrations: b}) {
		m.Handle(r.Pattern, r.Handler)
	}
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w
}

func TestRegistrationsOfApplications(t *testing.T) {
	for _, prefix := range []string{"", "/mep"} {
		b := &fakeRegistrations{apps: map[string]mp1.AppInfo{}}
		all := prefix + mp1.AppSupportBase + "/registrations"
		w := b.call("POST", all, `{"appName":"n"}`)
		require.Equal(t, 201, w.Code)
		one := all + "/chosen"
		require.Equal(t, one, w.Header().Get("Location"))
		require.JSONEq(t, `{"appName":"n","appInstanceId":"chosen"}`, w.Body.String())
		etag := w.Header().Get("ETag")
		require.Equal(t, etag, b.call("GET", one, "").Header().Get("ETag"))
		require.Equal(t, 409, b.call("POST", all, `{"appName":"n","appInstanceId":"chosen"}`).Code)

		require.Equal(t, 404, b.call("PUT", all+"/other", "{}", "If-Match", "x").Code, "existence first")
		require.Equal(t, 400, b.call("PUT", one, "{}", "If-Match", "x").Code, "then the body")
		require.Equal(t, 400, b.call("PUT", one, `{"appName":"m","appInstanceId":"x"}`, "If-Match", "x").Code)
		require.Equal(t, 412, b.call("PUT", one, `{"appName":"m"}`, "If-Match", "x").Code)
		w = b.call("PUT", one, `{"appName":"m"}`, "If-Match", etag)
		require.Equal(t, 204, w.Code)
		require.Zero(t, w.Body.Len())
		require.Equal(t, "chosen", b.apps["chosen"].AppInstanceID)
		require.Equal(t, 412, b.call("DELETE", one, "", "If-Match", etag).Code)
		require.Equal(t, 204, b.call("DELETE", one, "").Code)
		require.Equal(t, 404, b.call("DELETE", one, "").Code)
		require.Equal(t, 404, b.call("GET", one, "").Code)
		require.Equal(t, 405, b.call("GET", all, "").Code)
		require.Equal(t, 404, b.call("GET", all+"/%2e%2e", "").Code)
		require.Equal(t, 400, b.call("POST", all+"?x=y", `{"appName":"n"}`).Code)
	}
	b := &fakeRegistrations{apps: map[string]mp1.AppInfo{}, err: heartbeat.ErrFull}
	require.Equal(t, 507, b.call("POST", mp1.AppSupportBase+"/registrations", `{"appName":"n"}`).Code)
	b.err = ErrTooManyRegistrations
	require.Equal(t, 403, b.call("POST", mp1.AppSupportBase+"/registrations", `{"appName":"o"}`).Code)
	require.Equal(t, 404, request(newFakeRegistry(), "POST", mp1.AppSupportBase+"/registrations", strings.NewReader(`{"appName":"n"}`)).Code, "without a book there is no such resource")
}

func TestAStoreThatDoesNotSayWhoIsKnownIsNoRefusal(t *testing.T) {
	d := newFakeRegistry()
	d.admittedErr = heartbeat.ErrUnavailable
	require.Equal(t, 503, request(d, "GET", servicePath, nil).Code, "404 would make an agent register again")
}
