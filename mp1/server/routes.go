package server

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
)

// Options are the settings of Routes.
type Options struct {
	RetryAfter  int   // of 503 and 507, in seconds; at least 1
	MaxBody     int64 // bytes of a request's body; 0 means 65536
	MaxBeat     int64 // bytes of a heartbeat's body; 0 means 1024
	LimitStatus int   // status of a registration or subscription over the limit of its application; 0 means 403

	Subscriptions        Subscriptions // to changes of services; nil: there are no routes of them
	NoEmptySubscriptions bool          // an empty list is answered with 404, which EdgeGallery's clients expect
	EdgeGallery          bool          // requests are completed and answers extended for EdgeGallery's clients
	Registrations        Registrations // nil: there are no routes of registrations of applications
	Timing               Timing        // nil: there are no routes of the time
	Rules                Rules         // nil: there are no routes of rules
	Limits               Limits        // nil: nothing is limited
	// TerminationSubscriptions are those of applications to their own termination; nil: there
	// are no routes of them.
	TerminationSubscriptions Subscriptions
	// MayActFor says whether who sent the request may act for an application that the path
	// does not name. nil: everybody may.
	MayActFor func(ctx context.Context, app string) bool
	// Configuring says whether an application is being configured, and cannot be ready yet. nil:
	// none ever is.
	Configuring    func(app string) bool
	ResponseMemory ResponseMemory // nil: answers are not bounded
	// Batched is told how many heartbeats of one request are answered with which status, before
	// the request is. nil: nobody wants to know.
	Batched func(w http.ResponseWriter, status, heartbeats int)
}

// Route is one pattern of a net/http mux with its handler, and who may use it. Name is the same for all paths
// of the pattern: it is a label of metrics.
type Route struct {
	Pattern, Name string
	Access        Access
	Handler       http.Handler
}

// handlerFunc answers a request, or returns the error to refuse it with.
type handlerFunc func(w http.ResponseWriter, r *http.Request, t target) error

// resource is a row of the route table: its path below the root of its API, and its methods.
type resource struct {
	path    string
	methods []method
}

// method is one HTTP method of a resource.
type method struct {
	name   string
	verb   string
	access Access
	handle handlerFunc
	// takesQuery says that it takes the query parameters of a list; others take none.
	takesQuery bool
	// lists says that it answers with a list, which is counted by whoever asks.
	lists bool
	// heartbeat says that it carries a heartbeat, which no limit may refuse.
	heartbeat bool
}

// writes reports whether the method adds something to the store or changes it, and is
// therefore limited. A deletion is not: it is the remedy when there is too much.
func (m method) writes() bool {
	return !m.heartbeat && m.verb != http.MethodGet && m.verb != http.MethodDelete
}

// The patterns of paths below mp1.Base.
const (
	servicesPattern      = "/applications/{appInstanceId}/services"
	servicePattern       = servicesPattern + "/{serviceId}"
	livenessPattern      = servicePattern + "/liveness"
	livenessAliasPattern = "/applications/{appInstanceId}/service/{serviceId}/liveness" // "service" as in the feature request
)

// resources is the route table of the service management API.
func (s *api) resources() []resource {
	beat := []method{
		{name: "mp1.GetLiveness", verb: http.MethodGet, access: Owner, handle: s.getLiveness},
		{name: "mp1.PatchLiveness", verb: http.MethodPatch, access: Owner, handle: s.beat, heartbeat: true},
		{name: "mp1.PutLiveness", verb: http.MethodPut, access: Owner, handle: s.beat, heartbeat: true}, // EdgeGallery's agents send PUT
	}
	return append(s.changeSubscriptions(), []resource{
		{"/services", []method{{name: "mp1.GetServices", verb: http.MethodGet, access: Identified, handle: s.discover, takesQuery: true, lists: true}}},
		{"/services/{serviceId}", []method{{name: "mp1.GetService", verb: http.MethodGet, access: Identified, handle: s.getService}}},
		{"/transports", []method{{name: "mp1.GetTransports", verb: http.MethodGet, access: Identified, handle: s.getTransports}}},
		{servicesPattern, []method{
			{name: "mp1.GetApplicationServices", verb: http.MethodGet, access: Owner, handle: s.listOwnServices, takesQuery: true, lists: true},
			{name: "mp1.PostService", verb: http.MethodPost, access: Owner, handle: s.registerService},
		}},
		{servicePattern, []method{
			{name: "mp1.GetApplicationService", verb: http.MethodGet, access: Owner, handle: s.getOwnService},
			{name: "mp1.PutService", verb: http.MethodPut, access: Owner, handle: s.updateService},
			{name: "mp1.DeleteService", verb: http.MethodDelete, access: Owner, handle: s.removeService},
		}},
		{livenessPattern, beat},
		{livenessAliasPattern, beat},
	}...)
}

