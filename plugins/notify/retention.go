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

// retention counts the bytes of the events that the store retains because a subscription
// that this replica sends to still needs them; an event that several need counts once. It is
// safe for concurrent use.
type retention struct {
	perSubscription int64        // limit of one subscription
	total           func() int64 // limit of all together
	bytes           atomic.Int64
	exceeded        chan struct{} // has shedLoop run, when bytes gets over total
}

func newRetention(perSubscription int64, total func() int64) *retention {
	return &retention{perSubscription: perSubscription, total: total, exceeded: make(chan struct{}, 1)}
}

func (r *retention) retain(m *message) {
	if m.retainedBy.Add(1) != 1 {
		return
	}
	if r.bytes.Add(int64(m.size)) > r.total() {
		select {
		case r.exceeded <- struct{}{}:
		default:
		}
	}
}

func (r *retention) release(m *message) {
	if m.retainedBy.Add(-1) == 0 {
		r.bytes.Add(-int64(m.size))
	}
}

func (r *retention) overLimit() bool { return r.bytes.Load() > r.total() }

const (
	// shedEvery is the least time between two rounds of shedding, so that a round shows its
	// effect before the next begins.
	shedEvery = time.Second
	// shedWait is how long a worker that was asked to shed is waited for, for it may have a
	// POST under way. After it the others are asked for more.
	shedWait      = 15 * time.Second
	maxShedFactor = 1 << 20 // by which the excess is multiplied at most
)

// shedLoop has the workers that retain most shed events, whenever all together are over
// their limit, until they are not.
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
				break // nobody has anything left to shed
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

// askToShed asks the workers that retain most to shed down to half of what the first of them
// retains, until they were asked for more times the excess: an event that several retain is
// free only when the last of them releases it. It asks nobody while one that was asked has
// not done so, unless hurry is set. false: there is nothing to shed.
func (d *dispatcher) askToShed(more int64, hurry bool) bool {
	var all []usage
	for _, w := range d.workers() {
		u := w.usage()
		switch {
		case !u.shedding && u.bytes > 0:
			all = append(all, u)
		case u.shedding && !hurry:
			return true
		}
	}
	if len(all) == 0 {
		return false
	}
	slices.SortFunc(all, func(a, b usage) int { // workers that retain the same events stand together
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.last, b.last))
	})
	half := all[0].bytes / 2
	excess := more * (d.retention.bytes.Load() - d.retention.total()/4*3)
	for _, u := range all {
		if excess <= 0 || u.bytes <= half {
			break
		}
		u.w.shedTo(half)
		excess -= u.bytes // it may shed all of them
	}
	return true
}

// retained counts what the store retains for one subscription.
type retained struct {
	retention  *retention // of all subscriptions; nil: there is no limit
	bytes      int64      // of head, pending, putOff and superseded
	superseded []*message // not to be sent, but retained until the cursor says so
	shedTo     int64      // no more bytes than this are to be retained; 0: the limit alone counts
	closed     bool       // nothing is retained any more
}

// limit is how many bytes may be retained.
func (r *retained) limit() int64 {
	switch {
	case r.retention == nil:
		return math.MaxInt64
	case r.shedTo != 0:
		return min(r.shedTo, r.retention.perSubscription)
	}
	return min(r.retention.perSubscription, r.retention.total())
}

func (r *retained) retain(m *message) {
	r.bytes += int64(m.size)
	if r.retention != nil {
		r.retention.retain(m)
	}
}

func (r *retained) release(ms []*message) {
	for _, m := range ms {
		r.bytes -= int64(m.size)
		if r.retention != nil {
			r.retention.release(m)
		}
	}
}

// releaseAll forgets everything that is retained.
func (q *queue) releaseAll() {
	q.release(q.head)
	q.release(q.pending)
	q.release(q.putOff)
	q.release(q.superseded)
	q.head, q.pending, q.putOff, q.superseded = nil, nil, nil, nil
}

// close ends the queue; whoever sends to the subscription next retains what there is.
func (q *queue) close() {
	q.releaseAll()
	q.closed = true
}

// usage is what the store retains for the subscription of a worker.
type usage struct {
	w        *worker
	bytes    int64
	last     heartbeat.Revision // of the newest event
	shedding bool               // it was asked to shed, and has not done so yet
}

func (w *worker) usage() usage {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := usage{w: w, bytes: w.q.bytes, shedding: w.q.shedTo != 0}
	if n := len(w.q.pending); n > 0 {
		l.last = w.q.pending[n-1].at
	} else if n := len(w.q.head); n > 0 {
		l.last = w.q.head[n-1].at
	}
	return l
}

// shedTo asks the worker to shed events until no more than so many bytes are retained.
func (w *worker) shedTo(most int64) {
	w.mu.Lock()
	w.q.shedTo = max(most, 1)
	w.interruptWait()
	w.mu.Unlock()
	w.wakeUp()
}

// releaseEvents ends what is retained here; the next sender of the subscription retains it.
func (w *worker) releaseEvents() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.q.close()
}
