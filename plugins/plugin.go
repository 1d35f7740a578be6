// Package plugins knows how mepserver is put together: what a plugin is, what
// plugins share, and in which order they start and stop. It must not know what
// any of them does, nor anything of service-center or etcd.
package plugins

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// Plugin is one part of mepserver. cmd/mepserver lists them in order.
type Plugin struct {
	Name string
	// Setup takes what earlier plugins left in the Host and adds its own. What it
	// starts is ended by the returned function (nil: nothing to end), in bounded
	// time and in reverse order of the setups.
	Setup func(ctx context.Context, h *Host) (stop func(context.Context) error, err error)
}

// Base is what the base plugin offers to the others: the store, and the way into the
// server's own handler chain.
type Base interface {
	heartbeat.Store
	Outbox
	HistoryStore
	Applications
	Credentials
	RuleStore
	GatewayStore
	DeploymentStore
	// NewID chooses the id of an instance about to be registered. look says that the place of the one
	// that was chosen before was taken, so that the store is asked which is free.
	NewID(ctx context.Context, owner string, info mp1.ServiceInfo, look bool) (heartbeat.ID, error)
	// Place says where the instance stands once info describes it: its new
	// heartbeat.Record.Place.
	Place(ctx context.Context, id heartbeat.ID, owner string, info mp1.ServiceInfo) (string, error)
	// Follow loads the engine and shows it every write until ctx ends.
	Follow(ctx context.Context, e *heartbeat.Engine, failed func(reason string, err error))
	// Reload makes everybody who follows the store load it anew. The engine calls it when
	// it sees that the store was restored from a backup.
	Reload()
	// Tidy erases what crashes may have left behind, and the events that are Erasable. now
	// and wall are the monotonic and the wall clock, of the same clock in all calls. Calls
	// must not overlap.
	Tidy(ctx context.Context, now Instant, wall int64, giveUp time.Duration) error
	// Alone says whether this process is the store's only writer.
	Alone() bool
	// RunTime is how long the platform had run, over all its starts, when that was stored
	// last, and the function that stores it; nil: it is not stored.
	RunTime() (before time.Duration, save func(time.Duration))
	// MinLease is the shortest lease that the store grants, in seconds.
	MinLease() int
	// Name is this replica's, by which causes and displays name it.
	Name() string
	// StoreUsage is how full the store is.
	StoreUsage() StoreUsage
	// StoreHealth asks the servers of the store how they are, in bounded time.
	StoreHealth(ctx context.Context) StoreHealth
	// ServiceCombID is what ServiceComb calls the instance; place is its heartbeat.Record.Place.
	ServiceCombID(id heartbeat.ID, place string) (service, instance string)
	// Rank is how many living replicas come before this one in the order in which they
	// claim silent instances.
	Rank() int
	// Replicas is how many replicas are alive, this one included.
	Replicas() int

	// Handle serves a net/http pattern behind the interceptors and the handler
	// chain; name is the constant under which metrics know the route, and a says who may use
	// it. The application that an Owner route is about is {appInstanceId} of the pattern.
	Handle(pattern, name string, a server.Access, h http.Handler)
	// Handler serves all that was given to Handle, and service-center's own routes.
	Handler() http.Handler
}

// StoreUsage is how full a store is. A cluster's is not known here: its operator sets its quota.
type StoreUsage struct {
	Used, Quota int64 // bytes; 0: not known
	Short       bool  // what adds to it is refused, or was a moment ago
}

// MepPrefix stands before every path that EdgeGallery's gateway sends.
const MepPrefix = "/mep"

// UnderMep is a pattern of net/http below MepPrefix.
func UnderMep(pattern string) string {
	if method, path, is := strings.Cut(pattern, " "); is {
		return method + " " + MepPrefix + path
	}
	return MepPrefix + pattern
}

