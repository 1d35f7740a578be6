// Package appsupport keeps how far each application instance is in its life: that it registered,
// that it is ready, that it is being terminated, and that everything it has is removed together
// with it. It also tells applications the time. It must not know what they have, nor the store
// that holds what is kept of them.
package appsupport

import (
	"context"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// settleTime is how long an application that left may still have requests under way
// that were admitted before: the longest time to read a body, and to commit.
const settleTime = 20 * time.Second

// shownTime is how long after a write by another replica this one is shown it at the latest,
// unless its watch is broken: it asks for progress every five seconds.
const shownTime = 6 * time.Second

// Plugin is the plugin that keeps what applications are.
func Plugin() plugins.Plugin { return plugins.Plugin{Name: "appsupport", Setup: setup} }

func setup(_ context.Context, h *plugins.Host) (func(context.Context) error, error) {
	clock := plugins.NewClock()
	d := &directory{
		counts: newCounts(), wake: make(chan struct{}, 1),
		store: h.Base, alone: h.Base.Alone(), log: h.Log, owned: h.Owned, clock: clock, absent: plugins.NewAbsences(clock, maxReads),
		open: h.Config.Applications.Admission != conf.Registered, configured: map[string]bool{},
		apps: map[string]*entry{}, removing: map[string]bool{},
	}
	for _, id := range h.Config.Applications.Known {
		d.configured[id] = true
	}
	lists := h.Ready
	h.Ready = func() bool { return d.loaded.Load() && lists() }
	d.ready = h.Ready
	h.Admitted = d.admitted
	h.Registrations, h.ApplicationName = d, d.name
	h.Timing = newTiming(h.Config.Timing, h.Log)
	h.Go(func(ctx context.Context) {
		h.Base.FollowApplications(ctx, d.load, d.see, func(reason string, err error) {
			if ctx.Err() == nil {
				h.Log.Warn("the registrations are listed again", openlog.WithTags(openlog.Tags{"lost": reason, "reason": err.Error()}))
			}
		})
	})
	h.Go(d.finishLoop)
	d.counts.register(d)
	for _, r := range (view{d}).routes() {
		h.Base.Handle(r.pattern, r.name, server.Reading, r.handler)
		h.Base.Handle(plugins.UnderMep(r.pattern), r.name, server.Reading, r.handler)
		h.OnAdmin(plugins.AdminRoute{Pattern: r.pattern, Handler: r.handler})
	}
	return d.counts.Unregister, nil
}
