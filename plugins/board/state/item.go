package state

import (
	"context"
	"math"
	"net"
	"slices"
	"strconv"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// service is the state of a service, and what its notifications are asked by; false: it is gone.
func (r *Room) service(ctx context.Context, id heartbeat.ID) (s Service, c plugins.Changed, is bool) {
	v, is := r.engine.Vitals(id)
	if !is {
		return s, c, false
	}
	described, err := r.services.Service(ctx, string(id))
	if err != nil {
		return s, c, false
	}
	info, rec := described.Info(), &v.Record
	s = Service{
		SerInstanceID: string(id), SerName: info.SerName, Version: info.Version, AppInstanceID: rec.Owner, Endpoints: endpoints(info.TransportInfo),
		State: shown(rec.State).String(), Since: stamp(v.Since), Late: v.Late, Flaps: v.Flaps, GapsSeconds: []float64{},
		Cause: plugins.CauseOf(rec), Drained: drained(rec),
		Links: links{Drain: mp1.LivenessBase + "/services/" + string(id) + "/drain"},
	}
	s.Reason = s.Cause.Sentence()
	if r.host.ApplicationName != nil {
		s.AppName = r.host.ApplicationName(rec.Owner)
	}
	s.Category, s.Locality = info.SerCategory.Label(), string(info.Scope())
	s.ServiceComb.ServiceID, s.ServiceComb.InstanceID = r.base.ServiceCombID(id, rec.Place)
	if rec.Beating() {
		s.beats(&v, r.engine.Trace(id))
	}
	if r.host.Telling != nil {
		if changes, until, is := r.host.Telling.Flapping(string(id)); is {
			s.Flapping = &mp1.Flapping{Changes: changes, Until: stamp(until)}
		}
	}
	return s, plugins.Changed{Service: info, At: rec.ChangedAt}, true
}

// told adds to services who was told of their last changes.
func (r *Room) told(services []Service, changed []plugins.Changed) {
	if r.host.Telling == nil || len(services) == 0 {
		return
	}
	for i, t := range r.host.Telling.Told(changed) {
		if !t.Uncounted {
			services[i].Notified = &notified{t.Told, t.Pending, t.PutOff, t.Lost, t.Elsewhere, append([]string{}, t.Failing...)}
		}
	}
}

// maxDeliveries is the most subscriptions that are shown of one service, and mostDeliveries those
// of all services of a page together.
const (
	maxDeliveries  = 1000
	mostDeliveries = 5000
)

// deliveries are the subscriptions that the last change of each of some services concerns, in their
// order, most of them at most; nil: that was not looked at.
func (r *Room) deliveries(changed []plugins.Changed, most int) [][]delivery {
	out := make([][]delivery, len(changed))
	known := slices.Repeat([][]plugins.Delivery{{}}, len(changed))
	if r.host.Telling != nil && len(changed) > 0 {
		known = r.host.Telling.Deliveries(changed, most)
	}
	for i, of := range known {
		if of != nil {
			out[i] = make([]delivery, 0, len(of))
		}
		for _, d := range of {
			out[i] = append(out[i], delivery{d.ID, d.Owner, d.Delivered, d.Pending, d.PutOff, d.Elsewhere, stamp(d.LastAttempt), d.LastError})
		}
	}
	return out
}

// drained says whether an administrator keeps the service INACTIVE.
func drained(r *heartbeat.Record) bool {
	return shown(r.State) == heartbeat.Inactive && mp1.CauseKind(r.Cause.Kind) == mp1.CauseDrained
}

// shown is the state of MEC 011 that consumers are shown: whatever else the engine has is for
// nobody to use.
func shown(s heartbeat.State) heartbeat.State {
	if s == heartbeat.Active || s == heartbeat.Suspended {
		return s
	}
	return heartbeat.Inactive
}

// beats says how it is with the heartbeats of a service that must send them.
func (s *Service) beats(v *heartbeat.Vitals, t heartbeat.Trace) {
	s.LivenessInterval, s.WindowSeconds = v.Record.Interval, v.Record.Window
	s.Links.Liveness = mp1.Base + "/applications/" + s.AppInstanceID + "/services/" + s.SerInstanceID + "/liveness"
	if v.LastBeat != 0 {
		s.LastHeartbeat, s.LastHeartbeatExact = stamp(v.LastBeat), &v.Exact
	}
	if v.Watched {
		s.Deadline, s.Missed, s.Estimated = stamp(v.Deadline), &v.Missed, v.Estimated
	}
	for _, g := range t.Gaps {
		s.GapsSeconds = append(s.GapsSeconds, math.Round(g.Seconds()*1000)/1000)
	}
}

// endpoints are where a service is reached, as text.
func endpoints(t *mp1.TransportInfo) []string {
	out := []string{}
	if t == nil {
		return out
	}
	out = append(append(out, t.Endpoint.URIs...), t.Endpoint.FQDN...)
	for _, a := range t.Endpoint.Addresses {
		out = append(out, net.JoinHostPort(a.Host, strconv.Itoa(a.Port)))
	}
	return out
}
