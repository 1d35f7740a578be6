// Package notify tells consumers what happens to services: it keeps subscriptions,
// reads the outbox and sends notifications, at least once and in order. It must not
// know service-center, etcd, or why a service changed.
package notify

import (
	"context"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/plugins"
)

// Plugin keeps subscriptions and serves them.
func Plugin() plugins.Plugin { return plugins.Plugin{Name: "notify", Setup: setup} }

func setup(_ context.Context, h *plugins.Host) (func(context.Context) error, error) {
	m := newMetrics(h.Log)
	p := newPolicy(&h.Config)
	d := newDispatcher(h.Base, newWebhook(p, h.Config.Notify.Timeout, h.Version, nil), plugins.NewClock(), h.Config.Notify.GiveUpAfter, h.Base.Alone(), m)
	d.slots = newSlots(h.Posts)
	m.watch(d)
	r := newRegistry(d, p, h.Config.Applications.MaxSubscriptions)
	h.Subscriptions = r
	h.Belong(belongings{r})
	ready := h.Ready
	h.Ready = func() bool { return ready() && d.ready.Load() }
	h.Go(d.run)
	h.Go(func(ctx context.Context) {
		h.Base.FollowOutbox(ctx, d, func(reason string, err error) {
			if ctx.Err() == nil {
				h.Log.Warn("the outbox is listed again", openlog.WithTags(openlog.Tags{"lost": reason, "reason": err.Error()}))
			}
		})
	})
	return m.Unregister, nil
}
