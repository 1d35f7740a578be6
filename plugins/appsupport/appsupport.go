// Package appsupport keeps the registrations of application instances: which the platform
// knows, and that everything they have is removed together with them. It also tells them the
// time. It must not know what they have, nor the store that holds the registrations.
package appsupport

import (
	"context"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/plugins"
)

// settleTime is how long an application that left may still have requests under way
// that were admitted before: the longest time to read a body, and to commit.
const settleTime = 20 * time.Second

// Plugin is the plugin that keeps registrations.
func Plugin() plugins.Plugin { return plugins.Plugin{Name: "appsupport", Setup: setup} }

func setup(_ context.Context, h *plugins.Host) (func(context.Context) error, error) {
	d := &directory{
		store: h.Base, alone: h.Base.Alone(), log: h.Log, owned: h.Owned, clock: plugins.NewClock(),
		open: h.Config.Applications.Admission != conf.Registered, configured: map[string]bool{},
		apps: map[string]*entry{}, absent: map[string]plugins.Instant{}, removing: map[string]bool{}, reads: make(chan struct{}, maxReads),
	}
	for _, id := range h.Config.Applications.Known {
		d.configured[id] = true
	}
	lists := h.Ready
	h.Ready = func() bool { return d.loaded.Load() && lists() }
	d.ready = h.Ready
	h.Admitted = d.admitted
	h.Registrations = d
	h.Timing = newTiming(h.Config.Timing, h.Log)
	h.Go(func(ctx context.Context) {
		h.Base.FollowApplications(ctx, d.load, d.see, func(reason string, err error) {
			if ctx.Err() == nil {
				h.Log.Warn("the registrations are listed again", openlog.WithTags(openlog.Tags{"lost": reason, "reason": err.Error()}))
			}
		})
	})
	h.Go(d.finishLoop)
	return nil, nil
}
