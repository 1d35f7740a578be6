package state

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// StorePath is where the servers of the store are.
	StorePath = mp1.LivenessBase + "/store"
	// storeAge is how old an answer may be: who asks more often costs the servers nothing.
	storeAge = 5 * time.Second
)

// storeAnswer is how the store is.
type storeAnswer struct {
	Now  string `json:"now"`
	Kind string `json:"kind"` // embedded or cluster
	plugins.StoreHealth
}

// health is what the servers of the store have said of themselves last.
type health struct {
	mu   sync.Mutex // also held while they are asked: who waits wants the same
	last *storeAnswer
	at   plugins.Instant
}

// store is the route of the store.
func (r *Room) store(req *http.Request) (any, error) {
	if err := mp1.NoParameters(req.URL.RawQuery); err != nil {
		return nil, err
	}
	r.health.mu.Lock()
	defer r.health.mu.Unlock()
	now, wall := r.clock()
	if r.health.last == nil || now-r.health.at >= storeAge {
		// Others wait for the answer, so that it must not end with this one's request.
		h := r.base.StoreHealth(context.WithoutCancel(req.Context()))
		r.health.last, r.health.at = &storeAnswer{Now: stamp(wall), Kind: storeKind(r.host.Config), StoreHealth: h}, now
	}
	return r.health.last, nil
}

// serveStore serves the store below a prefix.
func (r *Room) serveStore(h *plugins.Host, prefix string, refuse http.Handler) {
	h.Base.Handle("GET "+prefix+StorePath, "mep.GetStore", server.Reading, r.handler(r.store))
	h.Base.Handle(prefix+StorePath, "mep.MethodNotAllowed", server.Reading, refuse)
}
