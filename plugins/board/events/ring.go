package events

import (
	"cmp"
	"slices"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// What a ring holds at most: changes, and bytes that they take.
const (
	mostEntries = 1 << 16
	mostBytes   = 32 << 20
)

// ring are the newest changes, in the order of commits. All behind floor are there. Each has a
// number, by which readers know how far they are. It is not safe for concurrent use.
type ring struct {
	entries []*entry
	first   uint64 // the number of the first
	floor   heartbeat.Revision
	bytes   int
	most    int   // bytes
	begun   int64 // wall clock: when nothing was known but what was listed then
	dropped bool  // some, for which there was no room
}

// whole is the time, by the wall clock, since when no change is missing.
func (r *ring) whole() int64 {
	switch {
	case len(r.entries) == 0:
		return r.begun
	case r.dropped:
		return r.entries[0].made
	}
	return min(r.begun, r.entries[0].made)
}

// newest is the revision of the newest change, or the floor: the id from which a stream goes on
// that has shown everything.
func (r *ring) newest() heartbeat.Revision {
	if n := len(r.entries); n > 0 {
		return r.entries[n-1].at
	}
	return r.floor
}

// next is the number of the change that is added next.
func (r *ring) next() uint64 { return r.first + uint64(len(r.entries)) }

// add adds a change that is newer than all before, and drops the oldest for which there is no
// room any more.
func (r *ring) add(e *entry) {
	r.entries = append(r.entries, e)
	r.bytes += e.size()
	for r.bytes > r.most || len(r.entries) > mostEntries {
		oldest := r.entries[0]
		r.entries[0] = nil
		r.entries = r.entries[1:]
		r.bytes -= oldest.size()
		r.floor, r.dropped = oldest.at, true
		r.first++
	}
}

// clear forgets all changes: there is nothing before floor. now is by the wall clock.
func (r *ring) clear(floor heartbeat.Revision, now int64) {
	r.first = r.next()
	r.entries, r.bytes, r.floor, r.begun, r.dropped = nil, 0, floor, now, false
}

// after is the number of the change that follows the one at a revision. ok is false if no stream
// was ever there, or what followed is gone: every id is the revision of a change, or the floor.
func (r *ring) after(at heartbeat.Revision) (number uint64, ok bool) {
	if at == r.floor {
		return r.first, true
	}
	n, found := slices.BinarySearchFunc(r.entries, at, func(e *entry, at heartbeat.Revision) int { return cmp.Compare(e.at, at) })
	return r.first + uint64(n) + 1, found
}

// from are the changes from a number on, at most so many. ok is false if the first of them is gone.
// They are the reader's own: the ring forgets its own ones while he writes them.
func (r *ring) from(number uint64, most int) (some []*entry, ok bool) {
	if number < r.first {
		return nil, false
	}
	some = r.entries[min(number, r.next())-r.first:]
	return slices.Clone(some[:min(len(some), most)]), true
}
