// Package kong publishes the endpoints of services at EdgeGallery's gateway, a Kong, and knows
// under which URLs consumers reach them there. It must not know how services are registered, nor
// the store that keeps what was published.
package kong

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// Options are how a Gateway is made. All but Local and Pod are mandatory.
type Options struct {
	Admin  string // URL of Kong's Admin API, scheme://host:port
	Public string // URL that consumers reach Kong by
	// Local are further addresses (host:port) that parts of the platform listen on, which no
	// application can publish as its own.
	Local  []string
	Pod    bool         // whether Kong and this process are in the pod of EdgeGallery's chart
	Client *http.Client // for the Admin API
	Store  plugins.GatewayStore
	// Exists says whether a service is registered, by what the store holds.
	Exists func(ctx context.Context, id heartbeat.ID) (bool, error)
	Rank   func() int  // that of plugins.Base: the first replica publishes
	Ready  func() bool // whether all services have been shown to Changed
	Clock  func() (plugins.Instant, int64)
	Log    openlog.Logger
}

// Gateway publishes services. Run does the work.
type Gateway struct {
	options  Options
	public   string
	services *services
	admin    *admin
	report   *report

	// What follows is Run's.
	leading   bool
	published map[string]string // what Kong is known to have: name and URL
	refused   map[string]bool   // names that Kong refused, until the next look at its lists
	failures  int               // in a row
	resumeAt  plugins.Instant   // after a failure
	lookAt    plugins.Instant   // at Kong's lists
}

var _ plugins.Gateway = (*Gateway)(nil)

// New makes a Gateway.
func New(o Options) *Gateway {
	parts := []hostPort{partAt(o.Admin)}
	for _, l := range o.Local {
		parts = append(parts, partAt("tcp://"+l))
	}
	own := plugins.OwnAddresses()
	guard := newGuard(own, ownNames(own), o.Pod, partAt(o.Public), parts)
	g := &Gateway{options: o, public: strings.TrimSuffix(o.Public, "/") + "/", services: newServices(guard.allows)}
	g.report = newReport(g.services, o.Log)
	g.admin = &admin{base: strings.TrimSuffix(o.Admin, "/"), web: o.Client, done: g.report.request}
	return g
}

// partAt is the host and port of a URL.
func partAt(link string) hostPort {
	u, err := url.Parse(link)
	if err != nil {
		return hostPort{}
	}
	port, _ := strconv.Atoi(u.Port())
	if port == 0 {
		port = map[string]int{"http": 80, "https": 443}[u.Scheme]
	}
	host := u.Hostname()
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "" // where we listen on all addresses
	}
	return hostPort{host, port}
}

// Changed takes in a change of a service. It is Host.OnChange's function.
func (g *Gateway) Changed(id heartbeat.ID, s *heartbeat.Snapshot) { g.services.changed(id, s) }

// Loaded says whether the stored entries are loaded: before, a name that was imported is not known.
func (g *Gateway) Loaded() bool { return g.services.isLoaded() }

// Follow follows the stored entries until ctx ends.
func (g *Gateway) Follow(ctx context.Context) {
	g.options.Store.FollowGatewayEntries(ctx, g.services.load, g.services.see, func(reason string, err error) {
		if ctx.Err() == nil {
			g.options.Log.Warn("the entries of the gateway are listed again", openlog.WithTags(openlog.Tags{"lost": reason, "reason": err.Error()}))
		}
	})
}

// Unregister takes the metrics away.
func (g *Gateway) Unregister(ctx context.Context) error { return g.report.Unregister(ctx) }

// Endpoint implements plugins.Gateway. Endpoints that are not published stay as they were
// registered; those of an address become URIs, as EdgeGallery's consumers know it.
func (g *Gateway) Endpoint(info *mp1.ServiceInfo) *mp1.EndPointInfo {
	published := endpointsOf(info, g.services.publish)
	if len(published) == 0 {
		return nil
	}
	id := heartbeat.ID(info.SerInstanceID)
	s, _ := g.services.get(id)
	s.id, s.name = id, info.SerName
	names := map[string]string{}
	for _, e := range published {
		names[e.uri] = s.nameOf(e.uri)
	}
	out := mp1.EndPointInfo{URIs: []string{}}
	for _, uri := range urisOf(info) {
		switch name, ok := names[uri]; {
		case !ok:
			out.URIs = append(out.URIs, uri)
		case name != "":
			out.URIs = append(out.URIs, g.public+name)
			names[uri] = "" // of two that are the same one is shown
		}
	}
	return &out
}
