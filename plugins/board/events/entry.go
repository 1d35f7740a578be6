package events

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
	"github.com/mec-liveness/mepserver/mp1"
	"github.com/mec-liveness/mepserver/plugins"
)

// entry is one change in the ring. It is never changed, and shared by all readers: what they are
// sent is encoded once, for each of the three ways in which it can be seen.
type entry struct {
	at     heartbeat.Revision
	made   int64            // wall clock, Unix nanoseconds
	of     *plugins.Event   // as it came, without the attributes
	before *item            // nil: there was none
	after  *item            // nil: it was removed
	putOff plugins.Flapping // until when subscribers are not told, by the wall clock; zero: they are told at once
	// unsure says that the service was described otherwise before, in a way that is not known any
	// more: whether a filter selected it then cannot be told.
	unsure bool

	frames atomic.Pointer[frames] // nil: nobody reads
}

// frames are what is sent of an entry, each encoded when the first reader needs it.
type frames [views]struct {
	once sync.Once
	text []byte
}

// view is how a change looks to a reader.
type view int

const (
	changed view = iota // as it is
	entered             // the service did not match his filter before
	left                // it does not any more
	views
)

// newEntry is the entry of an event. before is the service before it; known says whether that is
// known, nil being that there was none. The error says that the event cannot be read.
func newEntry(e *plugins.Event, before *item, known bool) (*entry, error) {
	is, err := itemOf(e)
	if err != nil {
		return nil, err
	}
	out := &entry{at: e.At, made: e.Made, of: is.of, before: before, after: is}
	switch {
	case e.Change == heartbeat.Removed:
		out.after = nil
		if out.before == nil {
			out.before = is
		}
	case known || e.Change == heartbeat.Added:
	case e.Change == heartbeat.StateChanged, e.Change == heartbeat.CauseChanged: // nothing else has
		out.before = is.in(e.From)
	default:
		out.before, out.unsure = is.in(e.From), true
	}
	return out, nil
}

// frame is the change as it is sent.
func (e *entry) frame(v view) []byte {
	all := e.frames.Load()
	for ; all == nil; all = e.frames.Load() {
		e.frames.CompareAndSwap(nil, new(frames))
	}
	f := &all[v]
	f.once.Do(func() { f.text = frame(e.at, mp1.ChangeEvent, encode(e.shown(v))) })
	return f.text
}

func (e *entry) shown(v view) mp1.ServiceChange {
	c := mp1.ServiceChange{Revision: int64(e.at), Time: stamp(time.Unix(0, e.made)), Change: changeType(e.of.Change)}
	cause := e.of.Why()
	c.Reason, c.Cause = shownCause(&cause)
	if e.putOff.Until != 0 {
		c.Flapping = &mp1.Flapping{Changes: e.putOff.Changes, Until: stamp(time.Unix(0, int64(e.putOff.Until)))}
	}
	is := e.after
	switch v {
	case entered:
		c.Change, c.Filter = mp1.Added, mp1.FilterEntered
	case left: // what it is now may be none of the reader's business
		c.Change, c.Filter, c.Reason, c.Cause, c.Flapping, is = mp1.Removed, mp1.FilterLeft, "", nil, nil, nil
	}
	if is == nil {
		is = e.before
	} else {
		c.To = is.state()
	}
	if e.before != nil && c.Change != mp1.Added {
		c.From = e.before.state()
	}
	c.SerInstanceID, c.AppInstanceID = string(is.of.ID), is.of.Owner
	if d := is.description(); d != nil {
		c.SerName, c.Category, c.Locality = d.name, d.category.Label(), d.scope
	}
	return c
}

// changeType is a change in ETSI's words, which have none for another reason: it is shown as what is
// nearest, with the same state before and after it.
func changeType(c heartbeat.Change) mp1.ChangeType {
	if c == heartbeat.CauseChanged {
		return mp1.AttributesChanged
	}
	return mp1.ChangeType(c.String())
}

// size is about how much memory the entry takes.
func (e *entry) size() int {
	n := entrySize
	for _, it := range []*item{e.before, e.after} {
		if it == nil {
			continue
		}
		if d := it.description(); d != nil {
			n += 3 * (len(d.name) + len(d.category.Label()))
		}
	}
	return n
}

// entrySize is what an entry takes beside the names: itself, its service, and its frame.
const entrySize = 1200

// frame is one server-sent event.
func frame(at heartbeat.Revision, kind string, data []byte) []byte {
	out := make([]byte, 0, len(data)+48)
	out = append(begin(out, at, kind), data...)
	return append(out, "\n\n"...)
}

// begin appends what stands before the data of an event.
func begin(out []byte, at heartbeat.Revision, kind string) []byte {
	out = append(out, "id: "...)
	out = strconv.AppendInt(out, int64(at), 10)
	out = append(out, "\nevent: "...)
	out = append(out, kind...)
	return append(out, "\ndata: "...)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
