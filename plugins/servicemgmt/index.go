package servicemgmt

import (
	"slices"
	"sync"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// item is one service as the index holds it; it is never changed, only replaced.
type item struct {
	id    heartbeat.ID
	since int64 // wall clock of its registration, Unix nanoseconds
	state heartbeat.State
	at    heartbeat.Revision
	svc   *server.Service
	attrs string
	// silent is an ACTIVE service as one that is SUSPENDED; nil: none such is shown.
	silent func() *server.Service
}

type set map[heartbeat.ID]*item

// index finds services by id, name, category and owner without a scan. It follows the
// changes that the engine reports.
type index struct {
	edgeGallery bool // services are shown to EdgeGallery's clients too
	suspended   bool // lists show SUSPENDED services
	// published is where consumers reach a service; nil: where it was registered.
	published func(*mp1.ServiceInfo) *mp1.EndPointInfo

	mu         sync.RWMutex
	byID       set
	byName     map[string]set
	byCategory map[string]set
	byOwner    map[string]set
	changes    uint64                           // how often anything was
	reserved   map[string]map[heartbeat.ID]bool // registrations on their way, by owner
	displacing map[heartbeat.ID]bool            // SUSPENDED services that make room for one
}

func newIndex(edgeGallery bool) *index {
	return &index{edgeGallery: edgeGallery, byID: set{}, byName: map[string]set{}, byCategory: map[string]set{}, byOwner: map[string]set{}, reserved: map[string]map[heartbeat.ID]bool{}, displacing: map[heartbeat.ID]bool{}}
}

// changed takes in a change of the engine. It is Host.OnChange's function.
func (x *index) changed(id heartbeat.ID, s *heartbeat.Snapshot) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.changes++
	old := x.byID[id]
	if !s.Exists() {
		delete(x.displacing, id)
		x.remove(old)
		return
	}
	r := &s.Record
	if old != nil && old.at == s.At {
		return
	}
	if old != nil && old.state == r.State.Shown() && old.attrs == r.Attributes && old.svc.Interval == r.Interval {
		same := *old
		same.at = s.At
		x.put(&same)
		return
	}
	svc, err := x.serviceOf(r)
	if err != nil {
		x.remove(old) // a record that cannot be read cannot be shown
		return
	}
	it := &item{id: id, since: r.RegisteredAt, state: r.State.Shown(), at: s.At, svc: x.toConsumers(svc), attrs: r.Attributes}
	if x.suspended && r.State == heartbeat.Active && r.Beating() {
		it.silent = sync.OnceValue(func() *server.Service {
			info := svc.Info
			info.State = mp1.Suspended
			return x.toConsumers(x.represent(svc.Owner, info, svc.Interval))
		})
	}
	x.remove(old)
	x.put(it)
}

// toConsumers has a service show where consumers reach it.
func (x *index) toConsumers(svc *server.Service) *server.Service {
	if x.published != nil {
		svc.Published = func() *mp1.EndPointInfo { return x.published(&svc.Info) }
	}
	return svc
}

// serviceOf is the record as clients see it.
func (x *index) serviceOf(r *heartbeat.Record) (*server.Service, error) {
	info, err := mp1.ReadStored(r.Attributes)
	if err != nil {
		return nil, err
	}
	info.SerInstanceID = string(r.ID)
	info.State = mp1.State(r.State.Shown().String())
	return x.represent(r.Owner, info, r.Interval), nil
}

func (x *index) represent(owner string, info mp1.ServiceInfo, interval int) *server.Service {
	svc := server.NewService(owner, info, interval)
	svc.EdgeGallery = x.edgeGallery
	return svc
}

func (x *index) put(it *item) {
	x.byID[it.id] = it
	for in, key := range x.keys(it) {
		if in.byKey[key] == nil {
			in.byKey[key] = set{}
		}
		in.byKey[key][it.id] = it
	}
}

func (x *index) remove(it *item) {
	if it == nil {
		return
	}
	delete(x.byID, it.id)
	for in, key := range x.keys(it) {
		delete(in.byKey[key], it.id)
		if len(in.byKey[key]) == 0 {
			delete(in.byKey, key)
		}
	}
}

type indexKey struct{ byKey map[string]set }

// keys yields under which keys of which indexes an item stands.
func (x *index) keys(it *item) func(func(indexKey, string) bool) {
	return func(yield func(indexKey, string) bool) {
		if !yield(indexKey{x.byName}, it.svc.Info.SerName) || !yield(indexKey{x.byOwner}, it.svc.Owner) {
			return
		}
		if c := it.svc.Info.SerCategory; c != nil {
			yield(indexKey{x.byCategory}, c.ID)
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
	add := func(from set) {
		for _, it := range from {
			if (owner == "" || it.svc.Owner == owner) && f.Match(&it.svc.Info) {
				out = append(out, it)
			}
		}
	}
	switch {
	case len(f.SerInstanceIDs) > 0:
		from := set{}
		for _, id := range f.SerInstanceIDs {
			if it := x.byID[heartbeat.ID(id)]; it != nil {
				from[it.id] = it
			}
		}
		add(from)
	case owner != "":
		add(x.byOwner[owner])
	case len(f.SerNames) > 0:
		for _, name := range slices.Compact(slices.Sorted(slices.Values(f.SerNames))) {
			add(x.byName[name])
		}
	case f.SerCategoryID != "":
		add(x.byCategory[f.SerCategoryID])
	default:
		add(x.byID)
	}
	x.mu.RUnlock()
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
