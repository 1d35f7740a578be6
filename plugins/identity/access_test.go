package identity

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// The callers of TestWhoMayUseWhat, by what the table calls them.
var callers = map[string]*plugins.Caller{
	"nobody":    nil,
	"noRole":    {Name: "x", App: "app"},
	"unknown":   {Name: "x", App: "app", Roles: []string{"root", "ADMIN"}},
	"app":       {Name: "app", App: "app", Roles: []string{conf.RoleApp}},
	"other":     {Name: "other", App: "other", Roles: []string{conf.RoleApp}},
	"host":      {Name: "h", Apps: []string{"app", "b-*"}, Roles: []string{conf.RoleHost}},
	"another":   {Name: "h", Apps: []string{"*", "ap", "app-*", ""}, Roles: []string{conf.RoleHost}},
	"hostNamed": {Name: "app", App: "app", Apps: []string{"other"}, Roles: []string{conf.RoleHost}},
	"hostless":  {Name: "h", App: "app", Apps: []string{"app"}, Roles: []string{conf.RoleReader}},
	"reader":    {Name: "r", Roles: []string{conf.RoleReader}},
	"registry":  {Name: "s", Roles: []string{conf.RoleRegistry}},
	"admin":     {Name: "a", Roles: []string{conf.RoleAdmin}},
}

func TestWhoMayUseWhat(t *testing.T) {
	for access, may := range map[server.Access][]string{
		server.Open:            {"nobody", "noRole", "unknown", "app", "other", "host", "another", "hostNamed", "hostless", "reader", "registry", "admin"},
		server.Identified:      {"app", "other", "host", "another", "hostNamed", "hostless", "reader", "registry", "admin"},
		server.Owner:           {"app", "host", "admin"},
		server.OwnerInBody:     {"app", "other", "host", "another", "hostNamed", "admin"}, // the handler asks for what the body names
		server.OwnersInBody:    {"app", "other", "host", "another", "hostNamed", "admin"}, // the same, for each
		server.Reading:         {"hostless", "reader", "admin"},
		server.RegistryReading: {"hostless", "reader", "registry", "admin"},
		server.RegistryWriting: {"registry", "admin"},
		server.Administrating:  {"admin"},
		server.Mm5:             {"admin"},
		server.Mm5OrOwner:      {"app", "host", "admin"},
		0:                      {},
		99:                     {},
	} {
		for name, c := range callers {
			r := httptest.NewRequest("GET", "/", nil)
			if c != nil {
				r = r.WithContext(plugins.WithCaller(r.Context(), c))
			}
			err := (&door{on: true}).Allow(r, "route", access, "app")
			if slices.Contains(may, name) {
				require.NoError(t, err, "%s may use %s", name, access)
			} else {
				require.Error(t, err, "%s may use %s", name, access)
			}
		}
	}
}

func TestARouteWithoutARowIsRefusedToEverybodyEvenWithoutIdentities(t *testing.T) {
	require.Error(t, (&door{}).Allow(httptest.NewRequest("GET", "/", nil), "route", 0, "app"))
	require.NoError(t, (&door{}).Allow(httptest.NewRequest("GET", "/", nil), "route", server.Administrating, "app"))
}

func TestOnlyAnAdminActsForAnApplicationWithoutAnID(t *testing.T) {
	for name, c := range callers {
		require.Equal(t, name == "admin", c.MayActFor(""), name)
	}
}

func TestTheTableOfRoutesIsShown(t *testing.T) {
	d := &door{}
	d.Route("GET /health", "mep.Health", server.Open)
	d.Route("/health", "mep.MethodNotAllowed", server.Open)
	d.Route("PUT /a/{appInstanceId}", "mp1.Put", server.Owner)
	require.True(t, d.routes.isOpen("/health"))
	require.False(t, d.routes.isOpen("/"))
	d.Route("GET /{$}", "mep.GetIndex", server.Open)
	require.True(t, d.routes.isOpen("/"), "what the pattern means, and nothing below it")
	d.routes.rows = d.routes.rows[:3]
	for _, path := range []string{"", "/{$}", "/health/", "/Health", "/a/x", "/a/{appInstanceId}"} {
		require.False(t, d.routes.isOpen(path), path)
	}
	w := httptest.NewRecorder()
	d.routes.show().Handler.ServeHTTP(w, httptest.NewRequest("GET", "/routes", nil))
	var got struct{ Routes []routeRow }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, []routeRow{
		{"/health", "mep.MethodNotAllowed", "open", nil},
		{"GET /health", "mep.Health", "open", nil},
		{"PUT /a/{appInstanceId}", "mp1.Put", "owner", []string{"app", "host", "admin"}},
	}, got.Routes)
}
