package servicecenter

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/apache/servicecomb-service-center/datasource"
	etcdutil "github.com/apache/servicecomb-service-center/datasource/etcd/util"
	"github.com/apache/servicecomb-service-center/pkg/chain"
	"github.com/apache/servicecomb-service-center/pkg/rest"
	"github.com/apache/servicecomb-service-center/pkg/util"
	"github.com/go-chassis/cari/discovery"
)

// theGuard stands in service-center's chain before its controllers.
var theGuard = &guard{}

// guard makes service-center's own API read-only for what Mp1 registered: a foreign
// heartbeat would keep the dead alive.
type guard struct {
	owned atomic.Pointer[func(serviceID, instanceID string) bool]
}

// Protect tells the guard what is ours. An empty instanceID asks for a microservice
// of which instances are, an empty serviceID for an instance wherever it stands.
func (c *Center) Protect(owned func(serviceID, instanceID string) bool) { theGuard.owned.Store(&owned) }

// pair names an instance, or with an empty instanceID a microservice.
type pair struct{ ServiceID, InstanceID string }

const (
	registryRoot = "/v4/:project/registry/"
	services     = registryRoot + "microservices"
	oneService   = services + "/:serviceId"
	instances    = oneService + "/instances"
	oneInstance  = instances + "/:instanceId"
	dependencies = registryRoot + "dependencies"
)

// guarded are the routes that write to microservices and instances, with what each
// of them writes to. What else is not a GET is harmless; a test says why.
var guarded = map[string]func(*http.Request) []pair{
	"PUT " + oneInstance + "/heartbeat":           inPath,
	"PUT " + oneInstance + "/status":              inPath,
	"PUT " + oneInstance + "/properties":          inInstanceProperties,
	"DELETE " + oneInstance:                       inPath,
	"POST " + instances:                           inInstance,
	"PUT " + registryRoot + "heartbeats":          inHeartbeats,
	"POST " + services:                            inService,
	"DELETE " + oneService:                        inPath,
	"DELETE " + services:                          inServices,
	"PUT " + oneService + "/properties":           inServiceProperties,
	"POST " + oneService + "/rules":               inPath, // a rule can hide a provider
	"PUT " + oneService + "/rules/:rule_id":       inPath,
	"DELETE " + oneService + "/rules/:rule_id":    inPath,
	"POST " + oneService + "/tags":                inPath,
	"PUT " + oneService + "/tags/:key":            inPath,
	"DELETE " + oneService + "/tags/:key":         inPath,
	"POST " + oneService + "/schemas":             inPath,
	"PUT " + oneService + "/schemas/:schemaId":    inPath,
	"DELETE " + oneService + "/schemas/:schemaId": inPath,
	"POST " + dependencies:                        inDependencies,
	"PUT " + dependencies:                         inDependencies,
}

// Handle implements chain.Handler.
func (g *guard) Handle(i *chain.Invocation) {
	r, _ := i.Context().Value(rest.CtxRequest).(*http.Request)
	w, _ := i.Context().Value(rest.CtxResponse).(http.ResponseWriter)
	pattern, _ := i.Context().Value(rest.CtxMatchPattern).(string)
	owned := g.owned.Load()
	if fatal := unsound[r.Method+" "+pattern]; fatal != nil && fatal(r) {
		reply(w, http.StatusBadRequest, `{"errorCode":"400001","errorMessage":"Invalid parameter(s)","detail":"A list in the body contains null; leave it out."}`)
		return
	}
	if of := guarded[r.Method+" "+pattern]; of != nil && owned != nil {
		if slices.ContainsFunc(of(r), func(p pair) bool { return (*owned)(p.ServiceID, p.InstanceID) }) {
			reply(w, http.StatusForbidden, `{"errorCode":"403001","errorMessage":"Forbidden","detail":"This service is registered over Mp1 and can only be changed there."}`)
			return // the chain ends here
		}
	}
	i.Next()
}

// reply answers in service-center's own form.
func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", rest.ContentTypeJSON)
	w.Header().Set(rest.HeaderResponseStatus, strconv.Itoa(status))
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body + "\n"))
}

