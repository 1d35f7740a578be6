package center

import (
	"sync"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/etcd"
)

// resumes remembers up to where the watches of service-center have shown everything.
// Its caches give up their watch every 30 s and begin the next one behind the last
// event, however old that is; where history was compacted since, the watch would fail
// and the cache be listed anew.
type resumes struct {
	mu     sync.Mutex
	needed *etcd.Readers
	all    map[string]*resume // by the first key of the range
}

// resume is where one range stands: it had no event after last up to at.
type resume struct {
	*etcd.Reader
	last int64
}

// from is where a watch that asks for events from revision asked on may begin as well.
func (rs *resumes) from(key string, asked int64) (*resume, int64) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.all[key]
	switch {
	case r == nil:
		if rs.all == nil {
			rs.all = map[string]*resume{}
		}
		r = &resume{Reader: rs.needed.Add(asked - 1), last: asked - 1}
		rs.all[key] = r
		return r, asked
	case asked-1 < r.last: // it wants events again, or the store went back in time
		r.Done()
		r.Reader, r.last = rs.needed.Add(asked-1), asked-1
		return r, asked
	default:
		r.last = asked - 1
		r.Advance(asked - 1)
		return r, max(asked, r.Revision()+1)
	}
}

// handed notes that everything up to a revision was handed over; events says whether
// it ended with an event.
func (rs *resumes) handed(r *resume, at int64, events bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if events {
		r.last = max(r.last, at)
	}
	r.Advance(at)
}