// Host is what plugins share. It is filled by the setups in order and does not
// change after them.
type Host struct {
	Config  conf.Config
	Version string
	Log     openlog.Logger
	// LogDropped is how many log lines were dropped because nobody read the output; nil:
	// it is not counted.
	LogDropped func() uint64
	// Errors is what the log is written to, line by line, without ever blocking; nil: the
	// standard error output.
	Errors io.Writer
	// Fail ends the process at once, with one line that says why, and does not return. It
	// is for failures of the store after which the process can neither go on nor stop in
	// order. nil: the store panics.
	Fail     func(why string)
	Limits   server.Limits // from the identity plugin; nil: nothing is limited
	Identity Identity      // from the identity plugin; nil: everything is allowed
	// Audit is next with its requests audited, from the identity plugin; nil: nothing is. What
	// comes by the server's port is audited by Identity.
	Audit   func(next http.Handler) http.Handler
	Issuer  Issuer   // from the issuer plugin; nil: no tokens are made here
	Address net.Addr // where the server listens; from Run
	// Trusts says whether the authorities of now sign the client certificate that came with a
	// request, which may have been answered long ago; from Run. nil: none is asked for.
	Trusts func(*http.Request) bool
	// Stopping is closed when the server is being stopped, before requests are waited for; from
	// Run. A response that goes on for long ends then.
	Stopping <-chan struct{}
	// Receiving says whether requests are served: not before everything is loaded, and not any
	// more once the server is being stopped; from Run. nil: always.
	Receiving func() bool
	Responses *Responses // from Run
	MaxPosts  int        // POSTs to consumers that may be in flight, from Run; 0: any number
	Base      Base       // from the base plugin
	// Aliases makes requests for a second name of a resource requests for the first one, before
	// anything else looks at them; from the base plugin. nil: there are none.
	Aliases func(next http.Handler) http.Handler
	Engine  *heartbeat.Engine // from the liveness plugin
	// Subscriptions is from the notify plugin; nil without it.
	Subscriptions server.Subscriptions
	// TerminationSubscriptions are those of the application support API.
	TerminationSubscriptions server.Subscriptions
	// EachSubscription shows all subscriptions to changes of services that this replica knows, in
	// no order; from the notify plugin.
	EachSubscription func(see func(*server.Subscription))
	// Telling is how far notifications have got, from the notify plugin; nil without it.
	Telling Telling
	// Services are those of all applications, from the servicemgmt plugin.
	Services server.Registry
	// Admitted says whether the platform knows an application, and Registrations are
	// those of applications; from the appsupport plugin.
	Admitted      func(ctx context.Context, app string) (bool, error)
	Registrations server.Registrations
	// ApplicationName is what an application called itself when it registered, "" if it did not
	// or this replica has not seen it; from the same.
	ApplicationName func(app string) string
	// Rules are the rules of applications, from the rules plugin; nil without it.
	Rules server.Rules
	// RuleDefiner is who defines them, from the same.
	RuleDefiner RuleDefiner
	Timing      server.Timing // from the appsupport plugin
	// Gateway stands before the services, and Required says which of them an application may
	// discover; from the edgegallery plugin. nil: consumers reach services where they were
	// registered, and applications discover all.
	Gateway  Gateway
	Required func(ctx context.Context, app string) mp1.RequiredServices
	// Configuring says whether an application is being configured, and cannot be ready yet; from
	// the same. nil: none ever is.
	Configuring func(app string) bool
	// Ready says whether all lists are loaded and the store was reached. Each plugin with
	// a list replaces it by a function that asks the one before too.
	Ready func() bool

	watchers []func(heartbeat.ID, *heartbeat.Snapshot)
	tasks    []func(context.Context)
	owned    []Owned
	admin    []AdminRoute
}

// AdminRoute is a route of the admin socket. It is never served on the public port, for
// whoever can open the socket counts as the administrator.
type AdminRoute struct {
	Pattern string // of net/http
	Handler http.Handler
}

// OnAdmin serves a route on the admin socket.
func (h *Host) OnAdmin(r AdminRoute) { h.admin = append(h.admin, r) }

// AdminRoutes are all routes that OnAdmin was given so far.
func (h *Host) AdminRoutes() []AdminRoute { return h.admin }

// AddOwned has the things of o removed together with the application that they belong to.
func (h *Host) AddOwned(o Owned) { h.owned = append(h.owned, o) }

// Owned is everything that AddOwned was given so far.
func (h *Host) Owned() []Owned { return h.owned }

// OnChange has f called with every change of a record, in order per instance. f must
// neither block nor call the engine.
func (h *Host) OnChange(f func(heartbeat.ID, *heartbeat.Snapshot)) {
	h.watchers = append(h.watchers, f)
}

// Changed calls every function that OnChange was given.
func (h *Host) Changed(id heartbeat.ID, s *heartbeat.Snapshot) {
	for _, f := range h.watchers {
		f(id, s)
	}
}

// Go runs f in a goroutine, from the end of all setups until its context ends.
func (h *Host) Go(f func(context.Context)) { h.tasks = append(h.tasks, f) }
