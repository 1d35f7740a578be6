package servicecenter

import (
	"sync"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// owned knows which instances, microservices and leases are those of records of
// ours, as far as this replica has seen them. Only Mp1 may change them.
type owned struct {
	mu       sync.RWMutex
	held     map[heartbeat.ID]holding // of every record
	taken    map[string]string        // instanceId to serviceId
	services map[string]int           // their instances
	leases   map[heartbeat.LeaseID]struct{}
}

type holding struct {
	at    seat
	lease heartbeat.LeaseID
}

func newOwned() *owned {
	return &owned{held: map[heartbeat.ID]holding{}, taken: map[string]string{}, services: map[string]int{}, leases: map[heartbeat.LeaseID]struct{}{}}
}

func (o *owned) changed(id heartbeat.ID, s *heartbeat.Snapshot) {
	if _, _, ok := split(id); !ok {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := holding{seatOf(id, s.Record.Place), s.Record.Lease}
	old, known := o.held[id]
	if known && s.Exists() && old == now {
		return
	}
	if known {
		delete(o.held, id)
		delete(o.leases, old.lease)
		delete(o.taken, old.at.instance)
		if o.services[old.at.service]--; o.services[old.at.service] == 0 {
			delete(o.services, old.at.service)
		}
	}
	if s.Exists() {
		o.held[id] = now
		o.taken[now.at.instance] = now.at.service
		o.services[now.at.service]++
		if now.lease != 0 {
			o.leases[now.lease] = struct{}{}
		}
	}
}

func (o *owned) has(serviceID, instanceID string) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if instanceID == "" {
		return o.services[serviceID] > 0
	}
	at, taken := o.taken[instanceID]
	return taken && (serviceID == "" || serviceID == at)
}

func (o *owned) standing(serviceID string) int {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.services[serviceID]
}

func (o *owned) leased(l heartbeat.LeaseID) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	_, ok := o.leases[l]
	return ok
}
