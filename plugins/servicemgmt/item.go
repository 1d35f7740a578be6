package servicemgmt

import (
	"encoding/json"
	"strings"
	"sync/atomic"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

// item is one service as the index holds it; it is never changed, only replaced. It has what the
// index finds it by; the rest is read from its attributes when somebody asks for it, for most of
// many services are only kept alive.
type item struct {
	id       heartbeat.ID
	owner    string
	name     string
	category string // of its id, if it has one
	attrs    string
	since    int64 // wall clock of its registration, Unix nanoseconds
	at       heartbeat.Revision
	interval int // seconds
	index    *index

	unreadable  bool // its attributes cannot be read as a whole: it is shown to nobody
	categorized bool
	silences    bool // ACTIVE, and shown as SUSPENDED once it is silent for too long
	state       heartbeat.State

	svc    atomic.Pointer[server.Service] // nil: nobody has asked
	silent atomic.Pointer[server.Service]
}

// newItem is the item of a record. The error says that not even what it is found by can be read of
// its attributes.
func (x *index) newItem(s *heartbeat.Snapshot) (*item, error) {
	r := &s.Record
	it := &item{id: r.ID, owner: r.Owner, attrs: r.Attributes, since: r.RegisteredAt, at: s.At, interval: r.Interval, index: x,
		state: r.State.Shown(), silences: x.suspended && r.State == heartbeat.Active && r.Beating()}
	if w, ok := mp1.ReadWritten(r.Attributes); ok {
		it.name = w.SerName()
		it.category, it.categorized = w.Category()
		return it, nil
	}
	if info, err := mp1.ReadStored(r.Attributes); err == nil {
		it.name = info.SerName
		if c := info.SerCategory; c != nil {
			it.categorized, it.category = true, c.ID
		}
		return it, nil
	}
	it.unreadable = true
	var found struct {
		SerName     string           `json:"serName"`
		SerCategory *mp1.CategoryRef `json:"serCategory"`
	}
	if err := json.Unmarshal([]byte(r.Attributes), &found); err != nil {
		return nil, err
	}
	it.name = found.SerName
	if c := found.SerCategory; c != nil {
		it.categorized, it.category = true, c.ID
	}
	return it, nil
}

// seenAt is the same item at another revision.
func (it *item) seenAt(at heartbeat.Revision) *item {
	same := &item{id: it.id, owner: it.owner, name: it.name, category: it.category, attrs: it.attrs, since: it.since, at: at, interval: it.interval, index: it.index,
		unreadable: it.unreadable, categorized: it.categorized, silences: it.silences, state: it.state}
	same.svc.Store(it.svc.Load())
	same.silent.Store(it.silent.Load())
	return same
}

// service is the service as consumers see it, the same one each time; nil: its attributes cannot be
// read, and it is shown to nobody.
func (it *item) service() *server.Service {
	if svc := it.svc.Load(); svc != nil {
		return svc
	}
	if it.unreadable {
		return nil
	}
	svc, err := it.index.describe(it.id, it.owner, it.attrs, it.state, it.interval)
	if err != nil {
		return nil
	}
	it.svc.CompareAndSwap(nil, it.index.toConsumers(svc))
	return it.svc.Load()
}

// suspended is an ACTIVE service as one that is SUSPENDED; nil: none such is shown.
func (it *item) suspended() *server.Service {
	if !it.silences {
		return nil
	}
	if svc := it.silent.Load(); svc != nil {
		return svc
	}
	svc, err := it.index.describe(it.id, it.owner, it.attrs, heartbeat.Suspended, it.interval)
	if err != nil {
		return nil
	}
	it.silent.CompareAndSwap(nil, it.index.toConsumers(svc))
	return it.silent.Load()
}

// toConsumers has a service show where consumers reach it.
func (x *index) toConsumers(svc *server.Service) *server.Service {
	svc.Published = x.published
	return svc
}

// serviceOf is the record as who registered it sees it.
func (x *index) serviceOf(r *heartbeat.Record) (*server.Service, error) {
	return x.describe(r.ID, r.Owner, r.Attributes, r.State.Shown(), r.Interval)
}

func (x *index) describe(id heartbeat.ID, owner, attrs string, state heartbeat.State, interval int) (*server.Service, error) {
	svc, err := server.StoredService(owner, string(id), mp1.State(state.String()), interval, attrs)
	if err != nil {
		return nil, err
	}
	svc.EdgeGallery = x.edgeGallery
	return svc, nil
}

type set map[heartbeat.ID]*item

// buckets are items by a key. Most names have one service.
type buckets map[string]bucket

// bucket is one item, or several.
type bucket struct {
	one  *item
	more set // nil: there is one
}

func (b buckets) put(key string, it *item) {
	switch old, known := b[key]; {
	case !known:
		b[key] = bucket{one: it}
	case old.more != nil:
		old.more[it.id] = it
	case old.one.id == it.id:
		b[key] = bucket{one: it}
	default:
		delete(b, key) // which is a part of the first one's text, and may outlive it
		b[strings.Clone(key)] = bucket{more: set{old.one.id: old.one, it.id: it}}
	}
}

func (b buckets) remove(key string, id heartbeat.ID) {
	switch old, known := b[key]; {
	case !known:
	case old.more != nil:
		if delete(old.more, id); len(old.more) == 0 {
			delete(b, key)
		}
	case old.one.id == id:
		delete(b, key)
	}
}

// each calls f for all items of a key.
func (b buckets) each(key string, f func(*item)) {
	old, known := b[key]
	if known && old.more == nil {
		f(old.one)
	}
	for _, it := range old.more {
		f(it)
	}
}
