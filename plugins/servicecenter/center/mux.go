package center

import (
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/apache/servicecomb-service-center/pkg/chain"
	sclog "github.com/apache/servicecomb-service-center/pkg/log"
	"github.com/apache/servicecomb-service-center/pkg/rbacframe"
	"github.com/apache/servicecomb-service-center/pkg/rest"
	"github.com/apache/servicecomb-service-center/pkg/util"
	srest "github.com/apache/servicecomb-service-center/server/rest"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// mp1Chain is the chain of our routes: service-center's handlers without those that
// read its own query parameters and paths.
const mp1Chain = "_mp1_chain"

// Handle serves a net/http pattern on service-center's mux, behind its interceptors
// and handlers. Its router refuses PATCH; its mux does not.
func (c *Center) Handle(pattern, name string, a server.Access, h http.Handler) {
	c.handled[pattern] = true
	if len(pattern) > 1 && pattern[0] == '/' && strings.HasSuffix(pattern, "/") && !strings.Contains(pattern, "{") {
		c.trees = append(c.trees, pattern)
	}
	if c.identity != nil {
		c.identity.Route(pattern, name, a)
	}
	rbacframe.MapResource(pattern, "service")
	handlers := chain.Handlers(mp1Chain)
	counts := newRouteCounts(name)
	beat := strings.HasSuffix(pattern, "/liveness") || strings.HasSuffix(pattern, mp1.HeartbeatsPath) // it changes nothing that is written down
	owned := strings.Contains(pattern, "{appInstanceId}")
	srest.RegisterServerHandler(pattern, srest.NewServerHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, out := time.Now(), &recorder{ResponseWriter: w, goesOn: plugins.StreamsEvents(r)}
		plugins.NoteRoute(w, name, !beat && plugins.Changes(r.Method))
		if err := c.allow(r, owned, name, a); err != nil {
			server.RefuseError(out, err, 1)
		} else {
			serve(out, r, pattern, name, handlers, h)
		}
		took := time.Since(began)
		if !out.answered.IsZero() {
			took = out.answered.Sub(began)
		}
		counts.count(r, out.status, took)
	})))
}

// allow asks the identity plugin whether the caller may use a route. owned says that its path
// names an application.
func (c *Center) allow(r *http.Request, owned bool, name string, a server.Access) error {
	if c.identity == nil {
		return nil
	}
	app := ""
	if owned {
		app = r.PathValue("appInstanceId")
	}
	return c.identity.Allow(r, name, a, app)
}

func serve(out *recorder, r *http.Request, pattern, name string, handlers []chain.Handler, h http.Handler) {
	ctx := util.NewStringContext(r.Context())
	ctx.SetKV(util.CtxDomain, defaultTenant) // its context handler knows only its own paths
	ctx.SetKV(util.CtxProject, defaultTenant)
	inv := chain.NewInvocation(ctx, chain.NewChain(mp1Chain, handlers))
	inv.WithContext(rest.CtxResponse, http.ResponseWriter(out)).WithContext(rest.CtxRequest, r).
		WithContext(rest.CtxMatchPattern, pattern).WithContext(rest.CtxMatchFunc, name).
		Invoke(func(ret chain.Result) {
			defer func() {
				if p := recover(); p != nil {
					sclog.Errorf(nil, "panic in %s: %v\n%s", name, p, debug.Stack())
					refuse(out, http.StatusInternalServerError, "The platform failed on this request; its log says more.")
				}
			}()
			switch {
			case ret.Err != nil && !out.wrote():
				refuse(out, http.StatusBadRequest, "The request was refused before it reached its resource.")
			case ret.OK:
				h.ServeHTTP(out, r)
			}
		})
}

// recorder notes the status of an answer.
type recorder struct {
	http.ResponseWriter
	status   int       // 0: nothing was written
	goesOn   bool      // until somebody ends it: how long that takes says nothing of the platform
	answered time.Time // when it began, of one that goes on
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
		if r.goesOn {
			r.answered = time.Now()
		}
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController and http.MaxBytesReader through.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) wrote() bool { return r.status != 0 }

// outer answers what service-center's access interceptor would refuse: it does so in
// plain text, with the raw URI, and has the request carried out all the same. What
// passes here passes there too. It judges r.RequestURI, which nothing else of what we
// use reads but to log it; so that is made the path alone, also of a request in
// absolute form (RFC 9112 §3.2.2).
func outer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		switch {
		case len(r.RequestURI) >= maxURI:
			refuse(w, http.StatusRequestURITooLong, "The request URI is longer than 2047 characters; ask in several requests.")
			return
		case path == "" || path[0] != '/':
			if r.Method == http.MethodOptions && r.RequestURI == "*" {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			refuse(w, http.StatusBadRequest, "The request URI must have a path that begins with /.")
			return
		case strings.Contains(path, "//"):
			refuse(w, http.StatusBadRequest, "The request URI contains an empty path segment (//); remove it.")
			return
		case hasDotSegment(r.URL.Path): // which net/http's mux answers with a redirect
			refuse(w, http.StatusNotFound, "There is no such resource; take URIs from _links.")
			return
		case strings.ContainsAny(path[len(path)-1:], ";&+@"):
			refuse(w, http.StatusBadRequest, "The path of the request URI ends in one of ; & + @; encode or remove it.")
			return
		}
		r.RequestURI = path
		r.Header.Del("X-Forwarded-For") // anybody may send these; a proxy that is believed is not configured yet
		r.Header.Del("X-Real-Ip")
		next.ServeHTTP(w, r)
	})
}

// maxURI is from how many bytes on service-center refuses a request URI.
const maxURI = 2048

// hasDotSegment says whether the path has a segment . or ..
func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// refuse writes a ProblemDetails (RFC 9457).
func refuse(w http.ResponseWriter, status int, detail string) {
	server.Refuse(w, status, detail, 0)
}
