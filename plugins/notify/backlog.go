package notify

import (
	"cmp"
	"slices"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// backlog is the outbox as this replica has seen it: those of its events that a subscription asks for.
// It is not safe for concurrent use.
type backlog struct {
	list     messages
	byFilter map[plugins.FilterKey]*messages // the part of list that one criterion selects
	byKey    map[string]*message             // by the event's key in the store
	newest   heartbeat.Revision              // of all that were taken in, also of those that nobody asks for
	erased   int                             // how many of list are not in the outbox any more
	moved    int                             // messages copied by compactions; at most as many as were erased
}

// messages are in the order of commits.
type messages []*message

func newBacklog() backlog {
	return backlog{byFilter: map[plugins.FilterKey]*messages{}, byKey: map[string]*message{}}
}

// add adds a message that is newer than all before.
func (b *backlog) add(key string, m *message) {
	m.erased = false
	b.newest = m.at
	b.byKey[key] = m
	b.index(m)
}

func (b *backlog) index(m *message) {
	b.list = append(b.list, m)
	for i := range plugins.SingleKeysOf(m.subject()) {
		l := b.byFilter[i]
		if l == nil {
			l = &messages{}
			b.byFilter[i] = l
		}
		*l = append(*l, m)
	}
}

// erase takes a message out. It stays in the lists until half of them is erased, so that the
// cost of erasing many is proportional to their number, and not to its square.
func (b *backlog) erase(key string) {
	m := b.byKey[key]
	if m == nil {
		return
	}
	delete(b.byKey, key)
	m.erased = true
	if b.erased++; 2*b.erased < len(b.list) {
		return
	}
	old := b.list
	b.list, b.byFilter, b.erased = make(messages, 0, len(old)-b.erased), map[plugins.FilterKey]*messages{}, 0
	for _, m := range old {
		if !m.erased {
			b.index(m)
			b.moved++
		}
	}
}

// behind are the messages after a revision that a subscription asks for, in order. It looks
// only at those that the narrowest criterion of its filter selects.
func (b *backlog) behind(at heartbeat.Revision, asked *mp1.Subscription) (out []*message) {
	selecting := plugins.NarrowestKeys(asked)
	for _, i := range selecting {
		l := b.byFilter[i]
		if i == (plugins.FilterKey{}) {
			l = &b.list
		}
		if l == nil {
			continue
		}
		from, _ := slices.BinarySearchFunc(*l, at+1, func(m *message, at heartbeat.Revision) int { return cmp.Compare(m.at, at) })
		for _, m := range (*l)[from:] {
			if !m.erased && m.subject().AskedBy(asked) {
				out = append(out, m)
			}
		}
	}
	if len(selecting) > 1 {
		slices.SortFunc(out, func(a, b *message) int { return cmp.Compare(a.at, b.at) })
	}
	return out
}