const (
	defaultMaxBody = 64 << 10
	defaultMaxBeat = 1 << 10
)

// api has what the handlers share.
type api struct {
	registry   Registry
	options    Options
	transports []byte
	jsonType   string // of answers without an error
	readers    sharedLists
}

// Routes returns all routes of Mp1, each under / and under /mep. Unknown paths below the
// roots of the two APIs, and methods that a resource does not have, have routes too, which
// answer with a ProblemDetails.
func Routes(r Registry, o Options) []Route {
	o.MaxBody, o.MaxBeat = cmp.Or(o.MaxBody, defaultMaxBody), cmp.Or(o.MaxBeat, defaultMaxBeat)
	s := &api{registry: r, options: o, transports: encodeJSON(mp1.DefaultTransports()), jsonType: jsonType}
	if o.EdgeGallery {
		s.transports, s.jsonType = encodeJSON(mp1.EdgeGalleryTransports()), edgeGalleryJSONType
	}
	out := s.documentRoutes()
	for _, prefix := range []string{"", mepPrefix} {
		for _, res := range s.resources() {
			out = append(out, s.routes(prefix, mp1.Base, res)...)
		}
		for _, res := range slices.Concat(s.registrationResources(), s.terminationSubscriptions(), s.timingResources(), s.ruleResources()) {
			out = append(out, s.routes(prefix, mp1.AppSupportBase, res)...)
		}
		for _, res := range s.heartbeatResources() {
			out = append(out, s.routes(prefix, mp1.LivenessBase, res)...)
		}
	}
	// net/http's mux answers a path that lacks only the last slash of a pattern with a
	// redirect in HTML, so each root is a pattern without it too.
	for _, root := range []string{"/mec_service_mgmt", mepPrefix + "/mec_service_mgmt", "/mec_app_support", mepPrefix + "/mec_app_support", mepPrefix} {
		nothing := s.handler("", true, refuse(errNoResource))
		out = append(out, Route{root, "mp1.NotFound", Identified, nothing}, Route{root + "/", "mp1.NotFound", Identified, nothing})
	}
	return out
}

// routes returns the routes of one resource, and the one that refuses other methods.
func (s *api) routes(prefix, base string, res resource) (out []Route) {
	allow := []string{}
	for _, m := range res.methods {
		do := m.handle
		if m.writes() {
			if do = s.withRoomAfter(do); s.options.Limits != nil {
				do = s.withLimits(do)
			}
		}
		if m.lists && s.options.Limits != nil {
			do = s.withListLimit(do)
		}
		out = append(out, Route{m.verb + " " + prefix + base + res.path, m.name, m.access, s.handler(prefix, m.takesQuery, do)})
		allow = append(allow, m.verb)
		if m.verb == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	slices.Sort(allow)
	// A method that the resource does not have is refused to whom the others are: the checks
	// before it would tell a stranger whether the application exists.
	return append(out, Route{prefix + base + res.path, "mp1.MethodNotAllowed", res.methods[0].access, s.handler(prefix, true, refuse(notAllowed(allow)))})
}

// refuse always returns p.
func refuse(p *problem) handlerFunc {
	return func(http.ResponseWriter, *http.Request, target) error { return p }
}

// target is what the path of a request names.
type target struct {
	prefix       string // "" or mepPrefix
	app, service string // "" if the pattern has none
	subscription string
	rule         string
}

// handler makes the checks that all resources share, and answers with the problem of what
// handle returns.
func (s *api) handler(prefix string, queried bool, do handlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		echoAgent(w, r)
		t := target{prefix: prefix, app: r.PathValue("appInstanceId"), service: r.PathValue("serviceId"), subscription: r.PathValue("subscriptionId"),
			rule: cmp.Or(r.PathValue("dnsRuleId"), r.PathValue("trafficRuleId"))}
		if err := s.precheck(r, t, queried); err != nil {
			problemOf(err, s.options).write(w, s.options)
			return
		}
		if s.options.EdgeGallery {
			r.Header.Del("Content-Type") // its clients say anything there, or nothing; what is no JSON is refused by its decoder
		}
		if err := do(w, r, t); err != nil {
			problemOf(err, s.options).write(w, s.options)
		}
	})
}

// precheck makes the checks that all resources share.
func (s *api) precheck(r *http.Request, t target, queried bool) error {
	switch {
	case !s.registry.Ready():
		return heartbeat.ErrNotReady
	case t.app != "" && !mp1.ValidID(t.app), t.service != "" && !mp1.ValidID(t.service),
		t.subscription != "" && !mp1.ValidID(t.subscription), t.rule != "" && !mp1.ValidID(t.rule):
		return errNoResource
	}
	if t.app != "" {
		switch known, err := s.registry.Admitted(r.Context(), t.app); {
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
