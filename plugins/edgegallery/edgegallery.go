// Package edgegallery is what EdgeGallery's platform expects beside Mp1 where this server stands
// in place of its mepserver: the routes that its other components call, and the rooms in which its
// gateway and its mepauth are asked. It must not know how services, rules and applications are
// kept, nor the store: it goes through what the other plugins left in the Host.
package edgegallery

import (
	"context"

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
	p := &platform{
		ready:         func() bool { return h.Ready() }, // which plugins after this one may replace
		services:      h.Services,
		subscriptions: h.EachSubscription,
		calls:         newCalls(func() int64 { _, wall := clock(); return wall }),
	}
	p.serve(h.Base)
	var m plugins.Collectors
	m.Add(p.calls.dropped)
	return m.Unregister, nil
}

// platform has what the handlers share.
type platform struct {
	ready         func() bool
	services      server.Registry
	subscriptions func(see func(*server.Subscription))
	calls         *calls
}
