package center

import (
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/apache/servicecomb-service-center/datasource"
	"github.com/apache/servicecomb-service-center/datasource/etcd"
	"github.com/apache/servicecomb-service-center/datasource/etcd/client"
	"github.com/apache/servicecomb-service-center/datasource/etcd/kv"
	"github.com/apache/servicecomb-service-center/datasource/etcd/sd"
	"github.com/apache/servicecomb-service-center/pkg/chain"
	sclog "github.com/apache/servicecomb-service-center/pkg/log"
	"github.com/apache/servicecomb-service-center/pkg/metrics"
	"github.com/apache/servicecomb-service-center/pkg/rest"
	"github.com/apache/servicecomb-service-center/server/core"
	"github.com/apache/servicecomb-service-center/server/handler/auth"
	"github.com/apache/servicecomb-service-center/server/handler/cache"
	"github.com/apache/servicecomb-service-center/server/handler/context"
	"github.com/apache/servicecomb-service-center/server/handler/maxbody"
	"github.com/apache/servicecomb-service-center/server/interceptor"
	"github.com/apache/servicecomb-service-center/server/plugin"
	"github.com/apache/servicecomb-service-center/server/plugin/tracing"
	"github.com/go-chassis/go-archaius"

	// What service-center registers by being imported. Left out: its bootstrap and
	// server/rest/syncer, whose init reads the configuration before server/init has
	// loaded it (a panic since Go 1.21 orders inits by import path); its two etcd
	// clients, which need etcd 3.3; mongo, k8s, kie, zipkin and the v3 API.
	_ "github.com/apache/servicecomb-service-center/server"
	_ "github.com/apache/servicecomb-service-center/server/init"
	_ "github.com/apache/servicecomb-service-center/server/plugin/auth/buildin"
	_ "github.com/apache/servicecomb-service-center/server/plugin/quota/unlimit"
	_ "github.com/apache/servicecomb-service-center/server/plugin/security/cipher/buildin"
	_ "github.com/apache/servicecomb-service-center/server/plugin/security/tlsconf/buildin"
	_ "github.com/apache/servicecomb-service-center/server/plugin/uuid/buildin"
	_ "github.com/apache/servicecomb-service-center/server/plugin/uuid/context"
	_ "github.com/apache/servicecomb-service-center/server/resource"
	_ "github.com/apache/servicecomb-service-center/server/rest/admin"
	_ "github.com/apache/servicecomb-service-center/server/rest/controller/v4"
	_ "github.com/apache/servicecomb-service-center/server/rest/govern"
	_ "github.com/apache/servicecomb-service-center/server/rest/prometheus"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/center/quiet"
	storeclient "github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
)

// It runs once all imports are initialised, from when on none of them logs to the outputs
// that it took while it was.
func init() { //nolint:gochecknoinits // see above: no other moment is after all of them
	quiet.Over()
	log.SetOutput(os.Stderr)
}

// registryKind names our registry plugin in service-center's configuration.
const registryKind = "mep"

// settings are service-center's, by its own keys. They are set from here because
// without any it wants TLS and no store at all.
func settings(host, port string) map[string]any {
	return map[string]any{
		"server.host": host, "server.port": port, "ssl.mode": 0,
		"registry.kind": registryKind, "discovery.kind": discoveryKind,
		"registry.selfRegister": 0, "quota.kind": "unlimit", "auth.kind": "buildin", "uuid.kind": "buildin",
		"registry.cache.ttl":              "87600h", // a cache that expires is rebuilt without telling anybody
		"registry.etcd.request.timeout":   requestTimeout.String(),
		"registry.etcd.cluster.endpoints": "",
		"registry.instance.ttl":           0,          // would override every lease
		"plugin.dir":                      os.DevNull, // it would load every .so below the working directory
		"log.level":                       "WARN", "log.file": "", "log.format": "json", "log.accessEnable": false,
		"rbac.enable": false, "syncer.enabled": false, "server.pprof.mode": 0,
	}
}

// clearEnvironment takes away the names under which service-center would read its
// settings in spite of ours.
func clearEnvironment(keys map[string]any) {
	upper := func(k string) string { return strings.ToUpper(strings.ReplaceAll(k, ".", "_")) }
	for k := range keys {
		_ = os.Unsetenv(upper(k))
		_ = os.Unsetenv(k)
	}
	for _, k := range []string{"CACHE_TTL", "SERVICE_CLEAR_ENABLED", "SERVICE_CLEAR_INTERVAL", "SERVICE_TTL", "METRICS_INTERVAL",
		"SC_ACCESS_LOG_FILE", "SSL_ROOT", "SCHEMA_DISABLE", "APP_ROOT"} {
		_ = os.Unsetenv(k)
	}
}

