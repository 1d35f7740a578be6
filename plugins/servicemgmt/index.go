package servicemgmt

import (
	"reflect"
	"slices"
	"sync"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// index finds services by id, name, category and owner without a scan. It follows the
// changes that the engine reports.
type index struct {
	edgeGallery bool // services are shown to EdgeGallery's clients too
	suspended   bool // lists show SUSPENDED services
	// published is where consumers reach a service; nil: where it was registered.
	published func(*server.Service) *mp1.EndPointInfo

	mu         sync.RWMutex
	byID       set
	byName     buckets
	byCategory buckets
	byOwner    buckets
	changes    uint64                           // how often anything was
	reserved   map[string]map[heartbeat.ID]bool // registrations on their way, by owner
	displacing map[heartbeat.ID]bool            // SUSPENDED services that make room for one
}

func newIndex(edgeGallery bool) *index {
	return &index{edgeGallery: edgeGallery, byID: set{}, byName: buckets{}, byCategory: buckets{}, byOwner: buckets{}, reserved: map[string]map[heartbeat.ID]bool{}, displacing: map[heartbeat.ID]bool{}}
}

// changed takes in a change of the engine. It is Host.OnChange's function, and called for one id at a
// time: the item is made before the lock is taken, so that several are made at once.
func (x *index) changed(id heartbeat.ID, s *heartbeat.Snapshot) {
	old := x.get(id)
	var it *item
	stays := false // under its keys
	switch r := &s.Record; {
	case !s.Exists():
	case old != nil && old.at == s.At:
		it = old
	case old != nil && old.state == r.State.Shown() && old.attrs == r.Attributes && old.interval == r.Interval:
		it, stays = old.seenAt(s.At), true
	default:
		it, _ = x.newItem(s) // a record that cannot be read cannot be shown
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.changes++
	if !s.Exists() {
		delete(x.displacing, id)
	}
	if it == old && it != nil {
		return
	}
	if !stays {
		x.remove(old)
	}
	if it != nil {
		x.put(it)
	}
}

func (x *index) put(it *item) {
	x.byID[it.id] = it
	for in, key := range x.keys(it) {
		in.put(key, it)
	}
}

func (x *index) remove(it *item) {
	if it == nil {
		return
	}
	delete(x.byID, it.id)
	for in, key := range x.keys(it) {
		in.remove(key, it.id)
	}
}

// keys yields under which keys of which indexes an item stands.
func (x *index) keys(it *item) func(func(buckets, string) bool) {
	return func(yield func(buckets, string) bool) {
		if !yield(x.byName, it.name) || !yield(x.byOwner, it.owner) {
			return
		}
		if it.categorized {
			yield(x.byCategory, it.category)
		}
	}
}

// version changes with every change.
func (x *index) version() uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.changes
}

func (x *index) get(id heartbeat.ID) *item {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byID[id]
}

// find returns what the filter selects, of one owner if that is not "", in the order of
// registration. For EdgeGallery's clients the ACTIVE ones come first: its agent gives
// applications the first service of a list, whatever its state, and the dead stay in it.
func (x *index) find(owner string, f mp1.Filter) []*item {
	x.mu.RLock()
	var out []*item
	add := func(it *item) {
		if owner == "" || it.owner == owner {
			out = append(out, it)
		}
	}
	rest := f // what is not looked up
	switch {
	case len(f.SerInstanceIDs) > 0:
		rest.SerInstanceIDs = nil
		for _, id := range slices.Compact(slices.Sorted(slices.Values(f.SerInstanceIDs))) {
			if it := x.byID[heartbeat.ID(id)]; it != nil {
				add(it)
			}
		}
	case owner != "":
		x.byOwner.each(owner, add)
	case len(f.SerNames) > 0:
		rest.SerNames = nil
		for _, name := range slices.Compact(slices.Sorted(slices.Values(f.SerNames))) {
			x.byName.each(name, add)
		}
	case f.SerCategoryID != "":
		rest.SerCategoryID = ""
		x.byCategory.each(f.SerCategoryID, add)
	default:
		for _, it := range x.byID {
			add(it)
		}
	}
	x.mu.RUnlock()
	narrow := !reflect.ValueOf(rest).IsZero()          // else nothing need be read of the description
	out = slices.DeleteFunc(out, func(it *item) bool { // not under the lock: who is asked for the first time is read
		svc := it.service()
		return svc == nil || narrow && !f.Match(svc.Info())
	})
	slices.SortFunc(out, func(a, b *item) int {
		if x.edgeGallery && (a.state == heartbeat.Active) != (b.state == heartbeat.Active) {
			if a.state == heartbeat.Active {
				return -1
			}
			return 1
		}
		return older(a, b)
	})
	return out
}
