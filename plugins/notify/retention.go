package notify

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// kept is what the store keeps of events for all subscriptions that this replica sends
// to, in bytes; an event for which several wait counts once. It is safe for concurrent
// use.
type retention struct {
	perSubscription int64        // bound of one subscription
	total           func() int64 // bound of all
	bytes           atomic.Int64
	exceeded        chan struct{} // told when it comes to be more than most
}

func newRetention(each int64, total func() int64) *retention {
	return &retention{perSubscription: each, total: total, exceeded: make(chan struct{}, 1)}
}

func (k *retention) retain(m *message) {
	if m.retainedBy.Add(1) != 1 {
		return
	}
	if k.bytes.Add(int64(m.size)) > k.total() {
		select {
		case k.exceeded <- struct{}{}:
		default:
		}
	}
}

func (k *retention) release(m *message) {
	if m.retainedBy.Add(-1) == 0 {
		k.bytes.Add(-int64(m.size))
	}
}

func (k *retention) overLimit() bool { return k.bytes.Load() > k.total() }

const (
	shedEvery = time.Second // at most, so that what was asked for is done before more is
	// relieveWait is how long one who was asked to keep less is waited for: a POST may be
	// under way. The others are asked for more then.
	shedWait      = 15 * time.Second
	maxShedFactor = 1 << 20 // times as much is asked for as is too much
)

// relieve has those keep less for whom most is kept, whenever all together are over
// their bound, until they are not.
func (d *dispatcher) shedLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.retention.exceeded:
		}
		began, _ := d.now()
		for more := int64(1); d.retention.overLimit() && ctx.Err() == nil; more = min(2*more, maxShedFactor) {
			now, _ := d.now()
			if !d.askToShed(more, now-began > shedWait) {
				break // all is asked for
			}
			t := time.NewTimer(shedEvery)
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
func (d *dispatcher) askToShed(more int64, hurry bool) bool {
	var loads []usage
	for _, w := range d.workers() {
		l := w.usage()
		switch {
		case !l.shedding && l.bytes > 0:
			loads = append(loads, l)
		case l.shedding && !hurry:
			return true
		}
	}
	if len(loads) == 0 {
		return false
	}
	slices.SortFunc(loads, func(a, b usage) int { // those who keep the same stand together
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.last, b.last))
	})
	half := loads[0].bytes / 2
	excess := more * (d.retention.bytes.Load() - d.retention.total()/4*3)
	for _, l := range loads {
		if excess <= 0 || l.bytes <= half {
			break
		}
		l.w.shedTo(half)
		excess -= l.bytes // at most: what one of them lets go may be all that it keeps
	}
	return true
}

// holding is what the store keeps for one subscription.
type retained struct {
	retention  *retention
	bytes      int64      // of head, pending and superseded
	superseded []*message // not told any more, but kept until the cursor says so
	shedTo     int64      // to keep no more than so many bytes; 0: not asked
	closed     bool       // nothing is held any more
}

// limit is how many bytes may be held.
func (h *retained) limit() int64 {
	switch {
	case h.retention == nil:
		return math.MaxInt64
	case h.shedTo != 0:
		return min(h.shedTo, h.retention.perSubscription)
	}
	return min(h.retention.perSubscription, h.retention.total())
}

func (h *retained) retain(m *message) {
	h.bytes += int64(m.size)
	if h.retention != nil {
		h.retention.retain(m)
	}
}

func (h *retained) release(ms []*message) {
	for _, m := range ms {
		h.bytes -= int64(m.size)
		if h.retention != nil {
			h.retention.release(m)
		}
	}
}

// releaseAll forgets everything that is retained.
func (q *queue) releaseAll() {
	q.release(q.head)
	q.release(q.pending)
	q.release(q.superseded)
	q.head, q.pending, q.superseded = nil, nil, nil
}

// close ends the queue; whoever sends to the subscription next retains what there is.
func (q *queue) close() {
	q.releaseAll()
	q.closed = true
}
