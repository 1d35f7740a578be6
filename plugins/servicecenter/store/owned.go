package store

import (
	"sync"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
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
	at    keys.Instance
	lease heartbeat.LeaseID
}

// changed takes a record in that was written or erased.
func (o *owned) changed(id heartbeat.ID, s *heartbeat.Snapshot) {
	if _, _, ok := keys.Split(id); !ok {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.held == nil {
		o.held, o.taken, o.services, o.leases = map[heartbeat.ID]holding{}, map[string]string{}, map[string]int{}, map[heartbeat.LeaseID]struct{}{}
	}
	now := holding{keys.InstanceOf(id, s.Record.Place), s.Record.Lease}
	old, known := o.held[id]
	if known && s.Exists() && old == now {
		return
	}
	if known {
		delete(o.held, id)
		delete(o.leases, old.lease)
		delete(o.taken, old.at.InstanceID)
		if o.services[old.at.ServiceID]--; o.services[old.at.ServiceID] == 0 {
			delete(o.services, old.at.ServiceID)
		}
	}
	if s.Exists() {
		o.held[id] = now
		o.taken[now.at.InstanceID] = now.at.ServiceID
		o.services[now.at.ServiceID]++
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

// instances counts the records that are known to have their instance at a microservice.
func (o *owned) instances(serviceID string) int {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.services[serviceID]
}

// records counts the records that are known.
func (o *owned) records() int {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return len(o.held)
}

func (o *owned) leased(l heartbeat.LeaseID) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	_, ok := o.leases[l]
	return ok
}

// Changed takes in a record that was written or erased: Owns and OwnsLease follow it.
func (s *Store) Changed(id heartbeat.ID, now *heartbeat.Snapshot) { s.owned.changed(id, now) }

// Owns says whether an instance is that of a record, as far as this replica has seen. An
// empty instanceID asks for a microservice of which instances are, an empty serviceID for
// an instance of any microservice.
func (s *Store) Owns(serviceID, instanceID string) bool { return s.owned.has(serviceID, instanceID) }

// OwnsLease says whether an instance of a record hangs on the lease.
func (s *Store) OwnsLease(l heartbeat.LeaseID) bool { return s.owned.leased(l) }