// unsound are the routes whose controllers dereference a null of a list, with how to
// find one: a bulk heartbeat answers 500 with the panic's text, and the creation of a
// microservice waits for ever, whether its client is still there or not.
var unsound = map[string]func(*http.Request) bool{
	"PUT " + registryRoot + "heartbeats": func(r *http.Request) bool {
		var set discovery.HeartbeatSetRequest
		body(r, &set)
		return slices.Contains(set.Instances, nil)
	},
	"POST " + services: func(r *http.Request) bool {
		var set discovery.CreateServiceRequest
		body(r, &set)
		return slices.Contains(set.Instances, nil) || slices.Contains(set.Rules, nil)
	},
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

// The bodies are decoded into the types that the controllers decode them into: only
// these treat other spellings and repetitions of a name as the controllers do.

func inHeartbeats(r *http.Request) (out []pair) {
	var set discovery.HeartbeatSetRequest
	body(r, &set)
	for _, i := range set.Instances {
		if i != nil {
			out = append(out, pair{i.ServiceId, i.InstanceId})
		}
	}
	return out
}

func inServices(r *http.Request) (out []pair) {
	var set discovery.DelServicesRequest
	body(r, &set)
	for _, id := range set.ServiceIds {
		out = append(out, pair{ServiceID: id})
	}
	return out
}

// inServiceProperties: an id in the body replaces the one in the path.
func inServiceProperties(r *http.Request) []pair {
	out := inPath(r)
	set := discovery.UpdateServicePropsRequest{ServiceId: out[0].ServiceID}
	body(r, &set)
	return append(out, pair{ServiceID: set.ServiceId})
}

// inInstanceProperties: the same with either id.
func inInstanceProperties(r *http.Request) []pair {
	out := inPath(r)
	set := discovery.UpdateInstancePropsRequest{ServiceId: out[0].ServiceID, InstanceId: out[0].InstanceID}
	body(r, &set)
	return append(out, pair{set.ServiceId, set.InstanceId})
}

func inInstance(r *http.Request) []pair {
	var set discovery.RegisterInstanceRequest
	body(r, &set)
	return append(inPath(r), named(set.Instance)...)
}

// inService: creating a microservice that exists under its name, or its alias, adds
// the rest of the body to it, and an instance that exists is given a heartbeat.
func inService(r *http.Request) (out []pair) {
	var set discovery.CreateServiceRequest
	body(r, &set)
	for _, i := range set.Instances {
		out = append(out, named(i)...)
	}
	if set.Service == nil {
		return out
	}
	datasource.SetServiceDefaultValue(set.Service)
	out = append(out, pair{ServiceID: set.Service.ServiceId})
	return append(out, found(r, discovery.MicroServiceToKey(util.ParseDomainProject(r.Context()), set.Service))...)
}

// inDependencies: they are written to their consumers.
func inDependencies(r *http.Request) (out []pair) {
	var set discovery.CreateDependenciesRequest // as AddDependenciesRequest
	body(r, &set)
	for _, d := range set.Dependencies {
		if d != nil && d.Consumer != nil {
			keys := discovery.DependenciesToKeys([]*discovery.MicroServiceKey{d.Consumer}, util.ParseDomainProject(r.Context()))
			out = append(out, found(r, keys[0])...)
		}
	}
	return out
}

// named is what an instance in a body calls itself.
func named(i *discovery.MicroServiceInstance) []pair {
	if i == nil {
		return nil
	}
	return []pair{{ServiceID: i.ServiceId}, {InstanceID: i.InstanceId}}
}

// found is the microservice with that key: the one that we would make, and the one
// that service-center finds, for a client can give a name of its own to an id of
// ours before it is registered.
func found(r *http.Request, k *discovery.MicroServiceKey) []pair {
	out := []pair{{ServiceID: serviceIDOf(k)}}
	if id, err := etcdutil.GetServiceID(util.WithNoCache(r.Context()), k); err == nil { // else the controller fails too
		out = append(out, pair{ServiceID: id})
	}
	return out
}
