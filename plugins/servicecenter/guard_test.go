package servicecenter

import (
	"reflect"
	"strings"
	"testing"

	"github.com/apache/servicecomb-service-center/pkg/rest"
	"github.com/stretchr/testify/require"
)

// unguarded are the routes that write and need no guard.
var unguarded = map[string]string{
	"POST /v4/:project/registry/instances/action": "a query",
	"DELETE /v4/:project/admin/alarms":            "it clears the alarms that service-center shows",
	"POST /v1/:project/gov/:kind":                 "policies go to a configuration server, and none is built in",
	"PUT /v1/:project/gov/:kind/:id":              "the same",
	"DELETE /v1/:project/gov/:kind/:id":           "the same",
}

// Every route of service-center that may write is guarded or known to be harmless,
// also those that another version of it adds.
func TestEveryRouteThatWritesIsGuardedOrHarmless(t *testing.T) {
	known := map[string]bool{}
	routes := reflect.ValueOf(rest.GetRouter()).Elem().FieldByName("handlers")
	for _, method := range routes.MapKeys() {
		for i := range routes.MapIndex(method).Len() {
			path := routes.MapIndex(method).Index(i).Elem().FieldByName("Path").String()
			route := method.String() + " " + path
			known[route] = true
			if method.String() == "GET" {
				continue
			}
			if guarded[route] == nil && unguarded[route] == "" {
				t.Errorf("%s writes; who guards it?", route)
			}
		}
	}
	require.Greater(t, len(known), 30)
	for route := range guarded {
		require.True(t, known[route], "%s: no such route", route)
	}
	for route := range unguarded {
		require.True(t, known[route] && guarded[route] == nil, "%s: no such route, or guarded", route)
		require.False(t, strings.HasPrefix(route, "GET"))
	}
}

func TestANullInAListReachesNoController(t *testing.T) {
	for path, body := range map[string]string{
		"PUT /v4/default/registry/heartbeats":     `{"instances":[null]}`,
		"POST /v4/default/registry/microservices": `{"service":{"appId":"null","serviceName":"h","version":"1.0"},"instances":[null]}`,
	} {
		method, path, _ := strings.Cut(path, " ")
		status, _, answer := send(t, method, path, body)
		require.Equal(t, 400, status, answer)
		require.NotContains(t, answer, "runtime error")
	}
	status, _, answer := send(t, "POST", "/v4/default/registry/microservices", `{"service":{"appId":"null","serviceName":"h","version":"1.0"},"rules":[null]}`)
	require.Equal(t, 400, status, answer)
}
