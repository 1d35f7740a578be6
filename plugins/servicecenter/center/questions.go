package center

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/apache/servicecomb-service-center/pkg/chain"
	"github.com/apache/servicecomb-service-center/pkg/rest"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
)

// questions comes last in service-center's chain. service-center notes with a question on whose
// behalf it is asked, and what somebody depends on cannot be deleted by its owner. So callers
// who may change nothing ask on nobody's behalf; they are answered all the same.
type questions struct{}

// Handle implements chain.Handler.
func (questions) Handle(i *chain.Invocation) {
	r, _ := i.Context().Value(rest.CtxRequest).(*http.Request)
	if c := plugins.CallerOf(r.Context()); c != nil && !c.Has(conf.RoleRegistry) && !c.Has(conf.RoleAdmin) {
		r.Header.Del("X-ConsumerId")
		if pattern, _ := i.Context().Value(rest.CtxMatchPattern).(string); pattern == batchFind {
			dropConsumer(r)
		}
	}
	i.Next()
}

// dropConsumer takes the consumer out of the body of a question about many services. What is
// no JSON object is left to the controller to refuse.
func dropConsumer(r *http.Request) {
	body, err := io.ReadAll(r.Body) // bounded by a handler before this one
	if err != nil {
		r.Body = io.NopCloser(failing{err})
		return
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) == nil {
		for name := range members {
			if strings.EqualFold(name, "consumerServiceId") { // in any spelling, as it is read
				delete(members, name)
			}
		}
		body, _ = json.Marshal(members) // of what was read: cannot fail
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}
