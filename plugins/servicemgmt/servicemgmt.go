// Package servicemgmt is the Mp1 service registry: registration, discovery,
// transports and the liveness resources, over the heartbeat engine. It must not
// know service-center, etcd, or how silence is judged.
package servicemgmt

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// Plugin serves the Mp1 service management routes.
func Plugin() plugins.Plugin { return plugins.Plugin{Name: "servicemgmt", Setup: setup} }

func setup(_ context.Context, h *plugins.Host) (func(context.Context) error, error) {
	r := &registry{host: h, engine: h.Engine, conf: h.Config, index: newIndex(h.Config.Compat == conf.CompatEdgeGallery)}
	if h.Admitted == nil {
		return nil, errors.New("nobody says which applications are admitted; appsupport must come first")
	}
	var m plugins.Collectors
	r.displaced = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mep_services_displaced_total", Help: "SUSPENDED services that were removed because a new one of their application and name found its limit reached.",
	})
	m.Add(r.displaced)
	batched := newBatched()
	m.Add(batched)
	r.index.published = func(s *server.Service) *mp1.EndPointInfo {
		if h.Gateway == nil { // a later plugin may set it
			return nil
		}
		return h.Gateway.Endpoint(s.Info())
	}
	r.index.suspended = h.Config.Discovery.IncludeSuspended
	h.OnChange(r.index.changed)
	h.AddOwned(owned{r})
	h.Services = r
	o := server.Options{RetryAfter: 1, MaxBody: h.Config.Derived.MaxBody, MaxBeat: h.Config.Derived.MaxBeat, LimitStatus: h.Config.Derived.LimitStatus,
		Subscriptions: h.Subscriptions, TerminationSubscriptions: h.TerminationSubscriptions, NoEmptySubscriptions: h.Config.Derived.EmptySubscriptionsNotFound,
		Registrations: h.Registrations, Timing: h.Timing, Rules: h.Rules, Limits: h.Limits,
		EdgeGallery: h.Config.Compat == conf.CompatEdgeGallery, Batched: func(w http.ResponseWriter, status, heartbeats int) { countBatched(batched, w, status, heartbeats) },
		Configuring: func(app string) bool { return h.Configuring != nil && h.Configuring(app) }} // a later plugin may set it
	if h.Identity != nil && h.Identity.On() {
		o.MayActFor = func(ctx context.Context, app string) bool { return plugins.CallerOf(ctx).MayActFor(app) }
	}
	if h.Responses != nil {
		o.ResponseMemory = h.Responses
	}
	for _, route := range server.Routes(r, o) {
		h.Base.Handle(route.Pattern, route.Name, route.Access, route.Handler)
	}
	return m.Unregister, nil
}

// registry serves the engine's instances to Mp1.
type registry struct {
	host   *plugins.Host
	engine *heartbeat.Engine
	conf   conf.Config
	index  *index
	lists  lists
	// displaced counts the SUSPENDED services that were removed for new ones.
	displaced prometheus.Counter
}

var _ server.Registry = (*registry)(nil)

// Ready implements server.Registry.
func (r *registry) Ready() bool { return r.host.Ready() }

// Admitted implements server.Registry.
func (r *registry) Admitted(ctx context.Context, app string) (bool, error) {
	return r.host.Admitted(ctx, app)
}

// Register implements server.Registry. The attributes that are stored are what the
// application sent; id, state and interval are fields of the record.
func (r *registry) Register(ctx context.Context, by server.Caller, info mp1.ServiceInfo) (*server.Service, error) {
	for round := range idRounds {
		svc, err := r.register(ctx, by, info, round > 0)
		if !errors.Is(err, heartbeat.ErrTaken) {
			return svc, err
		}
	}
	return nil, heartbeat.ErrUnavailable
}

// idRounds is how often a registration or update is tried again because somebody took the
// chosen place of the instance at service-center before the transaction (heartbeat.ErrTaken).
const idRounds = 3

func (r *registry) register(ctx context.Context, by server.Caller, info mp1.ServiceInfo, taken bool) (*server.Service, error) {
	state, err := stateOf(info.State)
	if err != nil {
		return nil, err
	}
	id, err := r.host.Base.NewID(ctx, by.App, info, taken)
	if err != nil {
		return nil, heartbeat.ErrUnavailable
	}
	claim := claimant{owner: by.App, name: info.SerName, id: id}
	if err := r.admit(ctx, claim); err != nil {
		return nil, err
	}
	defer r.index.release(claim)
	owner := strings.Clone(by.App) // of a request's first line, which would be kept as a whole
	rec := heartbeat.Record{ID: id, Owner: owner, Agents: heartbeat.Agents(by.Agent), State: state, Proposed: -1}
	if info.LivenessInterval != nil {
		rec.Proposed = *info.LivenessInterval
	}
	if rec.Attributes, err = attributes(info); err != nil {
		return nil, err
	}
	if rec, err = r.engine.Register(ctx, rec); err != nil {
		return nil, err
	}
	return r.index.serviceOf(&rec)
}

// attributes is what the record stores of a ServiceInfo. Two that mean the same have the same
// attributes, so that an update with what is there already changes nothing.
func attributes(info mp1.ServiceInfo) (string, error) {
	info = info.Completed()
	info.SerInstanceID, info.State, info.LivenessInterval, info.Links = "", "", nil, nil
	b, err := json.Marshal(info)
	return string(b), err
}

