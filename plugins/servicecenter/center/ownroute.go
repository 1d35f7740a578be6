package center

import (
	"context"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/apache/servicecomb-service-center/pkg/chain"
	sclog "github.com/apache/servicecomb-service-center/pkg/log"
	"github.com/apache/servicecomb-service-center/pkg/rest"
	"github.com/apache/servicecomb-service-center/pkg/util"
	"github.com/apache/servicecomb-service-center/server/interceptor"
	"github.com/apache/servicecomb-service-center/server/interceptor/access"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// ownRoute is one of our routes on service-center's mux. What is the same for all its requests is
// made once: the values that service-center's handlers look up, and the series that count it.
type ownRoute struct {
	center  *Center
	pattern string
	name    string
	access  server.Access
	handler http.Handler
	counts  *routeCounts
	beat    bool // it changes nothing that is written down
	owned   bool // its path names an application
	passes  sync.Pool
}

func (c *Center) newOwnRoute(pattern, name string, a server.Access, h http.Handler) *ownRoute {
	o := &ownRoute{center: c, pattern: pattern, name: name, access: a, handler: h, counts: newRouteCounts(name, c.durations),
		beat:  strings.HasSuffix(pattern, "/liveness") || strings.HasSuffix(pattern, mp1.HeartbeatsPath),
		owned: strings.Contains(pattern, "{appInstanceId}")}
	handlers := chain.Handlers(mp1Chain)
	o.passes.New = func() any { return newPass(o, handlers) }
	return o
}

// ServeHTTP implements http.Handler. Like service-center's own ServerHandler it begins with its
// interceptors; but it gives the request no context of service-center's, which only handlers ask
// for that are not in mp1Chain.
func (o *ownRoute) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if interceptor.InvokeInterceptors(w, r) != nil {
		return // the interceptor has answered
	}
	began, out := time.Now(), &recorder{ResponseWriter: w, goesOn: plugins.StreamsEvents(r)}
	plugins.NoteRoute(w, o.name, !o.beat && plugins.Changes(r.Method))
	if err := o.allow(r); err != nil {
		server.RefuseError(out, err, 1)
	} else {
		p := o.passes.Get().(*pass)
		p.carry(out, r)
		o.passes.Put(p)
	}
	ended := time.Now()
	if !out.answered.IsZero() {
		ended = out.answered
	}
	o.counts.count(r.Method, out.status, began, ended)
}

// intercept takes the place of service-center's access interceptor, which outer makes nothing of but a
// header that names the server. It stays in the answers of service-center's own API; a heartbeat's
// has no header, which alone would be a quarter of what it allocates here.
func intercept(w http.ResponseWriter, r *http.Request) error {
	if !IsServiceComb(r.URL.Path) {
		return nil
	}
	return access.Intercept(w, r)
}

// allow asks the identity plugin whether the caller may use the route.
func (o *ownRoute) allow(r *http.Request) error {
	identity := o.center.identity
	if identity == nil {
		return nil
	}
	app := ""
	if o.owned {
		app = r.PathValue("appInstanceId")
	}
	return identity.Allow(r, o.name, o.access, app)
}

// pass carries requests of one route through service-center's chain, one after the other. The
// chain's handlers look everything up in a map; to fill one for each request costs more than all that
// they do. What is the same for all requests is in the map; for the rest it asks the context below,
// which the pass is. None of mp1Chain keeps it, and our handlers never see it.
type pass struct {
	context.Context // of the request that is under way
	out             *recorder
	r               *http.Request

	route    *ownRoute
	handlers []chain.Handler
	ctx      *util.StringContext // over the pass
	inv      chain.Invocation
	answer   func(chain.Result)
}

func newPass(o *ownRoute, handlers []chain.Handler) *pass {
	p := &pass{route: o, handlers: handlers}
	p.ctx = util.NewStringContext(p)
	p.ctx.SetKV(util.CtxDomain, defaultTenant) // its context handler knows only its own paths
	p.ctx.SetKV(util.CtxProject, defaultTenant)
	p.ctx.SetKV(rest.CtxMatchPattern, o.pattern)
	p.ctx.SetKV(rest.CtxMatchFunc, o.name)
	p.answer = p.answered
	return p
}

// Value implements context.Context.
func (p *pass) Value(key any) any {
	switch key {
	case rest.CtxRequest:
		return p.r
	case rest.CtxResponse:
		return http.ResponseWriter(p.out)
	}
	return p.Context.Value(key)
}

// carry has one request judged and answered. Nothing of it is kept.
func (p *pass) carry(out *recorder, r *http.Request) {
	p.Context, p.out, p.r = r.Context(), out, r
	p.inv = chain.NewInvocation(p.ctx, chain.NewChain(mp1Chain, p.handlers))
	p.inv.Invoke(p.answer)
	p.Context, p.out, p.r = nil, nil, nil
}

// answered is called when the chain has let a request through, or has not.
func (p *pass) answered(ret chain.Result) {
	defer func() {
		if fault := recover(); fault != nil {
			sclog.Errorf(nil, "panic in %s: %v\n%s", p.route.name, fault, debug.Stack())
			refuse(p.out, http.StatusInternalServerError, "The platform failed on this request; its log says more.")
		}
	}()
	switch {
	case ret.Err != nil && !p.out.wrote():
		refuse(p.out, http.StatusBadRequest, "The request was refused before it reached its resource.")
	case ret.OK:
		p.route.handler.ServeHTTP(p.out, p.r)
	}
}
