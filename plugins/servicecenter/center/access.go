package center

import (
	"net/http"
	"sync/atomic"

	"github.com/apache/servicecomb-service-center/pkg/chain"
	"github.com/apache/servicecomb-service-center/pkg/rest"

	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// registryAccess says who may use the routes of service-center's own API, by their patterns.
// One without a row is refused to everybody, if callers have identities.
var registryAccess = map[server.Access][]string{
	server.RegistryReading: {
		"GET /v4/:project/registry/version",
		"GET /v4/:project/registry/health",
		"GET /v4/:project/registry/existence",
		"GET /v4/:project/registry/microservices",
		"GET /v4/:project/registry/microservices/:serviceId",
		"GET /v4/:project/registry/microservices/:serviceId/instances",
		"GET /v4/:project/registry/microservices/:serviceId/instances/:instanceId",
		"GET /v4/:project/registry/microservices/:serviceId/rules",
		"GET /v4/:project/registry/microservices/:serviceId/tags",
		"GET /v4/:project/registry/microservices/:serviceId/schemas",
		"GET /v4/:project/registry/microservices/:serviceId/schemas/:schemaId",
		"GET /v4/:project/registry/microservices/:serviceId/watcher",
		"GET /v4/:project/registry/microservices/:serviceId/listwatcher",
		"GET /v4/:project/registry/microservices/:consumerId/providers",
		"GET /v4/:project/registry/microservices/:providerId/consumers",
		"GET /v4/:project/registry/instances",
		"POST " + batchFind, // it only asks
		"GET /v4/:project/govern/microservices",
		"GET /v4/:project/govern/microservices/:serviceId",
		"GET /v4/:project/govern/relations",
		"GET /v4/:project/govern/apps",
		"GET /registry/v3/govern/services",
		"GET /registry/v3/govern/service/:serviceId",
		"GET /registry/v3/govern/relation",
		"GET /v1/:project/gov/:kind",
		"GET /v1/:project/gov/:kind/:id",
	},
	server.RegistryWriting: {
		"POST /v4/:project/registry/microservices",
		"DELETE /v4/:project/registry/microservices",
		"DELETE /v4/:project/registry/microservices/:serviceId",
		"PUT /v4/:project/registry/microservices/:serviceId/properties",
		"POST /v4/:project/registry/microservices/:serviceId/instances",
		"DELETE /v4/:project/registry/microservices/:serviceId/instances/:instanceId",
		"PUT /v4/:project/registry/microservices/:serviceId/instances/:instanceId/properties",
		"PUT /v4/:project/registry/microservices/:serviceId/instances/:instanceId/status",
		"PUT /v4/:project/registry/microservices/:serviceId/instances/:instanceId/heartbeat",
		"PUT /v4/:project/registry/heartbeats",
		"POST /v4/:project/registry/microservices/:serviceId/rules",
		"PUT /v4/:project/registry/microservices/:serviceId/rules/:rule_id",
		"DELETE /v4/:project/registry/microservices/:serviceId/rules/:rule_id",
		"POST /v4/:project/registry/microservices/:serviceId/tags",
		"PUT /v4/:project/registry/microservices/:serviceId/tags/:key",
		"DELETE /v4/:project/registry/microservices/:serviceId/tags/:key",
		"POST /v4/:project/registry/microservices/:serviceId/schemas",
		"PUT /v4/:project/registry/microservices/:serviceId/schemas/:schemaId",
		"DELETE /v4/:project/registry/microservices/:serviceId/schemas/:schemaId",
		"POST /v4/:project/registry/dependencies",
		"PUT /v4/:project/registry/dependencies",
	},
	server.Administrating: {
		"GET /v4/:project/admin/alarms",
		"DELETE /v4/:project/admin/alarms",
		"GET /v4/:project/admin/dump", // with service-center's environment
		"GET /v4/:project/admin/clusters",
		"POST /v1/:project/gov/:kind",
		"PUT /v1/:project/gov/:kind/:id",
		"DELETE /v1/:project/gov/:kind/:id",
	},
}

// theAccess comes first in service-center's chain, before anything of a request is read.
var theAccess = newAccessControl()

// accessControl asks the identity plugin who may use service-center's own routes.
type accessControl struct {
	of       map[string]server.Access // by METHOD and pattern
	identity atomic.Pointer[plugins.Identity]
}

func newAccessControl() *accessControl {
	a := &accessControl{of: map[string]server.Access{}}
	for access, routes := range registryAccess {
		for _, route := range routes {
			a.of[route] = access
		}
	}
	return a
}

// ask has the routes guarded by an identity plugin, and tells it of them; nil: by none.
func (a *accessControl) ask(i plugins.Identity) {
	if i == nil {
		return
	}
	for route, access := range a.of {
		i.Route(route, registryName, access)
	}
	i.Route("GET "+metricsPath, metricsName, server.Reading)
	if i.On() {
		a.identity.Store(&i)
	}
}

// The names of routes that are not ours, and the path of the one that is not in its router.
const (
	registryName = "servicecomb"
	metricsName  = "mep.Metrics"
	metricsPath  = "/metrics"
)

// Handle implements chain.Handler.
func (a *accessControl) Handle(i *chain.Invocation) {
	r, _ := i.Context().Value(rest.CtxRequest).(*http.Request)
	w, _ := i.Context().Value(rest.CtxResponse).(http.ResponseWriter)
	pattern, _ := i.Context().Value(rest.CtxMatchPattern).(string)
	route := r.Method + " " + pattern
	plugins.NoteRoute(w, pattern, plugins.Changes(r.Method) && !unlimited[route] && !queries[route])
	identity := a.identity.Load()
	if identity == nil {
		i.Next()
		return
	}
	if err := (*identity).Allow(r, registryName, a.of[route], ""); err != nil {
		server.RefuseError(w, err, 1)
		return // the chain ends here
	}
	i.Next()
}

// gate asks for what reaches no handler of ours and no route of service-center's, so that
// whoever may use nothing of it cannot even find out which of its paths there are. Our own
// handlers ask for themselves, and accessControl does for the routes behind this.
func (c *Center) gate(mux *http.ServeMux, next http.Handler) http.Handler {
	if c.identity == nil || !c.identity.On() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.handles(r) {
			next.ServeHTTP(w, r)
			return
		}
		_, pattern := mux.Handler(r)
		name, access := registryName, server.Access(0)
		switch {
		case c.handled[pattern]:
			next.ServeHTTP(w, r)
			return
		case pattern == metricsPath:
			name, access = metricsName, server.Reading
		case pattern == "/" && IsServiceComb(r.URL.Path):
			access = server.RegistryReading
		case pattern == "/":
			name, access = "", server.Identified // to be answered with 404
		}
		if err := c.identity.Allow(r, name, access, ""); err != nil {
			server.RefuseError(w, err, 1)
			return
		}
		next.ServeHTTP(w, r)
	})
}
