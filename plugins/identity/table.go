package identity

import (
	"container/list"
	"time"
)

// maxCallers bounds a table: an application is any name that somebody sends.
const maxCallers = 4096

// buckets are the buckets of a caller, of an address, or of all together, one a kind.
type buckets struct {
	name string
	of   [kinds]bucket
}

// full says whether the buckets are like new ones.
func (b *buckets) full(r [kinds]rate, now time.Duration) bool {
	for k := range b.of {
		b.of[k].fill(r[k], now)
		if !r[k].off() && b.of[k].owed > 0 {
			return false
		}
	}
	return true
}

// table holds buckets by name.
type table struct {
	rates  [kinds]rate
	byName map[string]*list.Element // of *buckets
	recent list.List                // the most recently seen first
	shared buckets                  // of all names for which there was no room
}

func newTable(rates [kinds]rate) table {
	return table{rates: rates, byName: map[string]*list.Element{}}
}

// of finds or makes the buckets of a name. In a full table the name that was seen the longest
// ago is forgotten, but only if its buckets are full again: otherwise it would get more by
// being forgotten. A name for which there is no room gets the shared buckets.
func (t *table) of(name string, now time.Duration) *buckets {
	if e := t.byName[name]; e != nil {
		t.recent.MoveToFront(e)
		b, _ := e.Value.(*buckets)
		return b
	}
	if len(t.byName) >= maxCallers {
		last := t.recent.Back()
		old, _ := last.Value.(*buckets)
		if !old.full(t.rates, now) {
			return &t.shared
		}
		t.recent.Remove(last)
		delete(t.byName, old.name)
	}
	b := &buckets{name: name}
	t.byName[name] = t.recent.PushFront(b)
	return b
}