// configure gives service-center its settings, its log our sink, and its caches handlers that
// lose no event.
func configure(host, port string, sink scLogSink) error {
	quiet.LogTo(chassisLogger{}) // archaius warns that it is initialised twice, which is what we want
	defer quiet.LogTo(chassisLogger(sink))
	s := settings(host, port)
	clearEnvironment(s)
	for k, v := range s {
		if err := archaius.Set(k, v); err != nil {
			return err
		}
	}
	sclog.StdoutSyncer, sclog.StderrSyncer = sink, sink
	log.SetOutput(sink) // whoever in there uses the standard library's logger
	log.SetFlags(0)
	core.Service.Environment = ""  // of its own registration, and of who is looked for by its name (selfregister.go)
	core.Initialize()              // reads the settings again: its init read none
	runtime.SetDefaultGOMAXPROCS() // which config.Init set to the number of processors, whatever the cgroup allows
	signal.Ignore(syscall.SIGHUP)  // pkg/grace forks a copy of the process on it

	// The defer handler holds deletions back for seconds and swallows some.
	kv.Store().AddOns[kv.INSTANCE].Config().DeferHandler = nil
	// TypeStore.OnCacheEvent races on a field that nobody reads.
	for t := range kv.Store().AddOns {
		kv.Store().AddOns[t].Config().OnEvent = sd.EventProxy(t).OnEvent
	}
	kv.Store().AddOns[kv.INSTANCE].Config().OnEvent = theInstances.OnEvent
	kv.Store().AddOns[kv.RULE].Config().OnEvent = onRule
	kv.Store().AddOns[kv.ServiceTag].Config().OnEvent = onTag
	return nil
}

// chains registers interceptors and handlers once per process, in the order of
// service-center's own bootstrap, with the guard in front of its controllers. The
// tracing handler is left out: it reads a header map that net/http reuses. So is the
// interceptor of CORS, which lets the pages of all origins in: plugins/identity has ours.
var chains = sync.OnceFunc(func() {
	chain.RegisterHandler(rest.ServerChainName, theAccess)
	interceptor.RegisterInterceptFunc(intercept)
	for _, name := range []string{rest.ServerChainName, mp1Chain} {
		chain.RegisterHandler(name, &maxbody.Handler{})
		if name == rest.ServerChainName {
			chain.RegisterHandler(name, requestMetrics{}) // our routes count by themselves: routecounts.go
		}
		chain.RegisterHandler(name, &auth.Handler{})
	}
	chain.RegisterHandler(rest.ServerChainName, &context.Handler{})
	chain.RegisterHandler(rest.ServerChainName, peerAddress{})
	chain.RegisterHandler(rest.ServerChainName, &cache.Handler{})
	chain.RegisterHandler(rest.ServerChainName, theLimits)
	chain.RegisterHandler(rest.ServerChainName, theBounds)
	chain.RegisterHandler(rest.ServerChainName, theGuard)
	chain.RegisterHandler(rest.ServerChainName, questions{})
	// Its etcd packages and handlers call a tracing plugin without asking if there is one.
	plugin.RegisterPlugin(plugin.Plugin{Kind: tracing.TRACING, Name: plugin.Buildin, New: func() plugin.Instance { return noTrace{} }})
})

type noTrace struct{}

// ServerBegin implements tracing.Tracing.
func (noTrace) ServerBegin(string, tracing.Request) tracing.Span { return nil }

// ServerEnd implements tracing.Tracing.
func (noTrace) ServerEnd(tracing.Span, int, string) {}

// ClientBegin implements tracing.Tracing.
func (noTrace) ClientBegin(string, tracing.Request) tracing.Span { return nil }

// ClientEnd implements tracing.Tracing.
func (noTrace) ClientEnd(tracing.Span, int, string) {}

// install makes r the registry plugin of this process, and repository its caches.
func install(r *registry, db *storeclient.Client) {
	client.Install(registryKind, func(client.Options) client.Registry { return r })
	sd.Install(discoveryKind, func(sd.Options) sd.AdaptorRepository { return &repository{db: db, registry: r} })
	datasource.Install(registryKind, etcd.NewDataSource)
}

const metricsInterval = 30 * time.Second

// Measure has service-center measure itself; listen stands for this instance in what it measures. It reads that every
// three seconds, from three seconds after the process began on, and without a lock: Measure comes before
// whatever may take long, and before Start.
func Measure(listen string) error {
	if err := metrics.Init(metrics.Options{Interval: metricsInterval, InstanceName: listen}); err != nil {
		return fmt.Errorf("cannot start service-center's metrics: %w", err)
	}
	return nil
}
