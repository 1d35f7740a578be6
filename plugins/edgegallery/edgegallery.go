// Package edgegallery is what EdgeGallery's platform expects beside Mp1 where this server stands
// in place of its mepserver: the routes that its other components call, and the rooms in which its
// gateway and its mepauth are asked. It must not know how services, rules and applications are
// stored, nor the store: it goes through what the other plugins left in the Host.
package edgegallery

import (
	"context"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// Plugin is the plugin that serves EdgeGallery's platform. Without compat: edgegallery it does
// nothing.
func Plugin() plugins.Plugin { return plugins.Plugin{Name: "edgegallery", Setup: setup} }

func setup(_ context.Context, h *plugins.Host) (func(context.Context) error, error) {
	if h.Config.Compat != conf.CompatEdgeGallery {
		return nil, nil
	}
	clock := plugins.NewClock()
	ready := func() bool { return h.Ready() } // which plugins after this one may replace
	left := newCertificatesLeft()
	auth, err := newMepauth(h, left, clock)
	if err != nil {
		return nil, err
	}
	gateway, err := newGateway(h, left, clock)
	if err != nil {
		return nil, err
	}
	stored := newDeployments(h.Base, clock)
	p := &platform{
		ready:         ready,
		services:      h.Services,
		subscriptions: h.EachSubscription,
		calls:         newCalls(func() int64 { _, wall := clock(); return wall }),
		configuration: &configuration{deployments: stored, definer: h.RuleDefiner, rules: h.Rules, admitted: h.Admitted, creating: make(chan struct{}, 1)},
		terminator: &terminator{deployments: stored, services: h.Services, registrations: h.Registrations, terminations: h.TerminationSubscriptions, log: h.Log,
			unsaved: map[string]bool{}, waits: map[string]wait{}, dropped: newDropped()},
	}
	if auth != nil {
		p.terminator.credentials, h.Required = auth.Forget, auth.Required
	}
	h.Configuring = stored.configuring
	work := &worker{configuration: p.configuration, rank: h.Base.Rank, ready: ready, log: h.Log, terminator: p.terminator, busy: map[string]bool{}}
	lists := h.Ready
	h.Ready = func() bool { return stored.loaded.Load() && lists() }
	h.AddOwned(owned{stored})
	h.Go(func(ctx context.Context) {
		h.Base.FollowDeployments(ctx, stored.load, stored.see, func(reason string, err error) {
			if ctx.Err() == nil {
				h.Log.Warn("the configurations of applications are listed again", openlog.WithTags(openlog.Tags{"lost": reason, "reason": err.Error()}))
			}
		})
	})
	h.Go(work.run)
	p.serve(h.Base)
	var m plugins.Collectors
	m.Add(p.calls.dropped)
	m.Add(p.terminator.dropped)
	m.Add(left)
	return func(ctx context.Context) error {
		if gateway != nil {
			_ = gateway.Unregister(ctx)
		}
		return m.Unregister(ctx)
	}, nil
}

// platform has what the handlers share.
type platform struct {
	ready         func() bool
	services      server.Registry
	subscriptions func(see func(*server.Subscription))
	calls         *calls
	configuration *configuration
	terminator    *terminator
}
