// Package events is the event stream: every change of every service that the caller may discover,
// in the order of commits, as server-sent events; and, for operators, the newest that are kept. It knows what a reader has seen and what he sees
// next; it must not know why a service changed, nor how changes are kept in the store.
//
// The feed takes in services and changes, each once for all readers. A stream is one reader; it
// waits for changes, and nobody waits for it.
package events

import (
	"context"
	"net/http"
	"time"

	"github.com/go-chassis/openlog"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

// Setup serves the event stream.
func Setup(h *plugins.Host) (func(context.Context) error, error) {
	m := newMetrics()
	f := newFeed(time.Now, plugins.NewFlaps(h.Config.Notify.Flap.Changes, h.Config.Notify.Flap.Period), func(n int) {
		m.unreadable.Add(float64(n))
		h.Log.Error("changes of services cannot be read: no stream shows them", openlog.WithTags(openlog.Tags{"unreadable": n}))
	})
	m.register(f)
	h.OnChange(f.changed)
	serving, end := context.WithCancel(context.Background())
	h.Go(func(ctx context.Context) {
		defer end()
		select {
		case <-h.Stopping:
		case <-ctx.Done():
		}
	})
	s := &service{feed: f, metrics: m, limits: h.Limits, serving: serving, discoverable: h.Discoverable, head: h.Base.Head,
		edgeGallery: h.Config.Compat == conf.CompatEdgeGallery}
	ready := h.Ready
	h.Ready = func() bool { return ready() && f.ready() }
	h.Go(func(ctx context.Context) {
		h.Base.FollowHistory(ctx, f, func(reason string, err error) {
			if ctx.Err() == nil {
				h.Log.Warn("the changes of services are listed again", openlog.WithTags(openlog.Tags{"lost": reason, "reason": err.Error()}))
			}
		})
	})
	for _, prefix := range []string{"", plugins.MepPrefix} {
		h.Base.Handle("GET "+prefix+mp1.EventsPath, "mep.GetEvents", server.Identified, http.HandlerFunc(s.serve))
		h.Base.Handle(prefix+mp1.EventsPath, "mep.MethodNotAllowed", server.Identified, http.HandlerFunc(refuseMethod))
		h.Base.Handle("GET "+prefix+mp1.ChangesPath, "mep.GetChanges", server.Reading, http.HandlerFunc(s.serveLately))
		h.Base.Handle(prefix+mp1.ChangesPath, "mep.MethodNotAllowed", server.Reading, http.HandlerFunc(refuseMethod))
	}
	return m.Unregister, nil
}

func refuseMethod(w http.ResponseWriter, _ *http.Request) {
	server.RefuseMethod(w, http.MethodGet, http.MethodHead)
}

// service serves streams.
type service struct {
	feed    *feed
	metrics *metrics
	limits  server.Limits   // nil: nothing is limited
	serving context.Context // ends when the server stops
	// discoverable is what a caller may discover.
	discoverable func(context.Context) mp1.RequiredServices
	// head is the newest revision of the store.
	head        func(context.Context) (heartbeat.Revision, error)
	edgeGallery bool // queries are completed for EdgeGallery's clients
}