// item finds a service in the index. One that is not there is looked for by the engine,
// for it may have been registered at another replica just now.
func (r *registry) item(ctx context.Context, id string) (*item, error) {
	if it := r.index.get(heartbeat.ID(id)); it != nil {
		return it, nil
	}
	if _, err := r.engine.Get(ctx, heartbeat.ID(id)); err != nil {
		return nil, err
	}
	if it := r.index.get(heartbeat.ID(id)); it != nil {
		return it, nil
	}
	return nil, heartbeat.ErrNotFound
}

// Service implements server.Registry.
func (r *registry) Service(ctx context.Context, id string) (*server.Service, error) {
	it, err := r.item(ctx, id)
	if err != nil {
		return nil, err
	}
	if svc := it.service(); svc != nil {
		return svc, nil
	}
	return nil, heartbeat.ErrNotFound
}

// Discover implements server.Registry. It leaves out services that nobody could use: the
// SUSPENDED, and those whose lease is gone but that could not be suspended yet, unless it is
// configured to show both as SUSPENDED; and from EdgeGallery's applications what they do not require.
func (r *registry) Discover(ctx context.Context, f mp1.Filter) ([]*server.Service, error) {
	return r.required(ctx, r.lists.discover(r.index, f, r.discoverable)), nil
}

// required selects what the caller may discover.
func (r *registry) required(ctx context.Context, all []*server.Service) []*server.Service {
	may := r.host.Discoverable(ctx)
	if may.All() {
		return all
	}
	var out []*server.Service // all is shared
	for _, s := range all {
		if may.Allows(s.Info().SerName) {
			out = append(out, s)
		}
	}
	return out
}

// discoverable is a service as discovery shows it; nil: it does not. One of a state that is not
// named is left out: to show consumers what they must not use is worse.
func (r *registry) discoverable(it *item) *server.Service {
	switch it.state {
	case heartbeat.Active:
		switch {
		case !r.engine.Hidden(it.id):
			return it.service()
		default:
			return it.suspended()
		}
	case heartbeat.Inactive:
		return it.service()
	case heartbeat.Suspended:
		if r.conf.Discovery.IncludeSuspended {
			return it.service()
		}
	}
	return nil
}

// OfApplication implements server.Registry. An application sees all services of its own.
func (r *registry) OfApplication(_ context.Context, app string, f mp1.Filter) ([]*server.Service, error) {
	all := r.index.find(app, f)
	out := make([]*server.Service, len(all))
	for i, it := range all {
		out[i] = it.service()
	}
	return out, nil
}

// Producer implements server.Registry.
func (r *registry) Producer(ctx context.Context, id string) (string, error) {
	it, err := r.item(ctx, id)
	if err != nil {
		return "", err
	}
	if it.interval == 0 {
		return "", heartbeat.ErrNoLiveness
	}
	return it.owner, nil
}

// Beat implements server.Registry.
func (r *registry) Beat(ctx context.Context, id, agent string) (server.Liveness, bool, error) {
	a := r.engine.Beat(ctx, heartbeat.ID(id), agent)
	if a.Err != nil || !a.TellInterval {
		return server.Liveness{}, false, refusal(a.Err, &a.Record)
	}
	l, err := r.liveness(ctx, &a.Record)
	return l, true, err
}

// Beats implements server.Registry.
func (r *registry) Beats(ctx context.Context, agent string, beats []mp1.HeartbeatOf, answer func(i, interval int, err error)) {
	all := make([]heartbeat.Heartbeat, len(beats))
	for i, b := range beats {
		all[i] = heartbeat.Heartbeat{ID: heartbeat.ID(b.SerInstanceID), Owner: b.AppInstanceID}
	}
	r.engine.Beats(ctx, agent, all, func(i int, a heartbeat.Response) {
		switch {
		case a.Err != nil:
			answer(i, 0, refusal(a.Err, &a.Record))
		case a.TellInterval:
			answer(i, a.Record.Interval, nil)
		default:
			answer(i, 0, nil)
		}
	})
}

// Liveness implements server.Registry.
func (r *registry) Liveness(ctx context.Context, id string) (server.Liveness, error) {
	s, err := r.engine.Get(ctx, heartbeat.ID(id))
	if err != nil {
		return server.Liveness{}, err
	}
	if !s.Record.Beating() {
		return server.Liveness{}, heartbeat.ErrNoLiveness
	}
	return r.liveness(ctx, &s.Record)
}

func (r *registry) liveness(ctx context.Context, rec *heartbeat.Record) (server.Liveness, error) {
	at, err := r.engine.LastBeat(ctx, rec.ID)
	return server.Liveness{State: mp1.State(rec.State.Shown().String()), At: time.Unix(0, at), Interval: rec.Interval, Reason: plugins.CauseOf(rec).Sentence()}, err
}

// refusal says to an owner why his service is drained, if it is that.
func refusal(err error, rec *heartbeat.Record) error {
	if errors.Is(err, heartbeat.ErrDrained) {
		return &server.Drained{Why: plugins.CauseOf(rec)}
	}
	return err
}
