package center

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/apache/servicecomb-service-center/pkg/chain"
	"github.com/apache/servicecomb-service-center/pkg/rest"

	"github.com/mec-liveness/mepserver/mp1/retryafter"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// theLimits comes in service-center's chain before the guard, which reads bodies.
var theLimits = &limits{}

// limits bounds what may be written through service-center's own API, by the identity of the
// caller or else the address of the connection: a request there says who it is for, not who it
// is from.
type limits struct {
	of atomic.Pointer[server.Limits]
}

// Limit has the writes through service-center's API counted by l; nil: nothing is
// limited.
func (c *Center) Limit(l server.Limits) {
	if l != nil {
		theLimits.of.Store(&l)
	}
}

// unlimited are the routes that no limit holds back, beside all GETs and DELETEs: a heartbeat
// must not fail because of what others do. What they send is bounded by theBounds.
var unlimited = map[string]bool{
	"PUT " + oneInstance + "/heartbeat":  true,
	"PUT " + registryRoot + "heartbeats": true,
}

// queries only ask, although they have a body: they count as lists, and the body counts, but
// not as a write.
var queries = map[string]bool{"POST " + batchFind: true}

// Handle implements chain.Handler.
func (l *limits) Handle(i *chain.Invocation) {
	r, _ := i.Context().Value(rest.CtxRequest).(*http.Request)
	w, _ := i.Context().Value(rest.CtxResponse).(http.ResponseWriter)
	pattern, _ := i.Context().Value(rest.CtxMatchPattern).(string)
	route := r.Method + " " + pattern
	of := l.of.Load()
	if of == nil || unlimited[route] || r.Method == http.MethodGet || r.Method == http.MethodDelete {
		i.Next()
		return
	}
	if wait := admit(*of, r, queries[route]); wait > 0 {
		tooMany(w, wait)
		return // the chain ends here
	}
	i.Next()
}

// admit counts the request, and its body while it reads it if its length was not told:
// the guard behind reads all of it in any case.
func admit(of server.Limits, r *http.Request, query bool) time.Duration {
	n := max(r.ContentLength, 0)
	var wait time.Duration
	if query {
		if wait = of.List(r.Context(), r.RemoteAddr); wait > 0 {
			return wait
		}
		wait = of.Bytes(r.Context(), "", r.RemoteAddr, n)
	} else {
		wait = of.Write(r.Context(), "", r.RemoteAddr, n)
	}
	if wait > 0 || r.ContentLength >= 0 || r.Body == nil {
		return wait
	}
	b, err := io.ReadAll(&server.CountedBody{ReadCloser: r.Body, Count: func(n int64) time.Duration { return of.Bytes(r.Context(), "", r.RemoteAddr, n) }})
	var over *server.OverLimit
	if errors.As(err, &over) {
		return over.Wait
	}
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(b), failing{err}))
	return 0
}

// failing ends a body as it ended when it was read; nil: at its end.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

// tooMany answers in service-center's own form.
func tooMany(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(retryafter.Seconds(wait)))
	writeError(w, http.StatusTooManyRequests, "429001", "Too Many Requests", "Too many changes or finds, or too large ones, in a short time; wait as long as Retry-After says.")
}
