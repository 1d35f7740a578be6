package center

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/apache/servicecomb-service-center/pkg/chain"
	"github.com/apache/servicecomb-service-center/pkg/rest"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// theGuard keeps service-center's own API from changing what Mp1 registered. The rule is
// enforced in the registry plugin, through which every write passes, by the keys that it
// ends at (finalkeys.go); here are what the guard knows of ours, and how a refusal reaches
// the client.
var theGuard = newGuard()

type guard struct {
	ours     atomic.Pointer[Owned]
	refusals *prometheus.CounterVec // writes by reason
	rejected *prometheus.CounterVec // requests by reason
}

func newGuard() *guard {
	return &guard{
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mep_servicecomb_writes_refused_total", Help: "Writes of service-center that were not carried out, by reason.",
		}, []string{"reason"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mep_servicecomb_requests_refused_total", Help: "Requests that never reached service-center, by reason.",
		}, []string{"reason"}),
	}
}

// show adds the guard's metrics, with all their labels.
func (g *guard) show(cs *plugins.Collectors) {
	for _, why := range []refusal{refusedOurs, refusedForm, refusedRoom} {
		g.refusals.WithLabelValues(string(why))
	}
	for _, why := range []string{rejectedPath, rejectedQuery, rejectedHeader, rejectedBody} {
		g.rejected.WithLabelValues(why)
	}
	cs.Add(g.refusals)
	cs.Add(g.rejected)
}

// Owned is what the guard asks the store before it lets a write of service-center through:
// whether Mp1 has registered what it would change.
type Owned interface {
	// Owns says whether an instance is ours. An empty instanceID asks for a microservice of
	// which instances are ours, an empty serviceID for an instance of any microservice.
	Owns(serviceID, instanceID string) bool
	// OwnsLease says whether an instance of ours hangs on the lease.
	OwnsLease(l heartbeat.LeaseID) bool
}

// Protect tells the guard what is ours, as far as this replica has seen; nil: nothing.
func (c *Center) Protect(o Owned) {
	if o == nil {
		theGuard.ours.Store(nil)
		return
	}
	theGuard.ours.Store(&o)
}

// owns is Owned.Owns, with service-center's own registration.
func (g *guard) owns(serviceID, instanceID string) bool {
	if serviceID == SelfServiceID {
		return true
	}
	o := g.ours.Load()
	return o != nil && (*o).Owns(serviceID, instanceID)
}

// leases says whether a record of ours hangs on the lease.
func (g *guard) leases(l heartbeat.LeaseID) bool {
	o := g.ours.Load()
	return o != nil && (*o).OwnsLease(l)
}

// Handle implements chain.Handler. It rejects a body at which a controller would panic, and
// early a request that names something of ours by its id, so that the response does not
// depend on what service-center would have found. This is not the protection itself:
// finalkeys.go enforces it for every write that passes here.
func (g *guard) Handle(i *chain.Invocation) {
	r, _ := i.Context().Value(rest.CtxRequest).(*http.Request)
	w, _ := i.Context().Value(rest.CtxResponse).(http.ResponseWriter)
	pattern, _ := i.Context().Value(rest.CtxMatchPattern).(string)
	if r.Method == http.MethodGet {
		if isWatch(pattern) && !watchable(r) {
			writeUnanswered(w)
			return
		}
		i.Next()
		return
	}
	b := scan(r)
	if problem := b.problem(r.Method + " " + pattern); problem != "" {
		g.rejectBody(w, problem)
		return // the chain ends here
	}
	if pattern != batchFind && g.names(r.URL.Path, b.ids) {
		g.refuse(r.Context(), refusedOurs)
		w.WriteHeader(http.StatusForbidden) // refusalWriter replaces it by the reason
		return
	}
	i.Next()
}

const (
	registryRoot = "/v4/:project/registry/"
	oneInstance  = registryRoot + "microservices/:serviceId/instances/:instanceId"
	// batchFind only reads, although it is a POST: it may name ours.
	batchFind = registryRoot + "instances/action"
)

func (g *guard) names(path string, ids []string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if g.owns(segment, "") || g.owns("", segment) {
			return true
		}
	}
	for _, id := range ids {
		if g.owns(id, "") || g.owns("", id) {
			return true
		}
	}
	return false
}

// callKey finds what validateRequest knows of a request in its context.
type callKey struct{}

// apiCall is one to service-center's API.
type apiCall struct {
	refused    atomic.Pointer[refusal] // of a write
	asks       bool                    // it changes nothing
	reads      *reads                  // of the store, on its behalf
	cacheReads uint64                  // failedCacheReads when it came
}

// refuse counts a refused write, and has the request that asked for it say so.
func (g *guard) refuse(ctx context.Context, why refusal) {
	g.refusals.WithLabelValues(string(why)).Inc()
	if r, ok := ctx.Value(callKey{}).(*apiCall); ok {
		r.refused.CompareAndSwap(nil, &why)
	}
}

// refusalWriter replaces the response to a request whose write was refused by a 403, 507 or
// 400: service-center itself does not know why its transaction failed, and after some
// writes it does not look. One that was made of what the store did not answer becomes a 503.
type refusalWriter struct {
	http.ResponseWriter
	call     *apiCall
	status   int
	replaced bool // the response was replaced
}

// WriteHeader implements http.ResponseWriter.
func (a *refusalWriter) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	a.status = status
	why := a.call.refused.Load()
	switch {
	case why == nil && a.call.misled(status):
		writeUnanswered(a.ResponseWriter)
	case why == nil:
		a.ResponseWriter.WriteHeader(status)
		return
	case *why == refusedOurs:
		writeError(a.ResponseWriter, http.StatusForbidden, "403001", "Forbidden", "This service is registered over Mp1 and can only be changed there.")
	case *why == refusedRoom:
		a.Header().Set("Retry-After", strconv.Itoa(server.RoomAfter))
		writeError(a.ResponseWriter, http.StatusInsufficientStorage, "507001", "Insufficient storage", "The platform's store is full; what is registered goes on. Try again later.")
	default:
		writeInvalid(a.ResponseWriter, "An id or name in the request contains characters that none may have.")
	}
	a.replaced = true
}

// Write implements http.ResponseWriter.
func (a *refusalWriter) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if a.replaced {
		return len(p), nil
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController and http.MaxBytesReader through.
func (a *refusalWriter) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Hijack implements http.Hijacker: a watch takes the connection over.
func (a *refusalWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w := &watchConn{Conn: conn}
	a.call.reads.watch.Store(w)
	return w, rw, nil
}

// writeError writes an error in the form of service-center's own API; code is its errorCode.
func writeError(w http.ResponseWriter, status int, code, message, detail string) {
	body, _ := json.Marshal(struct { // strings: cannot fail
		Code    string `json:"errorCode"`
		Message string `json:"errorMessage"`
		Detail  string `json:"detail"`
	}{code, message, detail})
	w.Header().Set("Content-Type", rest.ContentTypeJSON)
	w.Header().Set(rest.HeaderResponseStatus, strconv.Itoa(status))
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// writeInvalid writes a 400 whose detail says what is wrong with the request.
func writeInvalid(w http.ResponseWriter, detail string) {
	writeError(w, http.StatusBadRequest, "400001", "Invalid parameter(s)", detail)
}
