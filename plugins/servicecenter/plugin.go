package servicecenter

import (
	"context"
	"path/filepath"
	"sync"

	"github.com/mec-liveness/mepserver/conf"
	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

// Plugin is the bottom of the list: service-center, the store under it, and the
// way into its handler chain.
func Plugin() plugins.Plugin { return plugins.Plugin{Name: "servicecenter", Setup: setup} }

// base joins the running service-center with the store's encoding.
type base struct {
	*Store
	*Center
}

var _ plugins.Base = base{}

// Alone implements plugins.Base: nobody else can reach an embedded store.
func (b base) Alone() bool { return b.Embedded() }

func setup(ctx context.Context, h *plugins.Host) (func(context.Context) error, error) {
	o := Options{Listen: h.Config.Server.Listen, Log: h.Log}
	if h.Config.Store.Kind == conf.Etcd {
		o.Endpoints = h.Config.Store.Endpoints
	} else {
		dir, err := filepath.Abs(h.Config.Store.DataDir)
		if err != nil {
			return nil, err
		}
		o.DataDir = dir
	}
	c, err := Start(ctx, o)
	if err != nil {
		return nil, err
	}
	s := &Store{client: c.Client(), server: c.Server()}
	if err := s.CheckSchema(ctx); err != nil {
		_ = c.Stop(ctx)
		return nil, err
	}
	own := &owned{seats: map[heartbeat.ID]seat{}, taken: map[seat]bool{}, services: map[string]int{}}
	h.OnChange(own.changed)
	c.Protect(own.has)
	h.Base = base{Store: s, Center: c}
	return c.Stop, nil
}

// MinLease implements plugins.Base: etcd grants no less than one and a half
// election timeouts, rounded up.
func (b base) MinLease() int {
	if b.Embedded() {
		return minLease(embeddedElectionMs)
	}
	return minLease(defaultElectionMs)
}

const defaultElectionMs = 1000

func minLease(electionMs int) int { return (electionMs*3/2 + 999) / 1000 }

// owned knows which instances and microservices are projections of records of
// ours, which only Mp1 may change.
type owned struct {
	mu       sync.RWMutex
	seats    map[heartbeat.ID]seat // of every record
	taken    map[seat]bool
	services map[string]int
}

func (o *owned) changed(id heartbeat.ID, s *heartbeat.Snapshot) {
	if _, _, ok := split(id); !ok {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	at := seatOf(id, s.Record.Place)
	old, known := o.seats[id]
	if known && s.Exists() && old == at {
		return
	}
	if known {
		delete(o.seats, id)
		delete(o.taken, old)
		if o.services[old.service]--; o.services[old.service] == 0 {
			delete(o.services, old.service)
		}
	}
	if s.Exists() {
		o.seats[id] = at
		o.taken[at] = true
		o.services[at.service]++
	}
}

func (o *owned) has(serviceID, instanceID string) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if instanceID == "" {
		return o.services[serviceID] > 0
	}
	return o.taken[seat{serviceID, instanceID}]
}
