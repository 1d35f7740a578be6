package center

import (
	"context"
	"net/http"
	"time"

	"github.com/apache/servicecomb-service-center/datasource/etcd/kv"
	"github.com/apache/servicecomb-service-center/datasource/etcd/sd"
	"github.com/apache/servicecomb-service-center/pkg/chain"
	sclog "github.com/apache/servicecomb-service-center/pkg/log"
	scprometheus "github.com/apache/servicecomb-service-center/pkg/prometheus"
	"github.com/apache/servicecomb-service-center/pkg/rest"
	"github.com/apache/servicecomb-service-center/pkg/util"
	scmetrics "github.com/apache/servicecomb-service-center/server/metrics"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/plugins"
)

// Prometheus keeps every combination of label values for ever. service-center labels
// its request metrics with the method and the domain that a client sends, so anybody
// could fill the memory with a few thousand made-up ones. Its metrics are shown values
// from fixed sets only.

// otherLabel stands for every value that is not in its label's set.
const otherLabel = "other"

// labelledMethods are the methods that keep their name as a label.
var labelledMethods = map[string]bool{
	http.MethodGet: true, http.MethodHead: true, http.MethodPost: true, http.MethodPut: true,
	http.MethodPatch: true, http.MethodDelete: true, http.MethodOptions: true,
}

// requestMetrics takes the place of service-center's own metrics handler in its chain.
type requestMetrics struct{}

// Handle implements chain.Handler.
func (requestMetrics) Handle(i *chain.Invocation) {
	// Not WithAsyncFunc, as service-center's own does: a response must not be read after its
	// handler has returned. Over HTTP/2 it panics then, and its header may be another's by then.
	i.Next(chain.WithFunc(func(chain.Result) {
		start, ok := i.Context().Value(rest.CtxStartTimestamp).(time.Time)
		w, _ := i.Context().Value(rest.CtxResponse).(http.ResponseWriter)
		r, _ := i.Context().Value(rest.CtxRequest).(*http.Request)
		if !ok || w == nil || r == nil {
			return
		}
		scmetrics.ReportRequestCompleted(w, labelled(r), start)
		sclog.NilOrWarnf(start, "%s %s", r.Method, r.RequestURI)
	}))
}

// labelled is the request as the metrics may see it: method and domain are in their
// sets. What was sent in the usual form is not copied.
func labelled(r *http.Request) *http.Request {
	method, domain := r.Method, util.ParseDomain(r.Context())
	if !labelledMethods[method] {
		method = otherLabel
	}
	if domain != "" && domain != defaultTenant {
		domain = otherLabel
	}
	if method == r.Method && domain == util.ParseDomain(r.Context()) {
		return r
	}
	out := r.WithContext(util.SetDomain(util.CloneContext(r.Context()), domain))
	out.Method = method
	return out
}

// defaultTenant is the domain under which Mp1's services stand, and the only one that
// metrics name.
const defaultTenant = "default"

// storedLabels are service-center's gauges whose labels are what somebody registered:
// names and versions of frameworks, domains, projects. They keep a series for each that
// ever was, and they cannot be told other values, for the events that move them are
// service-center's own.
var storedLabels = []string{"db_service_total", "db_instance_total", "db_schema_total", "db_framework_total", "notify_subscriber_total"}

const forgetLabelsEvery = 30 * time.Second

// forgetLabels takes the gauges of storedLabels off /metrics and empties them again and
// again until ctx ends. storedCounts shows their totals, without labels.
func forgetLabels(ctx context.Context) {
	gauges := hideStoredLabels()
	t := time.NewTicker(forgetLabelsEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			for _, g := range gauges {
				g.Reset()
			}
		}
	}
}

// hideStoredLabels unregisters the gauges, and returns them: they go on being counted.
func hideStoredLabels() (out []*prometheus.GaugeVec) {
	for _, name := range storedLabels {
		if g, ok := scprometheus.Vectors[name].(*prometheus.GaugeVec); ok {
			prometheus.Unregister(g)
			out = append(out, g)
		}
	}
	return out
}

// storedCounts shows how much service-center holds in its caches, whoever registered it.
func storedCounts() (out plugins.Collectors) {
	for kind, of := range map[string]func() sd.Adaptor{
		"domain": kv.Store().Domain, "microservice": kv.Store().Service, "instance": kv.Store().Instance,
		"schema": kv.Store().SchemaSummary, "rule": kv.Store().Rule, "tag": kv.Store().ServiceTag,
	} {
		out.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "mep_servicecomb_entries", Help: "What ServiceComb holds, Mp1's services included, by kind.",
			ConstLabels: prometheus.Labels{"kind": kind},
		}, func() float64 { return float64(of().Cache().GetAll(nil)) }))
	}
	for of, b := range map[string]*budget{"finds": findBudgets.finds, "dependencies": findBudgets.dependencies} {
		out.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "mep_servicecomb_cache_bytes", Help: "What ServiceComb's caches of finds are thought to hold; they are emptied when it is too much.",
			ConstLabels: prometheus.Labels{"cache": of},
		}, func() float64 { return float64(b.estimate()) }))
	}
	return out
}
