package notify

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// kept is what the store keeps of events for all subscriptions that this replica sends
// to, in bytes; an event for which several wait counts once. It is safe for concurrent
// use.
type kept struct {
	each  int64        // bound of one subscription
	most  func() int64 // bound of all
	bytes atomic.Int64
	full  chan struct{} // told when it comes to be more than most
}

func newKept(each int64, most func() int64) *kept {
	return &kept{each: each, most: most, full: make(chan struct{}, 1)}
}

func (k *kept) hold(m *message) {
	if m.holders.Add(1) != 1 {
		return
	}
	if k.bytes.Add(int64(m.size)) > k.most() {
		select {
		case k.full <- struct{}{}:
		default:
		}
	}
}

func (k *kept) release(m *message) {
	if m.holders.Add(-1) == 0 {
		k.bytes.Add(-int64(m.size))
	}
}

func (k *kept) over() bool { return k.bytes.Load() > k.most() }

const (
	relieveEvery = time.Second // at most, so that what was asked for is done before more is
	// relieveWait is how long one who was asked to keep less is waited for: a POST may be
	// under way. The others are asked for more then.
	relieveWait = 15 * time.Second
	mostMore    = 1 << 20 // times as much is asked for as is too much
)

// relieve has those keep less for whom most is kept, whenever all together are over
// their bound, until they are not.
func (d *dispatcher) relieve(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.kept.full:
		}
		began, _ := d.now()
		for more := int64(1); d.kept.over() && ctx.Err() == nil; more = min(2*more, mostMore) {
			now, _ := d.now()
			if !d.askForLess(more, now-began > relieveWait) {
				break // all is asked for
			}
			t := time.NewTimer(relieveEvery)
			select {
			case <-ctx.Done():
			case <-t.C:
			}
			t.Stop()
		}
	}
}

// askForLess asks those for whom most is kept to keep at most half of what is kept for one
// of them, until more times what is too much is asked for: what several keep is free only
// when the last of them lets it go. It asks nobody while somebody has not done so yet,
// unless there is no time to wait for him. false: there is nothing to ask for.
func (d *dispatcher) askForLess(more int64, hurry bool) bool {
	var loads []load
	for _, w := range d.workers() {
		l := w.load()
		switch {
		case !l.asked && l.bytes > 0:
			loads = append(loads, l)
		case l.asked && !hurry:
			return true
		}
	}
	if len(loads) == 0 {
		return false
	}
	slices.SortFunc(loads, func(a, b load) int { // those who keep the same stand together
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.last, b.last))
	})
	half := loads[0].bytes / 2
	excess := more * (d.kept.bytes.Load() - d.kept.most()/4*3)
	for _, l := range loads {
		if excess <= 0 || l.bytes <= half {
			break
		}
		l.w.keep(half)
		excess -= l.bytes // at most: what one of them lets go may be all that it keeps
	}
	return true
}

// holding is what the store keeps for one subscription.
type holding struct {
	all        *kept
	bytes      int64      // of head, pending and superseded
	superseded []*message // not told any more, but kept until the cursor says so
	asked      int64      // to keep no more than so many bytes; 0: not asked
	closed     bool       // nothing is held any more
}

// limit is how many bytes may be held.
func (h *holding) limit() int64 {
	switch {
	case h.all == nil:
		return math.MaxInt64
	case h.asked != 0:
		return min(h.asked, h.all.each)
	}
	return min(h.all.each, h.all.most())
}

func (h *holding) hold(m *message) {
	h.bytes += int64(m.size)
	if h.all != nil {
		h.all.hold(m)
	}
}

func (h *holding) release(ms []*message) {
	for _, m := range ms {
		h.bytes -= int64(m.size)
		if h.all != nil {
			h.all.release(m)
		}
	}
}

// passed releases what was superseded and is behind a cursor now.
func (h *holding) passed(after heartbeat.Revision) {
	h.superseded = slices.DeleteFunc(h.superseded, func(m *message) bool {
		if m.at <= after {
			h.release([]*message{m})
			return true
		}
		return false
	})
}

// drop forgets everything that is held.
func (q *queue) releaseAll() {
	q.release(q.head)
	q.release(q.pending)
	q.release(q.superseded)
	q.head, q.pending, q.superseded = nil, nil, nil
}

// close ends the queue: whoever comes next holds what there is.
func (q *queue) close() {
	q.releaseAll()
	q.closed = true
}
