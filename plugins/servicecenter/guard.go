package servicecenter

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/apache/servicecomb-service-center/pkg/chain"
	"github.com/apache/servicecomb-service-center/pkg/rest"
)

// theGuard stands in service-center's chain before its controllers.
var theGuard = &guard{}

// guard makes service-center's own API read-only for what Mp1 registered: a foreign
// heartbeat would keep the dead alive.
type guard struct {
	owned atomic.Pointer[func(serviceID, instanceID string) bool]
}

// Protect tells the guard what is ours. An empty instanceID asks for a microservice
// of which instances are.
func (c *Center) Protect(owned func(serviceID, instanceID string) bool) { theGuard.owned.Store(&owned) }

// pair names an instance, or with an empty instanceID a microservice.
type pair struct {
	ServiceID  string `json:"serviceId"`
	InstanceID string `json:"instanceId"`
}

const (
	registryRoot = "/v4/:project/registry/"
	services     = registryRoot + "microservices"
	oneService   = services + "/:serviceId"
	instances    = oneService + "/instances"
	oneInstance  = instances + "/:instanceId"
)

// guarded are the v4 routes that write, with what each of them writes to.
var guarded = map[string]func(*http.Request) []pair{
	"PUT " + oneInstance + "/heartbeat":  inPath,
	"PUT " + oneInstance + "/status":     inPath,
	"PUT " + oneInstance + "/properties": inPath,
	"DELETE " + oneInstance:              inPath,
	"POST " + instances:                  inPath,
	"PUT " + registryRoot + "heartbeats": inHeartbeats,
	"POST " + services:                   inService,
	"DELETE " + oneService:               inPath,
	"DELETE " + services:                 inServices,
	"PUT " + oneService + "/properties":  inPath,
}

// Handle implements chain.Handler.
func (g *guard) Handle(i *chain.Invocation) {
	r, _ := i.Context().Value(rest.CtxRequest).(*http.Request)
	w, _ := i.Context().Value(rest.CtxResponse).(http.ResponseWriter)
	pattern, _ := i.Context().Value(rest.CtxMatchPattern).(string)
	owned := g.owned.Load()
	if of := guarded[r.Method+" "+pattern]; of != nil && owned != nil {
		if slices.ContainsFunc(of(r), func(p pair) bool { return (*owned)(p.ServiceID, p.InstanceID) }) {
			w.Header().Set("Content-Type", rest.ContentTypeJSON)
			w.Header().Set(rest.HeaderResponseStatus, "403")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"errorCode":"403001","errorMessage":"Forbidden","detail":"This service is registered over Mp1 and can only be changed there."}` + "\n"))
			return // the chain ends here
		}
	}
	i.Next()
}

// inPath: service-center's router puts path parameters in front of the query.
func inPath(r *http.Request) []pair {
	q := r.URL.Query()
	first := func(key string) string {
		if v := q[key]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	return []pair{{first(":serviceId"), first(":instanceId")}}
}

// body reads the request's body and puts it back. A body that is too large or not
// JSON is left to the controller to refuse; it writes nothing then.
func body(r *http.Request, into any) {
	if r.Body == nil {
		return
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		r.Body = io.NopCloser(strings.NewReader("")) // over the limit of the handler before this one
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	_ = json.Unmarshal(b, into)
}

func inHeartbeats(r *http.Request) []pair {
	var set struct{ Instances []pair }
	body(r, &set)
	return set.Instances
}

func inServices(r *http.Request) (out []pair) {
	var set struct{ ServiceIds []string }
	body(r, &set)
	for _, id := range set.ServiceIds {
		out = append(out, pair{ServiceID: id})
	}
	return out
}

// inService: creating a microservice can carry instances of an existing one.
func inService(r *http.Request) []pair {
	var set struct {
		Service struct{ ServiceID string }
	}
	body(r, &set)
	return []pair{{ServiceID: set.Service.ServiceID}}
}
