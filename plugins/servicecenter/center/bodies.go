package center

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/kv"
	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/apache/servicecomb-service-center/datasource/etcd/sd"
	etcdutil "github.com/apache/servicecomb-service-center/datasource/etcd/util"
	"github.com/apache/servicecomb-service-center/pkg/chain"
	"github.com/apache/servicecomb-service-center/pkg/rest"
	"github.com/apache/servicecomb-service-center/pkg/util"
	"github.com/apache/servicecomb-service-center/server/config"
	"github.com/go-chassis/cari/discovery"
)

// Bounds of a body on service-center's API, which itself bounds only the bytes (2 MiB).
// What clients send is far below: go-chassis and java-chassis ask for one service of a
// batch for each dependency, a bulk heartbeat has one element for each instance of a
// process or a node.
const (
	maxElements = 1000 // of a list, and members of an object
	maxNesting  = 16
	maxNames    = 20000     // instances that a batch of finds may answer with, unless it is one find
	maxFreeBody = 256 << 10 // of what no limit of writes counts: heartbeats and deletions
	batches     = 4         // batches of finds that are carried out at a time
	batchWait   = 5 * time.Second
)

// theBounds comes in service-center's chain before the guard.
var theBounds = &bounds{running: make(chan struct{}, batches)}

// bounds refuses bodies that would cost more than they may.
type bounds struct{ running chan struct{} }

// Handle implements chain.Handler.
func (b *bounds) Handle(i *chain.Invocation) {
	r, _ := i.Context().Value(rest.CtxRequest).(*http.Request)
	w, _ := i.Context().Value(rest.CtxResponse).(http.ResponseWriter)
	pattern, _ := i.Context().Value(rest.CtxMatchPattern).(string)
	route := r.Method + " " + pattern
	if r.Method == http.MethodGet || r.Body == nil {
		i.Next()
		return
	}
	if pattern != batchFind && theGuard.names(r.URL.Path, nil) { // whatever the body, the path names ours
		theGuard.refuse(r.Context(), refusedOurs)
		w.WriteHeader(http.StatusForbidden) // refusalWriter replaces it by the reason
		return
	}
	most := largest(pattern)
	if unlimited[route] || r.Method == http.MethodDelete {
		most = min(most, maxFreeBody)
		r.Body = http.MaxBytesReader(w, r.Body, most)
	}
	if r.ContentLength > most { // it need not come to be refused
		tooLarge(w)
		return
	}
	text, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		tooLarge(w)
		return
	case err != nil:
		writeInvalid(w, "The body could not be read to its end.")
		return
	case !bounded(text):
		writeInvalid(w, "A list in the body has more than 1000 elements, or it is nested too deeply; send several.")
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	if pattern != batchFind {
		i.Next()
		return
	}
	if answersWith(r, text) > maxNames {
		writeInvalid(w, "The services asked for have too many instances for one answer; ask for them in several requests.")
		return
	}
	b.limitBatches(w, r, i)
}

// largest is how many bytes of a body service-center's own handler lets through: it looks
// at what has come, not at what is announced.
func largest(pattern string) int64 {
	switch {
	case strings.HasSuffix(pattern, "/:serviceId/instances"):
		return 5 << 10
	case strings.HasSuffix(pattern, "/properties"):
		return 3 << 10
	default:
		return config.GetServer().MaxBodyBytes
	}
}

func tooLarge(w http.ResponseWriter) {
	writeError(w, http.StatusRequestEntityTooLarge, "400001", "Invalid parameter(s)", "The body is larger than this resource takes; send several.")
}

// limitBatches carries a batch of finds out: its answer is made in memory, and many at once
// would be there before they are counted.
func (b *bounds) limitBatches(w http.ResponseWriter, r *http.Request, i *chain.Invocation) {
	select {
	case b.running <- struct{}{}:
		done := sync.OnceFunc(func() { <-b.running })
		defer done()
		onWrite(w, done) // what is being written is counted as unread
		i.Next()
	case <-r.Context().Done():
	case <-time.After(batchWait):
		w.Header().Set("Retry-After", "1")
		writeError(w, http.StatusServiceUnavailable, "500003", "Service unavailable", "Too many batches of finds at a time; try again in a second.")
	}
}

// onWrite has the writer that counts answers call f before it writes.
func onWrite(w http.ResponseWriter, f func()) {
	for {
		if counts, ok := w.(interface{ OnWrite(f func()) }); ok {
			counts.OnWrite(f)
			return
		}
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return
		}
		w = inner.Unwrap()
	}
}

// bounded says whether no list or object of a JSON text has too many elements, and none
// lies too deep. It does not judge whether it is JSON: the controllers do.
func bounded(text []byte) bool {
	var elements [maxNesting + 1]int
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted:
			if c == '\\' {
				i++
			} else if c == '"' {
				quoted = false
			}
		case c == '"':
			quoted = true
		case c == '[' || c == '{':
			if depth++; depth > maxNesting {
				return false
			}
			elements[depth] = 1
		case c == ']' || c == '}':
			depth = max(depth-1, 0)
		case c == ',':
			if elements[depth]++; elements[depth] > maxElements {
				return false
			}
		}
	}
	return true
}

// answersWith is how many instances a batch of more than one find can answer with, by
// what is known in memory.
func answersWith(r *http.Request, text []byte) (n int) {
	var asked discovery.BatchFindInstancesRequest
	if json.Unmarshal(text, &asked) != nil || len(asked.Services) < 2 {
		return 0
	}
	tenant := util.ParseDomainProject(r.Context())
	consumer := etcdutil.GetServiceFromCache(tenant, asked.ConsumerServiceId) // finds providers of its own environment
	known := map[discovery.MicroServiceKey]int{}
	for _, one := range asked.Services {
		if one == nil || one.Service == nil {
			continue // the controller refuses that
		}
		key := discovery.MicroServiceKey{Tenant: tenant, Environment: one.Service.Environment, AppId: one.Service.AppId, ServiceName: one.Service.ServiceName}
		if consumer != nil {
			key.Environment = consumer.Environment
		}
		if strings.Contains(key.Environment+key.AppId+key.ServiceName, "/") {
			continue // and that
		}
		count, ok := known[key]
		if !ok {
			count = instancesOf(&key)
			known[key] = count
		}
		n += count
	}
	return n
}

// instancesOf counts the instances of all versions of a microservice.
func instancesOf(key *discovery.MicroServiceKey) (n int) {
	var versions []*sd.KeyValue
	kv.Store().ServiceIndex().Cache().GetPrefix(path.GenerateServiceIndexKey(key), &versions)
	for _, v := range versions {
		if id, ok := v.Value.(string); ok {
			n += kv.Store().Instance().Cache().GetPrefix(path.GenerateInstanceKey(key.Tenant, id, ""), nil)
		}
	}
	return n
}
