// Package identity knows who calls and what he may: it judges every credential of a request at
// one door, holds the table of routes and roles, keeps foreign web pages out, bounds what each
// caller may ask for, and writes the audit log. Without identities the caller is the application
// that the path names, or else an address. It must not know what a route does with a request,
// nor service-center, etcd or the heartbeat engine.
package identity

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mec-liveness/mepserver/plugins"
)

// Plugin is the plugin that makes Host.Identity, Host.Limits and Host.Audit. It needs no other
// plugin, and comes before those that serve requests.
func Plugin() plugins.Plugin { return plugins.Plugin{Name: "identity", Setup: setup} }

func setup(ctx context.Context, h *plugins.Host) (func(context.Context) error, error) {
	var m plugins.Collectors
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mep_limit_refused_total", Help: "Requests answered 429, by the limit and by whose it was: the caller's own, its address's, or that of all together.",
	}, []string{"limit", "scope"})
	for k := range requests {
		for s := range scopes {
			refused.WithLabelValues(kindNames[k], scopes[s])
		}
	}
	m.Add(refused)
	began := time.Now()
	l := newLimits(h.Config.Limits, h.Config.Identified(), func() time.Duration { return time.Since(began) }, func(k kind, s scope) {
		refused.WithLabelValues(kindNames[k], scopes[s]).Inc()
	})
	m.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_limit_callers", Help: "Callers whose writes and lists are counted apart."},
		func() float64 { return float64(l.tracked()) }))
	perSecond := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "mep_limit_per_second", Help: "What one caller may ask for a second; 0: any amount."}, []string{"limit"})
	for k, r := range l.callers.rates {
		if kind(k) == lists && !l.identities {
			r = rate{}
		}
		perSecond.WithLabelValues(kindNames[k]).Set(r.perSecond)
	}
	m.Add(perSecond)
	h.Limits = l
	d := newDoor(ctx, h, &m)
	f := newFront(d, newOrigins(h.Config.Server, h.Address, h.Config.EdgeGallery.Site))
	h.Identity = f
	h.OnAdmin(d.routes.show())
	if d.on {
		h.Go(f.streams.run)
		m.Add(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mep_identity_streams", Help: "Connections that watch; each ends with the credential that opened it."},
			func() float64 { return float64(f.streams.count()) }))
	}
	endAudit, err := setupAudit(h, l, &m)
	if err != nil {
		return nil, errors.Join(err, m.Unregister(ctx))
	}
	return func(ctx context.Context) error { return errors.Join(endAudit(), m.Unregister(ctx)) }, nil
}
