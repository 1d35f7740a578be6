package store

import (
	"sync"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// moved knows the instances that an update gave another name: an id says of which
// microservice an instance was at first, the record of which it is now. What is not
// in it stands where its id says.
type moved struct {
	mu sync.RWMutex
	of map[string]move // by instanceId
}

type move struct {
	id    heartbeat.ID
	place string             // Record.Place
	at    heartbeat.Revision // of the record that says so
}

// note follows a record; what is older than what is known changes nothing.
func (m *moved) note(r *heartbeat.Record, at heartbeat.Revision) {
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
		m.of = map[string]move{}
	}
	m.of[instance] = move{r.ID, r.Place, at}
}

// listed forgets the instances of which a list at that revision has no record.
func (m *moved) listed(ids map[heartbeat.ID]int, at heartbeat.Revision) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for instance, v := range m.of {
		if _, there := ids[v.id]; !there && v.at <= at {
			delete(m.of, instance)
		}
	}
}

// restored forgets at which revisions the moves were seen, as Engine.Restored does:
// the next list says what they are in the history that goes on.
func (m *moved) restored() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for instance, v := range m.of {
		v.at = 0
		m.of[instance] = v
	}
}

// place is where the projection of id stands.
func (m *moved) place(id heartbeat.ID) string {
	_, instance, _ := keys.Split(id)
	m.mu.RLock()
	defer m.mu.RUnlock()
	if v := m.of[instance]; v.id == id {
		return v.place
	}
	return ""
}

// sits says whose projection stands at a seat; ok is false for a seat that its
// instance has left.
func (m *moved) sits(s keys.Instance) (id heartbeat.ID, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	v, known := m.of[s.InstanceID]
	if !known {
		return s.ID(), true
	}
	return v.id, keys.InstanceOf(v.id, v.place) == s
}

// anyAt says whether an instance was moved to the microservice.
func (m *moved) anyAt(service string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, v := range m.of {
		if v.place == service {
			return true
		}
	}
	return false
}
