// Package edgegallery is what EdgeGallery's platform expects beside Mp1 where this server stands
// in place of its mepserver: the routes that its other components call, and the rooms in which its
// gateway and its mepauth are asked. It must not know how services, rules and applications are
// kept, nor the store: it goes through what the other plugins left in the Host.
package edgegallery

import (
	"context"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
)

// Plugin is the plugin that serves EdgeGallery's platform. Without compat: edgegallery it does
// nothing.
func Plugin() plugins.Plugin { return plugins.Plugin{Name: "edgegallery", Setup: setup} }

func setup(_ context.Context, h *plugins.Host) (func(context.Context) error, error) {
	if h.Config.Compat != conf.CompatEdgeGallery {
		return nil, nil
	}
	return nil, nil
}
