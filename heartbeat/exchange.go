package heartbeat

import (
	"container/heap"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// askPeersAfter is how long claims wait for other replicas before those are asked to
	// publish: they may not have seen the end that only a list showed to this one.
	askPeersAfter = time.Second
	// stuckAfter is for how long nothing may get on here before the others should no
	// longer wait for this replica.
	stuckAfter = 10 * time.Second
)

// peerExchange is what this replica and the others tell each other: which ends of leases
// they have settled, so that nobody claims what another one is still refuting.
type peerExchange struct {
	mu    sync.Mutex
	peers []peer

	open       openQueue  // ends that this replica has not settled; some are settled by now
	needed     Revision   // the highest end that others may wait for
	published  PeerStatus // what was written to the store last
	epoch      int        // counts the restores of the store: one is another history
	publishing bool
	askingHead bool

	retryAt      Credit   // after a failure it is not published again before
	wanted       Revision // the highest end of a claim that waits
	waitingSince Credit   // since when claims wait without a break
	progressAt   Credit   // when an end was settled or published last, or none had to be
	// lowestUnsettled and hasNonPublisher are read by each flow, without the lock.
	lowestUnsettled atomic.Int64
	hasNonPublisher atomic.Bool // a living peer publishes no watermark
	stuck           atomic.Bool
}

// openEnd is an end of a lease that was open when it was entered.
type openEnd struct {
	at Revision
	en *entry
}

type openQueue []openEnd

func (q openQueue) Len() int           { return len(q) }
func (q openQueue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q openQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *openQueue) Push(x any) { *q = append(*q, x.(openEnd)) }

// Pop implements heap.Interface.
func (q *openQueue) Pop() any {
	old := *q
	n := len(old) - 1
	x := old[n]
	old[n] = openEnd{}
	if *q = old[:n]; n == 0 {
		*q = nil
	}
	return x
}

// trackUnsettledEnd notes the end of a lease that other replicas wait for until this one has
// settled it; it schedules nothing. en.mu is held. The lease had not ended before the
// revision since.
func (e *Engine) trackUnsettledEnd(en *entry, now Mono, since Revision) {
	opened := en.openIfContested(now, since, en.inProgress)
	if e.Alone || !en.view.Absent() {
		return
	}
	o := &e.peers
	o.mu.Lock()
	defer o.mu.Unlock()
	if en.view.ended != unknownEnd {
		o.needed = max(o.needed, en.view.ended)
	}
	if opened {
		heap.Push(&o.open, openEnd{en.openSince, en})
	}
}

// noteWaitingClaim notes a claim that waits for others.
func (o *peerExchange) noteWaitingClaim(end Revision) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if end != unknownEnd {
		o.wanted = max(o.wanted, end)
	}
}

// publishIfDue is called ten times a second: it publishes what this replica has settled, if others
// may wait for it, and finds out who of them is dead.
func (e *Engine) publishIfDue(now Mono) {
	if e.Alone {
		return
	}
	watched, credited := Revision(e.watched.Load()), e.health.Load().Credited // before what is open is examined
	waiting, _ := e.schedule.length(&e.schedule.awaitingPeers)
	low, progress := e.closeSettledEnds(now)
	o := &e.peers
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refresh(watched)
	if waiting == 0 {
		o.waitingSince, o.wanted = credited, 0
	}
	next := ownStatus(max(settledUpTo(watched, low), o.published.Settled))
	next.Wanted = o.published.Wanted
	if credited.Sub(o.waitingSince) >= askPeersAfter {
		next.Wanted = max(next.Wanted, o.wanted)
	}
	owes := o.published.Settled < o.needed
	full := e.health.Load().Full
	if progress || !owes && low == 0 || full {
		o.progressAt = credited
	}
	o.stuck.Store(credited.Sub(o.progressAt) >= stuckAfter)
	askHead, probe := o.pendingChecks(credited)
	if askHead && !o.askingHead {
		o.askingHead = e.spawn(e.askHead)
	}
	news := o.exist() && owes && next.Settled > o.published.Settled
	if o.publishing || full || credited < o.retryAt || o.published.Publishes && !news && !probe && next.Wanted == o.published.Wanted {
		return
	}
	o.publishing = e.spawn(func() { e.publish(next) })
}

// exist says whether there are other replicas; o.mu is held.
func (o *peerExchange) exist() bool {
	for i := range o.peers {
		if o.peers[i].name != "" {
			return true
		}
	}
	return false
}

