// Package board is what people see of the platform beside Mp1. It knows which rooms it has, and
// must not know what they show.
package board

import (
	"context"
	"errors"
	"slices"

	"github.com/mec-liveness/mepserver/plugins"
	"github.com/mec-liveness/mepserver/plugins/board/events"
	"github.com/mec-liveness/mepserver/plugins/board/state"
	"github.com/mec-liveness/mepserver/plugins/board/web"
)

// Plugin is the plugin of everything that shows what the platform does.
func Plugin() plugins.Plugin { return plugins.Plugin{Name: "board", Setup: setup} }

// room is one part. What it starts is ended by the function that it returns; nil: nothing is.
type room func(h *plugins.Host) (stop func(context.Context) error, err error)

func setup(ctx context.Context, h *plugins.Host) (func(context.Context) error, error) {
	var stops []func(context.Context) error
	stop := func(ctx context.Context) (err error) {
		for _, end := range slices.Backward(stops) {
			err = errors.Join(err, end(ctx))
		}
		return err
	}
	for _, set := range []room{
		events.Setup,
		setUpDrains,
		state.Setup,
		web.Setup,
	} {
		end, err := set(h)
		if err != nil {
			return nil, errors.Join(err, stop(ctx))
		}
		if end != nil {
			stops = append(stops, end)
		}
	}
	return stop, nil
}
