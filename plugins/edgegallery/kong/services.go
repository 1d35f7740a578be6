package kong

import (
	"maps"
	"slices"
	"sync"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// service is one service as it is registered, and its entries as they are stored. It is a value:
// a change replaces it.
type service struct {
	id         heartbeat.ID
	name       string     // serName
	attributes string     // of the record; "": there is none
	endpoints  []endpoint // that are to be published
	entries    plugins.GatewayEntries
	// seen is the revision of the last write of the entries that is known; older ones are shown
	// late.
	seen heartbeat.Revision
}

// nameOf is what an endpoint is called at the gateway. A stored name stays: consumers know it.
func (s *service) nameOf(uri string) string {
	if name := s.entries.Names[uri]; validName(name) {
		return name
	}
	return nameFor(s.id, s.name, uri)
}

// plan is what is to be stored of a service, and whether that differs from what is; and where each
// name leads.
func (s *service) plan() (next plugins.GatewayEntries, differs bool, links map[string]string) {
	next = plugins.GatewayEntries{ID: s.id, Names: map[string]string{}, At: s.entries.At}
	links = map[string]string{}
	for _, e := range s.endpoints {
		name := s.nameOf(e.uri)
		if _, twice := links[name]; twice { // only stored names can be so
			name = nameFor(s.id, s.name, e.uri)
		}
		next.Names[e.uri], links[name] = name, e.url
	}
	for _, name := range slices.Concat(slices.Sorted(maps.Values(s.entries.Names)), s.entries.Removed) {
		if _, wanted := links[name]; !wanted && validName(name) && !slices.Contains(next.Removed, name) {
			next.Removed = append(next.Removed, name)
		}
	}
	slices.Sort(next.Removed)
	differs = !maps.Equal(next.Names, s.entries.Names) || !slices.Equal(next.Removed, slices.Sorted(slices.Values(s.entries.Removed)))
	return next, differs, links
}

// services are all that are registered or have entries, and which of them are to be looked at.
type services struct {
	publish func(host string, port int) bool

	mu     sync.Mutex
	of     map[heartbeat.ID]service
	due    map[heartbeat.ID]struct{}
	loaded bool
	signal chan struct{} // of 1: something is due
}

func newServices(publish func(host string, port int) bool) *services {
	return &services{publish: publish, of: map[heartbeat.ID]service{}, due: map[heartbeat.ID]struct{}{}, signal: make(chan struct{}, 1)}
}

// replace replaces a service, and forgets one of which nothing is left; x.mu is held.
func (x *services) replace(s service) {
	if s.attributes == "" && s.entries.At == 0 {
		delete(x.of, s.id)
		delete(x.due, s.id)
		return
	}
	x.of[s.id] = s
}

// markDue has a service looked at; x.mu is held.
func (x *services) markDue(id heartbeat.ID) {
	x.due[id] = struct{}{}
	select {
	case x.signal <- struct{}{}:
	default:
	}
}

// changed takes in a change of the engine. It is Host.OnChange's function.
func (x *services) changed(id heartbeat.ID, snapshot *heartbeat.Snapshot) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.of[id]
	attributes := ""
	if snapshot.Exists() {
		attributes = snapshot.Record.Attributes
	}
	if s.attributes == attributes {
		return
	}
	s.id, s.attributes, s.endpoints = id, attributes, nil
	if attributes != "" {
		if info, err := mp1.ReadStored(attributes); err == nil {
			s.name, s.endpoints = info.SerName, endpointsOf(&info, x.publish)
		}
	}
	x.replace(s)
	x.markDue(id)
}

// load takes in all stored entries.
func (x *services) load(all []plugins.GatewayEntries, at heartbeat.Revision) {
	x.mu.Lock()
	defer x.mu.Unlock()
	stored := make(map[heartbeat.ID]plugins.GatewayEntries, len(all))
	for _, e := range all {
		stored[e.ID] = e
		if _, known := x.of[e.ID]; !known && e.ID != "" {
			x.of[e.ID] = service{id: e.ID}
		}
	}
	for id, s := range x.of {
		s.entries, s.seen = stored[id], at
		s.entries.ID = id
		x.replace(s)
		x.markDue(id)
	}
	x.loaded = true
}

// see takes in a write of entries.
func (x *services) see(e plugins.GatewayEntries, erased bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.of[e.ID]
	if e.ID == "" || e.At < s.seen {
		return
	}
	news := e.At > s.seen || erased // of our own erasure, too: what was to be written meanwhile had a conflict
	s.id, s.seen, s.entries = e.ID, e.At, e
	if erased {
		s.entries = plugins.GatewayEntries{ID: e.ID}
	}
	x.replace(s)
	if _, there := x.of[e.ID]; there && news {
		x.markDue(e.ID)
	}
}

// saved takes in a write of our own. erased entries are forgotten when the store shows it: what
// was written before is shown until then.
func (x *services) saved(e plugins.GatewayEntries) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s, there := x.of[e.ID]
	if !there || e.At <= s.seen {
		return
	}
	s.entries, s.seen = e, e.At
	x.of[e.ID] = s
}

// get returns a service.
func (x *services) get(id heartbeat.ID) (service, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s, ok := x.of[id]
	return s, ok
}

// nextDue returns some of the services that are due, which then are due no more.
func (x *services) nextDue(most int) (out []heartbeat.ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for id := range x.due {
		if len(out) == most {
			break
		}
		out = append(out, id)
		delete(x.due, id)
	}
	return out
}

// retry has services looked at again.
func (x *services) retry(ids ...heartbeat.ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, id := range ids {
		if _, there := x.of[id]; there {
			x.due[id] = struct{}{}
		}
	}
}

// all has every service looked at.
func (x *services) all() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for id := range x.of {
		x.due[id] = struct{}{}
	}
}

// idle has none looked at: another replica does it.
func (x *services) idle() {
	x.mu.Lock()
	defer x.mu.Unlock()
	clear(x.due)
}

func (x *services) isLoaded() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.loaded
}

// list returns every service.
func (x *services) list() []service {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Collect(maps.Values(x.of))
}

func (x *services) dueCount() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.due)
}
