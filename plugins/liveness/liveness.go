// Package liveness wires the heartbeat engine to its store, its clock, its metrics
// and the log, and says whether the process is healthy and ready. It must not know
// service-center, etcd, or how a service is described.
package liveness

import (
	"context"
	"net/http"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	tidyEvery = 30 * time.Second
	// tidyAnyway is after how many times each replica tidies, whoever else is to: the first one
	// may live and not get on with it.
	tidyAnyway = 10
)

// Plugin is the plugin that makes the engine.
func Plugin() plugins.Plugin { return plugins.Plugin{Name: "liveness", Setup: setup} }

func setup(_ context.Context, h *plugins.Host) (func(context.Context) error, error) {
	m := newMetrics()
	before, save := h.Base.RunTime()
	h.Engine = heartbeat.New(heartbeat.Config{
		Store: h.Base, Policy: policy(h.Config), Clock: plugins.NewClock(), Alone: h.Base.Alone(), MinLease: h.Base.MinLease(), Replica: h.Base.Name(), Rank: h.Base.Rank,
		SaveRunTime: save, RunTimeBefore: before, Receiving: h.Receiving,
		Hooks: heartbeat.Hooks{
			Changed:       h.Changed,
			Committed:     func(t *heartbeat.Txn) { m.committed(t); logCommitted(h.Log, t, h.Base.Alone()) },
			Disturbed:     func(reason string) { m.disturbed(reason) },
			StoreRestored: h.Base.Reload,
			Overruled: func(id heartbeat.ID) {
				m.overruled.Inc()
				h.Log.Warn("service suspended by another replica although this one had heard it", openlog.WithTags(openlog.Tags{"serInstanceId": string(id)}))
			},
		},
	})
	m.register(h.Engine, h.Base.Replicas)
	h.Ready = h.Engine.Ready
	h.Go(h.Engine.Run)
	h.Go(func(ctx context.Context) {
		h.Base.Follow(ctx, h.Engine, func(reason string, err error) {
			if ctx.Err() == nil {
				h.Log.Warn("the store is listed again", openlog.WithTags(openlog.Tags{"lost": reason, "reason": err.Error()}))
			}
		})
	})
	h.Go(func(ctx context.Context) { tidy(ctx, h) })
	h.Base.Handle("GET /health", "mep.Health", server.Open, answer(http.StatusOK, "ok\n"))
	h.Base.Handle("GET /ready", "mep.Ready", server.Open, answer(http.StatusOK, "ready\n")) // it is served only from then on
	for _, path := range []string{"/health", "/ready"} {
		h.Base.Handle(path, "mep.MethodNotAllowed", server.Open, http.HandlerFunc(refuseMethod))
	}
	return m.Unregister, nil
}

// policy is the engine's policy by the configuration.
func policy(c conf.Config) heartbeat.Policy {
	s := func(d time.Duration) int { return int(d / time.Second) }
	l := c.Liveness
	return heartbeat.Policy{
		DefaultInterval: s(l.DefaultInterval), MinInterval: s(l.MinInterval), MaxInterval: s(l.MaxInterval),
		AllowedMisses: l.AllowedMisses, Fixed: s(c.Derived.FixedInterval), Hold: l.Hold, DeregisterAfter: l.DeregisterAfter, MaxBeatsPerSecond: l.MaxBeatsPerSecond,
	}
}

// logCommitted logs a change of state in one line, which says by what figures silence was
// judged. A heartbeat is no change. Nothing that a caller wrote is in it, so no serName.
// Among replicas (alone is false) another one may have heard the service later than this
// record says, so the line does not say when it was heard; GET of its liveness does.
func logCommitted(log openlog.Logger, t *heartbeat.Txn, alone bool) {
	if t.Kind == heartbeat.Silent || t.Kind == heartbeat.Heard || t.Kind == heartbeat.End {
		return // none changes what anybody sees
	}
	r := &t.Record
	tags := openlog.Tags{"transaction": t.Kind.String(), "serInstanceId": string(r.ID), "appInstanceId": r.Owner, "state": r.State.String(), "seq": r.Seq}
	if r.Beating() {
		tags["interval"], tags["window"] = (time.Duration(r.Interval) * time.Second).String(), (time.Duration(r.Window) * time.Second).String()
		if alone {
			tags["lastBeat"] = lastBeat(r).UTC().Format(time.RFC3339Nano)
		}
	}
	switch t.Kind {
	case heartbeat.Register:
		log.Info("service registered", openlog.WithTags(tags))
	case heartbeat.Expire:
		log.Warn("lease ended: silent for a window over the platform's starts", openlog.WithTags(tags))
	case heartbeat.Claim:
		if alone {
			tags["silentFor"] = time.Unix(0, r.SuspendedAt).Sub(lastBeat(r)).Round(time.Millisecond).String()
		}
		log.Warn("service suspended: no heartbeat in its window", openlog.WithTags(tags))
	case heartbeat.Resume:
		log.Info("service is back: heard again", openlog.WithTags(tags))
	case heartbeat.Join:
		log.Info("an agent joined: it keeps the service alive too", openlog.WithTags(tags))
	case heartbeat.Leave:
		log.Info("an agent left: others keep the service alive", openlog.WithTags(tags))
	case heartbeat.Remove:
		log.Info("service deleted", openlog.WithTags(tags))
	case heartbeat.Retention:
		if r.Left {
			log.Warn("service removed: its agents have left, and nobody was heard since", openlog.WithTags(tags))
			return
		}
		log.Warn("service removed: suspended for too long", openlog.WithTags(tags))
	case heartbeat.Withdraw: // by whom and why stands in the audit log
		log.Warn("service drained: an administrator took it out of use", openlog.WithTags(tags))
	case heartbeat.Readmit:
		log.Info("service undrained", openlog.WithTags(tags))
	case heartbeat.Rearm:
		log.Warn("lease re-armed: it ended although the service was heard", openlog.WithTags(tags))
	case heartbeat.Repair, heartbeat.Orphan:
		log.Warn("projection repaired: it was changed from outside", openlog.WithTags(tags))
	case heartbeat.Raise, heartbeat.Lower, heartbeat.Settle:
		say := log.Info
		if r.Proposed == 0 && t.Change == heartbeat.NoChange {
			say = log.Debug // an interval that follows the load is that of very many
		}
		say("service changed", openlog.WithTags(tags))
	default:
		log.Info("service changed", openlog.WithTags(tags))
	}
}

// lastBeat is when the service was heard last, or registered if it never was.
func lastBeat(r *heartbeat.Record) time.Time { return time.Unix(0, max(r.LastBeat, r.RegisteredAt)) }

// tidies says whether a replica tidies the n-th time: the first one does, for one is enough.
func tidies(rank, n int) bool { return rank == 0 || n%tidyAnyway == 0 }

func tidy(ctx context.Context, h *plugins.Host) {
	t := time.NewTicker(tidyEvery)
	defer t.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if !tidies(h.Base.Rank(), n) {
				continue
			}
			now, wall := h.Engine.Clock()
			if err := h.Base.Tidy(ctx, now, wall, h.Config.Notify.GiveUpAfter); err != nil && ctx.Err() == nil {
				h.Log.Warn("tidying failed; it is tried again", openlog.WithTags(openlog.Tags{"reason": err.Error()}))
			}
		}
	}
}

func refuseMethod(w http.ResponseWriter, _ *http.Request) {
	server.RefuseMethod(w, http.MethodGet, http.MethodHead)
}

func answer(status int, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	})
}
