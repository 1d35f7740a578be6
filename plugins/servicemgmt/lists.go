package servicemgmt

import (
	"sync"

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

// discover lists the services that the filter selects and that are visible.
func (l *lists) discover(x *index, f mp1.Filter, visible func(*item) bool) []*server.Service {
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
	now.shown = show(now.found, visible, before)
	l.store(key, now)
	return now.shown
}

// show selects what is visible. It returns before itself if that is the same.
func show(found []*item, visible func(*item) bool, before []*server.Service) []*server.Service {
	n := 0 // of before, as long as nothing differs
	var out []*server.Service
	for _, it := range found {
		switch {
		case !visible(it):
		case out != nil:
			out = append(out, it.svc)
		case n < len(before) && before[n] == it.svc:
			n++
		default:
			out = append(append(make([]*server.Service, 0, len(found)), before[:n]...), it.svc)
		}
	}
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
