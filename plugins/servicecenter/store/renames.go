package store

import (
	"sync"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// renames knows the instances that an update gave another name: an id says of which
// microservice an instance was at first, the record of which it is now. What is not
// in it belongs to the microservice that its id begins with.
type renames struct {
	mu sync.RWMutex
	of map[string]rename // by instanceId
}

type rename struct {
	id    heartbeat.ID
	place string             // Record.Place
	at    heartbeat.Revision // of the record that says so
}

// follow takes in a record; what is older than what is known changes nothing.
func (m *renames) follow(r *heartbeat.Record, at heartbeat.Revision) {
	_, instance, ok := keys.Split(r.ID)
	if !ok {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, known := m.of[instance]
	if !known && r.Place == "" || known && old.at >= at {
		return
	}
	if m.of == nil {
		m.of = map[string]rename{}
	}
	m.of[instance] = rename{r.ID, r.Place, at}
}

// listed forgets the instances of which a list at that revision has no record.
func (m *renames) listed(ids map[heartbeat.ID]int, at heartbeat.Revision) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for instance, v := range m.of {
		if _, there := ids[v.id]; !there && v.at <= at {
			delete(m.of, instance)
		}
	}
}

// gone forgets an instance that has no record at that revision.
func (m *renames) gone(id heartbeat.ID, at heartbeat.Revision) {
	_, instance, _ := keys.Split(id)
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, known := m.of[instance]; known && v.id == id && v.at <= at {
		delete(m.of, instance)
	}
}

// to is an instance that was renamed to the microservice; "": there is none.
func (m *renames) to(service string) heartbeat.ID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, v := range m.of {
		if v.place == service {
			return v.id
		}
	}
	return ""
}

// restored forgets at which revisions the renames were seen, as Engine.Restored does:
// the next list says what they are in the history that goes on.
func (m *renames) restored() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for instance, v := range m.of {
		v.at = 0
		m.of[instance] = v
	}
}

// serviceID is the microservice that id belongs to, if an update gave it another name; "".
func (m *renames) serviceID(id heartbeat.ID) string {
	_, instance, _ := keys.Split(id)
	m.mu.RLock()
	defer m.mu.RUnlock()
	if v := m.of[instance]; v.id == id {
		return v.place
	}
	return ""
}

// idAt says whose projection an instance is; ok is false for one that its
// instance has left.
func (m *renames) idAt(s keys.Instance) (id heartbeat.ID, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	v, known := m.of[s.InstanceID]
	if !known {
		return s.ID(), true
	}
	return v.id, keys.InstanceOf(v.id, v.place) == s
}

// anyTo says whether an instance was renamed to the microservice.
func (m *renames) anyTo(service string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, v := range m.of {
		if v.place == service {
			return true
		}
	}
	return false
}
