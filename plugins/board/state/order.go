package state

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/plugins"
)

const (
	// freshFor is how long an order of all services serves everybody who asks. What is shown of
	// each service is read anew all the same.
	freshFor = 500 * time.Millisecond
	// keptFor is how long an order is kept for those who have read a page of it.
	keptFor = time.Minute
	// maxKept and maxRows bound what is kept: orders, and rows of all of them together.
	maxKept = 8
	maxRows = 400_000
)

// class is the first key of the order: who needs to be looked at comes first.
type class uint8

const (
	suspended class = iota
	late
	living
	inactive
	withoutLiveness
	classes
)

// place is where a service stands in the order of all.
type place struct {
	class class
	key   int64 // of SUSPENDED and INACTIVE ones the newest first, of living ones who dies next
	id    heartbeat.ID
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.class, q.class), cmp.Compare(p.key, q.key), cmp.Compare(p.id, q.id))
}

// row is a service in an order, with what queries select by.
type row struct {
	place
	state   heartbeat.State
	late    bool
	drained bool
	app     string
	name    string // in lower case
}

// order is all services in order, as they were at a moment. It is not changed.
type order struct {
	number uint64
	made   plugins.Instant
	rows   []row
	survey heartbeat.Survey
	counts counts
}

// after is the index of the first row behind a place.
func (o *order) after(p place) int {
	at, is := slices.BinarySearchFunc(o.rows, p, func(r row, p place) int { return r.compare(p) })
	if is {
		at++
	}
	return at
}

// orders makes orders, one at a time, and keeps those of which somebody has read a page: so he
// gets each service once, however they move meanwhile.
type orders struct {
	epoch uint64 // tells the orders of this process from those of others

	mu     sync.Mutex // also held while one is made, so that all who ask wait for the same
	newest *order
	kept   []*order // the oldest first
	made   uint64
}

// current is an order that is fresh.
func (os *orders) current(now plugins.Instant, survey func() *order) *order {
	os.mu.Lock()
	defer os.mu.Unlock()
	if os.newest == nil || now-os.newest.made >= freshFor {
		o := survey()
		os.made++
		o.number, o.made = os.made, now
		os.newest = o
	}
	return os.newest
}

// keep keeps an order for the pages to come.
func (os *orders) keep(o *order, now plugins.Instant) {
	os.mu.Lock()
	defer os.mu.Unlock()
	rows := len(o.rows)
	left := []*order{}
	for _, k := range slices.Backward(os.kept) {
		if k == o {
			continue
		}
		if rows += len(k.rows); now-k.made >= keptFor || len(left) == maxKept-1 || rows > maxRows {
			break
		}
		left = append(left, k)
	}
	slices.Reverse(left)
	os.kept = append(left, o)
}

// find is the order with a number that is kept; nil: it is not, any more.
func (os *orders) find(number uint64) *order {
	os.mu.Lock()
	defer os.mu.Unlock()
	for _, o := range os.kept {
		if o.number == number {
			return o
		}
	}
	return nil
}

// survey makes an order of all services.
func (r *Room) survey() *order {
	o := &order{}
	r.engine.Look(context.Background())
	o.survey = r.engine.Survey(func(v *heartbeat.Vitals) {
		described, err := r.services.Service(context.Background(), string(v.Record.ID))
		if err != nil {
			return // its record cannot be read, or it goes just now
		}
		one := rowOf(v, described.Info().SerName)
		o.rows = append(o.rows, one)
		o.counts.add(&one, v)
	})
	slices.SortFunc(o.rows, func(a, b row) int { return a.compare(b.place) })
	return o
}

func rowOf(v *heartbeat.Vitals, name string) row {
	r := row{place: place{id: v.Record.ID}, state: shown(v.Record.State), late: v.Late, drained: drained(&v.Record), app: v.Record.Owner, name: strings.ToLower(name)}
	switch {
	case r.state == heartbeat.Suspended:
		r.class, r.key = suspended, -v.Since
	case r.state == heartbeat.Inactive:
		r.class, r.key = inactive, -v.Since
	case !v.Record.Beating():
		r.class, r.key = withoutLiveness, v.Record.RegisteredAt
	default:
		r.class, r.key = living, math.MaxInt64 // nobody here can tell when
		if v.Watched {
			r.key = v.Deadline
		}
		if v.Late {
			r.class = late
		}
	}
	return r
}

func (c *counts) add(r *row, v *heartbeat.Vitals) {
	c.Total++
	switch r.state {
	case heartbeat.Active:
		c.Active++
	case heartbeat.Suspended:
		c.Suspended++
	case heartbeat.Inactive:
		c.Inactive++
	}
	if r.late {
		c.Late++
	}
	if r.drained {
		c.Drained++
	}
	if !v.Record.Beating() {
		c.WithoutLiveness++
	}
}
