// Package state answers what is dead, since when and why, what dies next, and who was told: of all
// services at a moment, in pages. It must not know how silence is judged, how consumers are told,
// or what shows its answers to people.
package state

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/http"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// Path is where the state of everything is, and below it that of each service.
const Path = mp1.LivenessBase + "/state"

// Setup serves the state.
func Setup(h *plugins.Host) (func(context.Context) error, error) {
	if h.Services == nil || h.Engine == nil {
		return nil, errors.New("nobody has services; servicemgmt must come first")
	}
	r := New(h)
	const one = Path + "/{serInstanceId}"
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		server.RefuseMethod(w, http.MethodGet, http.MethodHead)
	})
	for _, prefix := range []string{"", plugins.MepPrefix} {
		h.Base.Handle("GET "+prefix+Path, "mep.GetState", server.Reading, r.handler(r.all))
		h.Base.Handle("GET "+prefix+one, "mep.GetServiceState", server.Reading, r.handler(r.one))
		h.Base.Handle(prefix+Path, "mep.MethodNotAllowed", server.Reading, refuse)
		h.Base.Handle(prefix+one, "mep.MethodNotAllowed", server.Reading, refuse)
		r.serveStore(h, prefix, refuse)
	}
	return nil, nil
}

// engine is what is asked of the heartbeat engine.
type engine interface {
	// Look and LookAt ask the store about what other replicas hear, in bounded time.
	Look(ctx context.Context)
	LookAt(ctx context.Context, id heartbeat.ID)
	Survey(see func(*heartbeat.Vitals)) heartbeat.Survey
	Vitals(id heartbeat.ID) (heartbeat.Vitals, bool)
	Trace(id heartbeat.ID) heartbeat.Trace
}

// services is what is asked of the registry: what is known here, by id.
type services interface {
	Service(ctx context.Context, id string) (*server.Service, error)
}

// base is what is asked of the store: what it is, and what ServiceComb calls a service.
type base interface {
	Name() string
	StoreUsage() plugins.StoreUsage
	StoreHealth(ctx context.Context) plugins.StoreHealth
	ServiceCombID(id heartbeat.ID, place string) (service, instance string)
}

// Room knows how everything is now.
type Room struct {
	host     *plugins.Host
	engine   engine
	services services
	base     base
	clock    func() (plugins.Instant, int64)
	started  int64 // wall clock, Unix nanoseconds
	orders   orders
	health   health
}

// New is the room of a host, for those who answer with the state of one service too.
func New(h *plugins.Host) *Room {
	var epoch [8]byte
	_, _ = rand.Read(epoch[:]) // never fails (crypto/rand)
	clock := plugins.NewClock()
	_, wall := clock()
	return &Room{host: h, engine: h.Engine, services: h.Services, base: h.Base, clock: clock, started: wall,
		orders: orders{epoch: binary.BigEndian.Uint64(epoch[:])}}
}

// handler answers with what f returns as JSON, or refuses with its error.
func (r *Room) handler(f func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !r.host.Ready() {
			server.RefuseError(w, heartbeat.ErrNotReady, 1)
			return
		}
		body, err := f(req)
		if err != nil {
			server.RefuseError(w, err, 1)
			return
		}
		server.WriteJSON(w, http.StatusOK, body)
	})
}

// all is the route of the list.
func (r *Room) all(req *http.Request) (any, error) {
	q, err := parseQuery(req.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	now, wall := r.clock()
	o := r.orders.current(now, r.survey)
	ids, next := r.page(o, q)
	out := answer{Now: stamp(wall), Revision: int64(o.survey.Revision), Replica: r.base.Name(), Platform: r.platform(o, wall), Counts: o.counts,
		Services: make([]Service, 0, len(ids)), Next: next}
	changed := make([]plugins.Changed, 0, len(ids))
	for _, id := range ids {
		if s, c, is := r.service(req.Context(), id); is {
			out.Services, changed = append(out.Services, s), append(changed, c)
		}
	}
	r.told(out.Services, changed)
	if q.deliveries {
		for i, d := range r.deliveries(changed, mostDeliveries) {
			if d != nil {
				out.Services[i].Subscriptions = &d
			}
		}
	}
	return &out, nil
}

// one is the route of one service.
func (r *Room) one(req *http.Request) (any, error) {
	if err := mp1.NoParameters(req.URL.RawQuery); err != nil {
		return nil, err
	}
	return r.Detail(req.Context(), req.PathValue("serInstanceId"))
}

// Detail is the state of one service, with how it came to it. The error is heartbeat.ErrNotFound.
func (r *Room) Detail(ctx context.Context, id string) (*Detail, error) {
	if !mp1.ValidID(id) {
		return nil, heartbeat.ErrNotFound
	}
	if _, err := r.services.Service(ctx, id); err != nil { // it looks for what was registered elsewhere just now
		return nil, err
	}
	r.engine.LookAt(ctx, heartbeat.ID(id))
	s, c, is := r.service(ctx, heartbeat.ID(id))
	if !is {
		return nil, heartbeat.ErrNotFound
	}
	d := Detail{Service: s, Transitions: []Transition{}, Subscriptions: r.deliveries([]plugins.Changed{c}, maxDeliveries)[0]}
	one := []Service{s}
	r.told(one, []plugins.Changed{c})
	d.Service = one[0]
	for _, t := range r.engine.Trace(heartbeat.ID(id)).Transitions {
		was := heartbeat.Record{State: t.To, Cause: t.Cause, LastBeat: t.LastBeat, Interval: t.Interval, Window: t.Window}
		d.Transitions = append(d.Transitions, Transition{Time: stamp(t.At), From: shown(t.From).String(), To: shown(t.To).String(), Reason: plugins.CauseOf(&was).Sentence()})
	}
	return &d, nil
}

// stamp is a time as answers have it; "" of 0, which is none.
func stamp(ns int64) string {
	if ns == 0 {
		return ""
	}
	return time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
}
