package servicemgmt

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// What an application requires is what it discovers; who proves to be none is asked for nobody.
func TestApplicationsDiscoverWhatTheyRequire(t *testing.T) {
	var asked []string
	decode := func(text string) mp1.RequiredServices {
		r, err := mp1.DecodeRequiredServices([]byte(`{"required_services":` + text + `}`))
		require.NoError(t, err)
		return r
	}
	all := map[string]mp1.RequiredServices{"one": decode(`"[\"a\"]"`), "every": decode(`"*"`), "nothing": {}}
	h := &plugins.Host{Required: func(_ context.Context, app string) mp1.RequiredServices {
		asked = append(asked, app)
		return all[app]
	}}
	r := &registry{host: h, index: newIndex(true)}
	shown(r.index, "1", "app", "a", "c", heartbeat.Inactive, 1)
	shown(r.index, "2", "app", "b", "c", heartbeat.Inactive, 2)
	is := func(c *plugins.Caller, want ...string) {
		t.Helper()
		ctx := t.Context()
		if c != nil {
			ctx = plugins.WithCaller(ctx, c)
		}
		got, err := r.Discover(ctx, mp1.Filter{})
		require.NoError(t, err)
		require.Equal(t, want, namesOf(got))
	}
	application := func(id string) *plugins.Caller { return &plugins.Caller{App: id, Roles: []string{conf.RoleApp}} }
	is(application("one"), "1")
	is(application("every"), "1", "2")
	is(application("nothing"))
	is(application("unknown"))
	require.Equal(t, []string{"one", "every", "nothing", "unknown"}, asked)
	is(nil, "1", "2")
	is(&plugins.Caller{Roles: []string{conf.RoleReader}}, "1", "2")
	is(&plugins.Caller{App: "one", Roles: []string{conf.RoleApp, conf.RoleReader}}, "1", "2")
	require.Len(t, asked, 4)
	h.Required = nil
	is(application("nothing"), "1", "2")

	own, err := r.OfApplication(t.Context(), "app", mp1.Filter{})
	require.NoError(t, err)
	require.Len(t, own, 2, "its own are always shown")
}

// The gateway's URLs are for consumers: who registers is told what he registered.
func TestConsumersReachServicesThroughTheGateway(t *testing.T) {
	x := newIndex(true)
	x.published = func(s *server.Service) *mp1.EndPointInfo {
		return &mp1.EndPointInfo{URIs: []string{"http://gateway/" + s.ID}}
	}
	shown(x, "1", "app", "a", "c", heartbeat.Active, 1)
	svc := x.get("1").service()
	require.Equal(t, []string{"http://gateway/1"}, svc.Published(svc).URIs)
	answered, err := x.serviceOf(&heartbeat.Record{ID: "1", Owner: "app", State: heartbeat.Active, Attributes: x.get("1").attrs})
	require.NoError(t, err)
	require.Nil(t, answered.Published)
}
