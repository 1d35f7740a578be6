package identity

import (
	"container/list"
	"time"
)

// maxCallers bounds a table of buckets: an application is any name that somebody sends.
const maxCallers = 4096

// buckets are those of a caller, of an address, or of all together.
type buckets struct {
	name string
	of   [kinds]bucket
}

// full says whether the buckets are as good as new.
func (b *buckets) full(r [kinds]rate, now time.Duration) bool {
	for k := range b.of {
		b.of[k].fill(r[k], now)
		if !r[k].off() && b.of[k].spent > 0 {
			return false
		}
	}
	return true
}

// table has buckets by name.
type table struct {
	rates  [kinds]rate
	places map[string]*list.Element // of *buckets
	recent list.List                // the most recently seen first
	crowd  buckets                  // of those that there was no place for
}

func newTable(rates [kinds]rate) table {
	return table{rates: rates, places: map[string]*list.Element{}}
}

// of finds the buckets of a name. A table that is full makes room by forgetting
// whoever was seen the longest ago, if its buckets are full again: nothing is forgiven
// by that. Who gets no place shares the buckets of the crowd.
func (t *table) of(name string, now time.Duration) *buckets {
	if e := t.places[name]; e != nil {
		t.recent.MoveToFront(e)
		b, _ := e.Value.(*buckets)
		return b
	}
	if len(t.places) >= maxCallers {
		last := t.recent.Back()
		old, _ := last.Value.(*buckets)
		if !old.full(t.rates, now) {
			return &t.crowd
		}
		t.recent.Remove(last)
		delete(t.places, old.name)
	}
	b := &buckets{name: name}
	t.places[name] = t.recent.PushFront(b)
	return b
}
