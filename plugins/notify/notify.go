// Package notify notifies consumers of changes of services, and applications of their
// termination: it keeps subscriptions, reads the outbox and sends notifications, at least once
// and in order. It must not know service-center, etcd, or why a service changed.
//
// The dispatcher follows the outbox and locks subscriptions for this replica. Each
// subscription that it has locked has a worker, and each worker a queue, which decides what
// is sent next and when. The stages of an event on its way are the table in lifecycle.go.
package notify

import (
	"context"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// Plugin is the plugin that keeps subscriptions and sends their notifications.
func Plugin() plugins.Plugin { return plugins.Plugin{Name: "notify", Setup: setup} }

func setup(_ context.Context, h *plugins.Host) (func(context.Context) error, error) {
	p := newPolicy(&h.Config)
	w := newWebhook(p, h.Config.Notify.Timeout, h.Version, nil)
	if err := proveOurselves(h, w); err != nil {
		return nil, err
	}
	m := newMetrics(h.Log)
	m.files(w)
	d := newDispatcher(h.Base, w, plugins.NewClock(), h.Config.Notify.GiveUpAfter, h.Base.Alone(), m)
	d.permits, d.timeout, d.origins = newSemaphore(h.MaxPosts), h.Config.Notify.Timeout, h.Config.Server.Origins
	d.flaps = plugins.NewFlaps(h.Config.Notify.Flap.Changes, h.Config.Notify.Flap.Period)
	d.retention = newRetention(int64(h.Config.Notify.KeptBytes), retainedLimit(h))
	m.register(d)
	most := h.Config.Applications.MaxSubscriptions
	changes, terminations := newRegistry(d, mp1.SubscriptionType, p, most), newRegistry(d, mp1.TerminationSubscriptionType, p, most)
	h.Subscriptions, h.TerminationSubscriptions = changes, terminations
	h.EachSubscription = changes.each
	h.Telling = d
	h.AddOwned(owned{changes})
	h.AddOwned(owned{terminations})
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

// proveOurselves has a webhook sign what it sends and show our certificate, as far as that is
// configured, and publishes the keys.
func proveOurselves(h *plugins.Host, w *webhook) (err error) {
	report := func(err error) {
		if err != nil {
			h.Log.Warn("a file of notify cannot be used; what it held before is used on", openlog.WithTags(openlog.Tags{"reason": err.Error()}))
			return
		}
		h.Log.Info("a file of notify was read again")
	}
	if w.signer, err = newSigner(&h.Config, time.Now, report); err != nil {
		return err
	}
	if w.signer.keys == nil {
		h.Log.Info("notifications are not signed: replicas at a cluster need the same key, which notify.signingKeyFile names")
	}
	if w.trust, err = newTrust(h.Config.Notify, time.Now, report); err != nil {
		return err
	}
	w.signer.publish(h.Base)
	return nil
}

// retainedLimit is this replica's share of what may be retained for all subscriptions. In an
// embedded store it is at most a part of the quota: the rest is for the services themselves.
func retainedLimit(h *plugins.Host) func() int64 {
	all := int64(h.Config.Notify.KeptBytesInAll)
	if h.Config.Store.Kind == conf.Embedded {
		all = min(all, int64(h.Config.Store.QuotaBytes)/4)
	}
	return func() int64 { return all / int64(h.Base.Replicas()) }
}
