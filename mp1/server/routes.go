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
type handle func(w http.ResponseWriter, r *http.Request, c call) error

// row is a resource: its path below mp1.Base and what its methods do.
type row struct {
	path    string
	methods []method
}

type method struct {
	name string
	verb string
	do   handle
	// queried: it takes the query parameters of a list; others take none.
	queried bool
	// beats: it is a heartbeat, which no limit ever holds back.
	beats bool
}

// writes says whether the method adds something to the store, or changes it. What only
// removes is not limited: it is the remedy when there is too much.
func (m method) writes() bool {
	return !m.beats && m.verb != http.MethodGet && m.verb != http.MethodDelete
}

const (
	ofApplication = "/applications/{appInstanceId}/services"
	oneOf         = ofApplication + "/{serviceId}"
	liveness      = oneOf + "/liveness"
	livenessAlias = "/applications/{appInstanceId}/service/{serviceId}/liveness" // as the feature request has it
)

// resources is the route table.
func (s *surface) resources() []row {
	beat := []method{
		{name: "mp1.GetLiveness", verb: http.MethodGet, do: s.getLiveness},
		{name: "mp1.PatchLiveness", verb: http.MethodPatch, do: s.beat, beats: true},
		{name: "mp1.PutLiveness", verb: http.MethodPut, do: s.beat, beats: true}, // as EdgeGallery's agents have it
	}
	return append(s.subscriptionRows(), []row{
		{"/services", []method{{name: "mp1.GetServices", verb: http.MethodGet, do: s.discover, queried: true}}},
		{"/services/{serviceId}", []method{{name: "mp1.GetService", verb: http.MethodGet, do: s.getService}}},
		{"/transports", []method{{name: "mp1.GetTransports", verb: http.MethodGet, do: s.getTransports}}},
		{ofApplication, []method{
			{name: "mp1.GetApplicationServices", verb: http.MethodGet, do: s.listOwn, queried: true},
			{name: "mp1.PostService", verb: http.MethodPost, do: s.register},
		}},
		{oneOf, []method{
			{name: "mp1.GetApplicationService", verb: http.MethodGet, do: s.getOwn},
			{name: "mp1.PutService", verb: http.MethodPut, do: s.update},
			{name: "mp1.DeleteService", verb: http.MethodDelete, do: s.remove},
		}},
		{liveness, beat},
		{livenessAlias, beat},
	}...)
}

const (
	defaultMaxBody = 64 << 10
	usualMaxBeat   = 1 << 10
)

// surface is the Mp1 surface of one registry.
type surface struct {
	registry   Registry
	options    Options
	transports []byte
	readers    readers
}

// Routes is everything that Mp1 serves, under / and under /mep. Unknown paths below
// the two API roots and other methods are answered as ProblemDetails too.
func Routes(r Registry, o Options) []Route {
	o.MaxBody, o.MaxBeat = cmp.Or(o.MaxBody, defaultMaxBody), cmp.Or(o.MaxBeat, usualMaxBeat)
	s := &surface{registry: r, options: o, transports: encode(mp1.DefaultTransports())}
	out := s.documents()
	for _, prefix := range []string{"", mepPrefix} {
		for _, res := range s.resources() {
			out = append(out, s.routes(prefix, mp1.Base, res)...)
		}
		for _, res := range s.registrationRows() {
			out = append(out, s.routes(prefix, mp1.AppSupportBase, res)...)
		}
	}
	// net/http's mux answers the root of a subtree without its slash with a redirect
	// in HTML, so each root stands here by itself too.
	for _, root := range []string{"/mec_service_mgmt", mepPrefix + "/mec_service_mgmt", "/mec_app_support", mepPrefix + "/mec_app_support", mepPrefix} {
		nothing := s.serve("", true, refuse(errNoResource))
		out = append(out, Route{root, "mp1.NotFound", nothing}, Route{root + "/", "mp1.NotFound", nothing})
	}
	return out
}

// routes are those of one resource, with the refusal of the methods it does not have.
func (s *surface) routes(prefix, base string, res row) (out []Route) {
	allow := []string{}
	for _, m := range res.methods {
		do := m.do
		if m.writes() {
			if do = s.adding(do); s.options.Limits != nil {
				do = s.limited(do)
			}
		}
		out = append(out, Route{m.verb + " " + prefix + base + res.path, m.name, s.serve(prefix, m.queried, do)})
		allow = append(allow, m.verb)
		if m.verb == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	slices.Sort(allow)
	return append(out, Route{prefix + base + res.path, "mp1.MethodNotAllowed", s.serve(prefix, true, refuse(notAllowed(allow)))})
}

func refuse(p *problem) handle {
	return func(http.ResponseWriter, *http.Request, call) error { return p }
}

// call is what the handlers know of a request beyond itself.
type call struct {
	prefix       string
	app, service string // from the path; "" if the pattern has none
	subscription string
}

func (s *surface) serve(prefix string, queried bool, do handle) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := call{prefix: prefix, app: r.PathValue("appInstanceId"), service: r.PathValue("serviceId"), subscription: r.PathValue("subscriptionId")}
		if err := s.admit(r, c, queried); err != nil {
			problemOf(err, s.options).write(w, s.options)
			return
		}
		if err := do(w, r, c); err != nil {
			problemOf(err, s.options).write(w, s.options)
		}
	})
}

// admit makes the checks that all resources share.
func (s *surface) admit(r *http.Request, c call, queried bool) error {
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
