// Package center is service-center itself: it starts and stops it over an open store, lets
// handlers into its chain, and keeps its own API away from what Mp1 registered. It must not
// know how records are kept: of what is ours it is told by an Owned.
package center

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/apache/servicecomb-service-center/datasource"
	"github.com/apache/servicecomb-service-center/datasource/etcd/kv"
	"github.com/apache/servicecomb-service-center/pkg/gopool"
	"github.com/apache/servicecomb-service-center/server/config"
	"github.com/apache/servicecomb-service-center/server/notify"
	"github.com/apache/servicecomb-service-center/server/plugin"
	srest "github.com/apache/servicecomb-service-center/server/rest"
	"github.com/apache/servicecomb-service-center/server/service/rbac"

	"github.com/mec-liveness/mepserver/logs"
	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
)

// Options of service-center.
type Options struct {
	Listen  string // host:port that the server listens on; service-center is only told
	Client  *etcd.Client
	Repeats *logs.Repeats // of what service-center logs
	// Identity says what callers may; nil: everything.
	Identity plugins.Identity
}

// Center is the running service-center.
type Center struct {
	client *etcd.Client
	counts plugins.Collectors
	// durations are how long requests of our routes took.
	durations *durations
	said      *logs.Repeats
	identity  plugins.Identity
	handled   map[string]bool // patterns that Handle was given
	trees     []string        // those of them below which every path is handled
	console   *console        // nil: none is served
	stop      sync.Once
}

var started atomic.Bool

// Start starts service-center over an open store, which Stop closes. There can be one
// per process: its caches live in globals that cannot be started again.
func Start(o Options) (*Center, error) {
	if !started.CompareAndSwap(false, true) {
		return nil, errors.New("service-center was started before in this process")
	}
	c := &Center{client: o.Client, said: o.Repeats, identity: o.Identity, handled: map[string]bool{}}
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, err
	}
	chains()
	theAccess.ask(o.Identity)
	boundFinds()
	if err := configure(host, port, scLogSink{c.said}); err != nil {
		return nil, fmt.Errorf("cannot configure service-center: %w", err)
	}
	install(newRegistry(c.client.Client, c.client.Gate, c.client.Readers), c.client)
	r := config.GetRegistry()
	if err := datasource.Init(datasource.Options{PluginImplName: registryKind, SchemaEditable: r.SchemaEditable,
		CompactInterval: r.CompactInterval, CompactIndexDelta: r.CompactIndexDelta}); err != nil {
		return nil, fmt.Errorf("cannot start service-center's data source: %w", err)
	}
	notify.Center().Start()
	plugin.LoadPlugins()
	rbac.Init()
	gopool.Go(forgetLabels)
	c.counts = storedCounts()
	c.durations = newDurations(&c.counts)
	theGuard.show(&c.counts)
	return c, nil
}

// InstanceEvents hands the events of instances on to ServiceComb's clients.
func (c *Center) InstanceEvents() *InstanceEvents { return theInstances }

// Handler is the whole surface: what access.Intercept would refuse in plain text on
// our routes is answered before it.
func (c *Center) Handler() http.Handler {
	mux := srest.DefaultServerMux
	return outer(c.gate(mux, theGuard.validateRequest(c.unknownPaths(mux))))
}

// handles says whether a handler of ours answers at the path of a request, whatever its method.
// It is true of all paths of Mp1, so that a heartbeat is matched with the patterns of the mux
// once. A path with an escaped slash is none of a tree: the mux does not take it for one.
func (c *Center) handles(r *http.Request) bool {
	return r.URL.RawPath == "" && slices.ContainsFunc(c.trees, func(tree string) bool { return strings.HasPrefix(r.URL.Path, tree) })
}

// unknownPaths refuses what neither we nor service-center serve: its router, behind the
// last pattern of its mux, would answer in plain text.
func (c *Center) unknownPaths(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.handles(r) && !IsServiceComb(r.URL.Path) {
			if _, pattern := mux.Handler(r); pattern == "/" {
				refuse(w, http.StatusNotFound, "There is no such resource; take URIs from _links.")
				return
			}
		}
		mux.ServeHTTP(w, r)
	})
}

// Stop ends service-center and then the store, not later than ctx.
func (c *Center) Stop(ctx context.Context) error {
	done := make(chan struct{})
	go c.stop.Do(func() {
		defer close(done)
		_ = c.counts.Unregister(ctx)
		if c.console != nil {
			_ = c.console.root.Close()
		}
		theInstances.stop()
		notify.Center().Stop()
		kv.Store().Stop()
		c.client.Close()
		gopool.CloseAndWait()
		c.said.Flush()
	})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("service-center did not stop in time: %w", ctx.Err())
	}
}
