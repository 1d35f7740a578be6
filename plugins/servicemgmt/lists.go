package servicemgmt

import (
	"strconv"
	"strings"
	"sync"

	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/mp1/server"
)

const (
	leastShared  = 64      // services; a shorter list is not worth a place
	mostLists    = 16      // lists that are kept
	mostPointers = 1 << 20 // to services, of all that are kept
)

// lists keeps the newest list of each of a few filters. Readers of the same list share
// it while it does not change, however many they are and however slowly they read; it
// holds pointers only, for each service is encoded once for all lists.
type lists struct {
	mu   sync.Mutex
	kept map[string]*list
}

// list is what the index found at a time, and what of it was shown. Neither is changed.
type list struct {
	at    uint64 // of the index
	found []*item
	shown []*server.Service
}

// discover gives what visible lets be seen of what the filter selects.
func (l *lists) discover(x *index, f mp1.Filter, visible func(*item) bool) []*server.Service {
	key := keyOf(f)
	old := l.last(key)
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
	l.keep(key, now)
	return now.shown
}

// show selects what is visible. It gives before itself if that is the same.
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

func (l *lists) last(key string) *list {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept[key]
}

// keep replaces the list of a filter. Where there is no room, others are forgotten.
func (l *lists) keep(key string, now *list) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.kept, key)
	size := len(now.found) + len(now.shown)
	if len(now.found) < leastShared || size > mostPointers {
		return
	}
	for _, other := range l.kept {
		size += len(other.found) + len(other.shown)
	}
	for k, other := range l.kept {
		if len(l.kept) < mostLists && size <= mostPointers {
			break
		}
		size -= len(other.found) + len(other.shown)
		delete(l.kept, k)
	}
	if l.kept == nil {
		l.kept = map[string]*list{}
	}
	l.kept[key] = now
}

// keyOf is the filter as a text; values cannot contain what parts them.
func keyOf(f mp1.Filter) string {
	flag := func(b *bool) string {
		if b == nil {
			return ""
		}
		return strconv.FormatBool(*b)
	}
	const unit, group = "\x1f", "\x1e"
	quoted := func(of []string) string {
		out := make([]string, len(of))
		for i, s := range of {
			out[i] = strconv.Quote(s)
		}
		return strings.Join(out, unit)
	}
	return strings.Join([]string{quoted(f.SerInstanceIDs), quoted(f.SerNames), strconv.Quote(f.SerCategoryID), string(f.ScopeOfLocality), flag(f.ConsumedLocalOnly), flag(f.IsLocal)}, group)
}