// allEndSilences says whether a heartbeat at any other replica ends a silence that a record
// keeps.
func (o *peerExchange) allEndSilences() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.peers {
		if o.peers[i].name != "" && !o.peers[i].EndsSilences {
			return false
		}
	}
	return true
}

// pendingChecks says what is missing before a replica counts as dead: the store's newest
// revision, or own writes that show how fast the store is; o.mu is held.
func (o *peerExchange) pendingChecks(credited Credit) (askHead, probe bool) {
	for i := range o.peers {
		p := &o.peers[i]
		askHead = askHead || p.needsHead(credited)
		probe = probe || p.missing && p.probes < peerProbes
	}
	return askHead, probe
}

// closeSettledEnds closes the ends that are settled by now; low is the lowest one that is
// left open, 0 if none is.
func (e *Engine) closeSettledEnds(now Mono) (low Revision, closed bool) {
	o := &e.peers
	for {
		o.mu.Lock()
		if len(o.open) == 0 {
			o.mu.Unlock()
			return 0, closed
		}
		top := o.open[0]
		o.mu.Unlock()
		top.en.mu.Lock()
		over := top.en.closeIfSettled(now, top.en.inProgress) || top.en.openSince != top.at
		top.en.mu.Unlock()
		if !over {
			return top.at, closed
		}
		closed = true
		o.mu.Lock()
		if len(o.open) > 0 && o.open[0] == top { // else a lower one came before it, or all were forgotten
			heap.Pop(&o.open)
		}
		o.mu.Unlock()
	}
}

// ownStatus is what a replica of this release says of itself.
func ownStatus(settled Revision) PeerStatus {
	return PeerStatus{Publishes: true, EndsSilences: true, Settled: settled}
}

// publish writes this replica's key.
func (e *Engine) publish(s PeerStatus) {
	o := &e.peers
	o.mu.Lock()
	epoch := o.epoch
	missing := map[string]bool{}
	for i := range o.peers {
		if o.peers[i].missing {
			missing[o.peers[i].name] = true
		}
	}
	o.mu.Unlock()
	err := e.Store.Publish(e.ctx, s)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.publishing = false
	credited := e.health.Load().Credited
	if err != nil {
		o.retryAt = credited.Add(e.Policy.Hold / 4)
	}
	if err != nil || epoch != o.epoch {
		return
	}
	o.published, o.progressAt = s, credited
	for i := range o.peers {
		if missing[o.peers[i].name] {
			o.peers[i].addProbe(credited)
		}
	}
}

// askHead finds out up to where the watch must come before a replica counts as dead.
func (e *Engine) askHead() {
	at, err := e.head(e.ctx)
	o := &e.peers
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.askingHead = false; err != nil {
		return
	}
	credited := e.health.Load().Credited
	for i := range o.peers {
		if o.peers[i].needsHead(credited) {
			o.peers[i].head = at
		}
	}
}

// publishFirst publishes for the first time, before any heartbeat is received here: a replica
// that does not see this one does not wait for it, and would claim what this one heard. A
// full store takes no key, but then nobody can claim either.
func (e *Engine) publishFirst(ctx context.Context, at Revision) error {
	if e.Alone {
		return nil
	}
	first := ownStatus(at)
	err := e.Store.Publish(ctx, first)
	if err == nil {
		o := &e.peers
		o.mu.Lock()
		defer o.mu.Unlock()
		o.published = first
	}
	return err
}

// reset drops what belongs to another history of the store.
func (o *peerExchange) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.epoch++
	o.open, o.needed, o.published, o.wanted = nil, 0, ownStatus(0), 0
	for i := range o.peers {
		o.peers[i].Settled, o.peers[i].Wanted, o.peers[i].head = 0, 0, 0
	}
	o.refresh(0)
}

// lag is how many ends may be open here, and how long ago one was settled or published.
func (o *peerExchange) lag(credited Credit) (open int, idle time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.open) > 0 || o.published.Settled < o.needed && o.exist() {
		idle = credited.Sub(o.progressAt)
	}
	return len(o.open), idle
}

// Stuck says that this replica can neither refute nor publish what it has settled, so that
// nobody should wait for it.
func (e *Engine) Stuck() bool { return e.peers.stuck.Load() }

// SettleEnds closes the ends of leases that are settled by now, and says whether none is
// left that others would have to wait for.
func (e *Engine) SettleEnds() bool {
	now, _ := e.now()
	low, _ := e.closeSettledEnds(now)
	return low == 0
}
