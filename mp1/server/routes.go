package server

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// Options of the surface.
type Options struct {
	RetryAfter  int   // seconds; of 503 and 507
	MaxBody     int64 // bytes of a request body; 0: 65536
	MaxBeat     int64 // bytes of a heartbeat's body; 0: 1024
	LimitStatus int   // answers a registration or subscription over the limit; 0: 403

	Subscriptions        Subscriptions // nil: the surface has no subscriptions
	NoEmptySubscriptions bool          // a list of none is a 404, as EdgeGallery's clients know it
	Registrations        Registrations // nil: applications cannot register
	Limits               Limits        // nil: nothing is limited
	Unread               Unread        // nil: answers are not bounded
}

// Route is one pattern of a net/http mux with its handler. Name is a constant for
// metrics.
type Route struct {
	Pattern, Name string
	Handler       http.Handler
}

// handle answers a request or returns why not.
type handlerFunc func(w http.ResponseWriter, r *http.Request, c target) error

// row is a resource: its path below mp1.Base and what its methods do.
type resource struct {
	path    string
	methods []method
}

type method struct {
	name   string
	verb   string
	handle handlerFunc
	// queried: it takes the query parameters of a list; others take none.
	takesQuery bool
	// beats: it is a heartbeat, which no limit ever holds back.
	heartbeat bool
}

// writes says whether the method adds something to the store, or changes it. What only
// removes is not limited: it is the remedy when there is too much.
func (m method) writes() bool {
	return !m.heartbeat && m.verb != http.MethodGet && m.verb != http.MethodDelete
}

const (
	servicesPattern      = "/applications/{appInstanceId}/services"
	servicePattern       = servicesPattern + "/{serviceId}"
	livenessPattern      = servicePattern + "/liveness"
	livenessAliasPattern = "/applications/{appInstanceId}/service/{serviceId}/liveness" // as the feature request has it
)

// resources is the route table.
func (s *api) resources() []resource {
	beat := []method{
		{name: "mp1.GetLiveness", verb: http.MethodGet, handle: s.getLiveness},
		{name: "mp1.PatchLiveness", verb: http.MethodPatch, handle: s.beat, heartbeat: true},
		{name: "mp1.PutLiveness", verb: http.MethodPut, handle: s.beat, heartbeat: true}, // as EdgeGallery's agents have it
	}
	return append(s.subscriptionResources(), []resource{
		{"/services", []method{{name: "mp1.GetServices", verb: http.MethodGet, handle: s.discover, takesQuery: true}}},
		{"/services/{serviceId}", []method{{name: "mp1.GetService", verb: http.MethodGet, handle: s.getService}}},
		{"/transports", []method{{name: "mp1.GetTransports", verb: http.MethodGet, handle: s.getTransports}}},
		{servicesPattern, []method{
			{name: "mp1.GetApplicationServices", verb: http.MethodGet, handle: s.listOwnServices, takesQuery: true},
			{name: "mp1.PostService", verb: http.MethodPost, handle: s.registerService},
		}},
		{servicePattern, []method{
			{name: "mp1.GetApplicationService", verb: http.MethodGet, handle: s.getOwnService},
			{name: "mp1.PutService", verb: http.MethodPut, handle: s.updateService},
			{name: "mp1.DeleteService", verb: http.MethodDelete, handle: s.removeService},
		}},
		{livenessPattern, beat},
		{livenessAliasPattern, beat},
	}...)
}

const (
	defaultMaxBody = 64 << 10
	defaultMaxBeat = 1 << 10
)

// surface is the Mp1 surface of one registry.
type api struct {
	registry   Registry
	options    Options
	transports []byte
	readers    sharedLists
}

// Routes is everything that Mp1 serves, under / and under /mep. Unknown paths below
// the two API roots and other methods are answered as ProblemDetails too.
func Routes(r Registry, o Options) []Route {
	o.MaxBody, o.MaxBeat = cmp.Or(o.MaxBody, defaultMaxBody), cmp.Or(o.MaxBeat, defaultMaxBeat)
	s := &api{registry: r, options: o, transports: encodeJSON(mp1.DefaultTransports())}
	out := s.documentRoutes()
	for _, prefix := range []string{"", mepPrefix} {
		for _, res := range s.resources() {
			out = append(out, s.routes(prefix, mp1.Base, res)...)
		}
		for _, res := range s.registrationResources() {
			out = append(out, s.routes(prefix, mp1.AppSupportBase, res)...)
		}
	}
	// net/http's mux answers the root of a subtree without its slash with a redirect
	// in HTML, so each root stands here by itself too.
	for _, root := range []string{"/mec_service_mgmt", mepPrefix + "/mec_service_mgmt", "/mec_app_support", mepPrefix + "/mec_app_support", mepPrefix} {
		nothing := s.handler("", true, refuse(errNoResource))
		out = append(out, Route{root, "mp1.NotFound", nothing}, Route{root + "/", "mp1.NotFound", nothing})
	}
	return out
}

// routes are those of one resource, with the refusal of the methods it does not have.
func (s *api) routes(prefix, base string, res resource) (out []Route) {
	allow := []string{}
	for _, m := range res.methods {
		do := m.handle
		if m.writes() {
			if do = s.withRoomAfter(do); s.options.Limits != nil {
				do = s.withLimits(do)
			}
		}
		out = append(out, Route{m.verb + " " + prefix + base + res.path, m.name, s.handler(prefix, m.takesQuery, do)})
		allow = append(allow, m.verb)
		if m.verb == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	slices.Sort(allow)
	return append(out, Route{prefix + base + res.path, "mp1.MethodNotAllowed", s.handler(prefix, true, refuse(notAllowed(allow)))})
}

func refuse(p *problem) handlerFunc {
	return func(http.ResponseWriter, *http.Request, target) error { return p }
}

// call is what the handlers know of a request beyond itself.
type target struct {
	prefix       string
	app, service string // from the path; "" if the pattern has none
	subscription string
}

func (s *api) handler(prefix string, queried bool, do handlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := target{prefix: prefix, app: r.PathValue("appInstanceId"), service: r.PathValue("serviceId"), subscription: r.PathValue("subscriptionId")}
		if err := s.precheck(r, c, queried); err != nil {
			problemOf(err, s.options).write(w, s.options)
			return
		}
		if err := do(w, r, c); err != nil {
			problemOf(err, s.options).write(w, s.options)
		}
	})
}

// admit makes the checks that all resources share.
func (s *api) precheck(r *http.Request, c target, queried bool) error {
	switch {
	case !s.registry.Ready():
		return heartbeat.ErrNotReady
	case c.app != "" && !mp1.ValidID(c.app), c.service != "" && !mp1.ValidID(c.service),
		c.subscription != "" && !mp1.ValidID(c.subscription):
		return errNoResource
	}
	if c.app != "" {
		switch known, err := s.registry.Admitted(r.Context(), c.app); {
		case err != nil:
			return err
		case !known:
			return errUnknownApp
		}
	}
	if !queried {
		return mp1.NoParameters(r.URL.RawQuery)
	}
	return nil
}
