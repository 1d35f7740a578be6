package servicemgmt

import (
	"sync"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

const (
	minShared   = 64      // services; a shorter list is not worth caching
	maxLists    = 16      // lists that are cached
	maxPointers = 1 << 20 // to services, of all lists that are cached
)

// lists caches the newest list of each of a few filters. Clients that read the same list share
// it while it does not change, however many they are and however slowly they read. It
// holds pointers only, for each service is encoded once for all lists.
type lists struct {
	mu     sync.Mutex
	cached map[string]*list // by the query of the filter
}

// list is what the index found at a version, and what of it is visible. Neither is changed.
type list struct {
	at    uint64 // version of the index
	found []*item
	shown []*server.Service
}

// discover lists the services that the filter selects, each as form has it; nil: it is left out.
func (l *lists) discover(x *index, f mp1.Filter, form func(*item) *server.Service) []*server.Service {
	key := f.Query() // not a list of its fields, from which a new one would be missing
	old := l.cachedFor(key)
	now := &list{at: x.version()}
	if old != nil && old.at == now.at {
		now.found = old.found
	} else {
		now.found = x.find("", f)
	}
	var before []*server.Service
	if old != nil {
		before = old.shown
	}
	now.shown = show(now.found, form, before, x.edgeGallery)
	l.store(key, now)
	return now.shown
}

// show lists each of found as form has it. It returns before itself if that is the same. Under
// activeFirst the ACTIVE ones stand first in found; those that form shows otherwise go behind them.
func show(found []*item, form func(*item) *server.Service, before []*server.Service, activeFirst bool) []*server.Service {
	n := 0 // of before, as long as nothing differs
	var out, behind []*server.Service
	add := func(s *server.Service) {
		switch {
		case out != nil:
			out = append(out, s)
		case n < len(before) && before[n] == s:
			n++
		default:
			out = append(append(make([]*server.Service, 0, len(found)), before[:n]...), s)
		}
	}
	addBehind := func() {
		for _, s := range behind {
			add(s)
		}
		behind = nil
	}
	for _, it := range found {
		if it.state != heartbeat.Active {
			addBehind()
		}
		switch s := form(it); {
		case s == nil:
		case activeFirst && s != it.service():
			behind = append(behind, s)
		default:
			add(s)
		}
	}
	addBehind()
	if out == nil {
		return before[:n:n]
	}
	return out
}

func (l *lists) cachedFor(key string) *list {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cached[key]
}

// store caches the list of a filter, and drops others if there would be too many.
func (l *lists) store(key string, now *list) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.cached, key)
	size := len(now.found) + len(now.shown)
	if len(now.found) < minShared || size > maxPointers {
		return
	}
	for _, other := range l.cached {
		size += len(other.found) + len(other.shown)
	}
	for k, other := range l.cached {
		if len(l.cached) < maxLists && size <= maxPointers {
			break
		}
		size -= len(other.found) + len(other.shown)
		delete(l.cached, k)
	}
	if l.cached == nil {
		l.cached = map[string]*list{}
	}
	l.cached[key] = now
}
