package edgegallery

import (
	"net/http"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// The roots of what EdgeGallery's other components call.
const (
	governance = "/mep/service_govern/v1"
	manager    = "/mepcfg"
	platforms  = manager + "/mec_platform_config/v1"
	lifecycles = manager + "/app_lcm/v1"
)

// handlerFunc answers a request, or returns the error to refuse it with.
type handlerFunc func(w http.ResponseWriter, r *http.Request) error

// resource is a row of the route table.
type resource struct {
	path    string
	access  server.Access
	methods []method
}

type method struct {
	verb, name string
	handle     handlerFunc
}

// resources is the route table. There is no other place where these routes are.
func (p *platform) resources() []resource {
	return []resource{
		{governance + "/services", server.Mm5, []method{{http.MethodGet, "edgegallery.GetServices", p.listServices}}},
		{governance + "/subscribe_statistic", server.Mm5, []method{{http.MethodGet, "edgegallery.GetSubscribeStatistic", p.countSubscriptions}}},
		{governance + "/kong_log", server.Mm5, []method{
			{http.MethodGet, "edgegallery.GetCalls", p.showCalls},
			{http.MethodPost, "edgegallery.PostCall", p.countCall},
		}},
		{platforms + "/capabilities", server.Mm5, []method{{http.MethodGet, "edgegallery.GetCapabilities", p.listCapabilities}}},
		{platforms + "/capabilities/{capabilityId}", server.Mm5, []method{{http.MethodGet, "edgegallery.GetCapability", p.showCapability}}},
		{lifecycles + "/applications/{appInstanceId}/appd_configuration", server.Mm5, []method{
			{http.MethodPost, "edgegallery.PostConfiguration", p.configuration.create},
			{http.MethodPut, "edgegallery.PutConfiguration", p.configuration.update},
			{http.MethodGet, "edgegallery.GetConfiguration", p.configuration.show},
			{http.MethodDelete, "edgegallery.DeleteConfiguration", p.configuration.remove},
		}},
		{lifecycles + "/tasks/{taskId}/appd_configuration", server.Mm5, []method{{http.MethodGet, "edgegallery.GetTask", p.configuration.showTask}}},
		{"/mep" + mp1.AppSupportBase + "/applications/{appInstanceId}/AppInstanceTermination", server.Mm5OrOwner, []method{
			{http.MethodDelete, "edgegallery.TerminateApplication", p.terminator.terminate},
		}},
		{"/healthcheck", server.Open, []method{{http.MethodGet, "edgegallery.Healthcheck", healthy}}},
		// Tokens are made by mepauth, to which the gateway sends this path. Who comes here has
		// gone around it, and would take another 404 for a fault of this server.
		{"/mep/token", server.Open, []method{{http.MethodPost, "edgegallery.Token", func(http.ResponseWriter, *http.Request) error { return server.ErrToken }}}},
	}
}

// handling is where the routes go: plugins.Base.
type handling interface {
	Handle(pattern, name string, a server.Access, h http.Handler)
}

// serve serves the route table: each method, and for each path the refusal of the others.
func (p *platform) serve(by handling) {
	for _, res := range p.resources() {
		var allow []string
		for _, m := range res.methods {
			by.Handle(m.verb+" "+res.path, m.name, res.access, p.handler(m.handle))
			if allow = append(allow, m.verb); m.verb == http.MethodGet {
				allow = append(allow, http.MethodHead)
			}
		}
		by.Handle(res.path, "edgegallery.MethodNotAllowed", res.access, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			server.RefuseMethod(w, allow...)
		}))
	}
	nothing := p.handler(func(http.ResponseWriter, *http.Request) error { return server.ErrNoResource })
	for _, root := range []string{manager, manager + "/"} { // what is below /mep is Mp1's
		by.Handle(root, "edgegallery.NotFound", server.Mm5, nothing)
	}
}

// handler makes the checks that all routes share.
func (p *platform) handler(do handlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.checked(w, r, do); err != nil {
			server.RefuseError(w, err, 1)
		}
	})
}

func (p *platform) checked(w http.ResponseWriter, r *http.Request, do handlerFunc) error {
	if !p.ready() {
		return heartbeat.ErrNotReady
	}
	for _, name := range []string{"appInstanceId", "capabilityId", "taskId"} {
		if id := r.PathValue(name); id != "" && !mp1.ValidID(id) {
			return server.ErrNoResource
		}
	}
	if err := mp1.NoParameters(r.URL.RawQuery); err != nil {
		return err
	}
	// EdgeGallery's components say anything of what they send, or nothing: MECM sends no type. What
	// is no JSON is refused by its decoder, and pages of other origins by the identity plugin.
	r.Header.Del("Content-Type")
	return do(w, r)
}

// healthy is what the pod of EdgeGallery's healthcheck asks, and the same as GET /health.
func healthy(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := w.Write([]byte("ok\n"))
	_ = err // the client is gone
	return nil
}

// answer is how EdgeGallery's governance answers: data, and a code that is 0.
type answer struct {
	Data    any    `json:"data"`
	RetCode int    `json:"retCode"`
	Message string `json:"message"`
	Params  string `json:"params"`
}
