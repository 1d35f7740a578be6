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
	// stuckAfter is for how long nothing may get on here before this replica gives up
	// being waited for.
	stuckAfter = 10 * time.Second
)

// peerExchange is what this replica has to say to the others, and what they said.
type peerExchange struct {
	mu    sync.Mutex
	peers []peer

	open      openQueue  // ends that this replica has not settled; some are settled by now
	needed    Revision   // the highest end that others may wait for
	published PeerStatus // what the store took
	epoch     int        // of the store's history
	sending   bool
	asking    bool

	retryAt         Credit   // not before it is published again, after a failure
	wanted          Revision // the highest end of a claim that waits
	since           Credit   // since when claims wait without a break
	progressAt      Credit   // when something got on, or nothing was to be done
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

// noteAbsence follows an absence that news showed; en.mu is held. since is a revision at which
// the lease had not ended.
func (e *Engine) noteAbsence(en *entry, now Mono, since Revision) {
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

// publishIfDue publishes what this replica has settled, if others may wait for it, and finds out
// who of them is dead; by each tick.
func (e *Engine) publishIfDue(now Mono) {
	if e.Alone {
		return
	}
	watched, credited := Revision(e.watched.Load()), e.health.Load().Credited // before what is open is looked at
	waiting, _ := e.schedule.length(&e.schedule.awaitingPeers)
	low, got := e.lowestOpenEnd(now)
	o := &e.peers
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refresh(watched)
	if waiting == 0 {
		o.since, o.wanted = credited, 0
	}
	word := PeerStatus{Publishes: true, EndsSilences: true, Settled: max(settledUpTo(watched, low), o.published.Settled), Wanted: o.published.Wanted}
	if credited.Sub(o.since) >= askPeersAfter {
		word.Wanted = max(word.Wanted, o.wanted)
	}
	owes := o.published.Settled < o.needed
	full := e.health.Load().Full
	if got || !owes && low == 0 || full {
		o.progressAt = credited
	}
	o.stuck.Store(credited.Sub(o.progressAt) >= stuckAfter)
	asks, probes := o.pendingChecks(credited)
	if asks && !o.asking {
		o.asking = e.spawn(e.askHead)
	}
	tells := o.any() && owes && word.Settled > o.published.Settled
	if o.sending || full || credited < o.retryAt || o.published.Publishes && !tells && !probes && word.Wanted == o.published.Wanted {
		return
	}
	o.sending = e.spawn(func() { e.publish(word) })
}

// any says whether there are other replicas; o.mu is held.
func (o *peerExchange) any() bool {
	for i := range o.peers {
		if o.peers[i].name != "" {
			return true
		}
	}
	return false
}

// allEndSilences says whether every replica that may hear an instance would end a silence that is kept.
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

// pendingChecks says whether the store must be asked how far it is, and whether own writes must
// show how fast it is; o.mu is held.
func (o *peerExchange) pendingChecks(credited Credit) (asks, probes bool) {
	for i := range o.peers {
		p := &o.peers[i]
		asks = asks || p.needsHead(credited)
		probes = probes || p.missing && p.probes < peerProbes
	}
	return asks, probes
}

// lowestOpenEnd is the lowest end that is open here, 0 if none is; settled says whether one was
// found that is so no more.
func (e *Engine) lowestOpenEnd(now Mono) (low Revision, settled bool) {
	o := &e.peers
	for {
		o.mu.Lock()
		if len(o.open) == 0 {
			o.mu.Unlock()
			return 0, settled
		}
		top := o.open[0]
		o.mu.Unlock()
		top.en.mu.Lock()
		over := top.en.closeIfSettled(now, top.en.inProgress) || top.en.openSince != top.at
		top.en.mu.Unlock()
		if !over {
			return top.at, settled
		}
		settled = true
		o.mu.Lock()
		if len(o.open) > 0 && o.open[0] == top { // else a lower one came before it, or all were forgotten
			heap.Pop(&o.open)
		}
		o.mu.Unlock()
	}
}

// publish writes this replica's key.
func (e *Engine) publish(w PeerStatus) {
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
	err := e.Store.Publish(e.ctx, w)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sending = false
	credited := e.health.Load().Credited
	if err != nil {
		o.retryAt = credited.Add(e.Policy.Hold / 4)
	}
	if err != nil || epoch != o.epoch {
		return
	}
	o.published, o.progressAt = w, credited
	for i := range o.peers {
		if missing[o.peers[i].name] {
			o.peers[i].addProbe(credited)
		}
	}
}

// askHead finds out up to where the watch must come before a replica counts as dead.
func (e *Engine) askHead() {
	at, err := joinRead(e.ctx, e, &e.headReads, e.Store.Head)
	o := &e.peers
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.asking = false; err != nil {
		return
	}
	credited := e.health.Load().Credited
	for i := range o.peers {
		if o.peers[i].needsHead(credited) {
			o.peers[i].head = at
		}
	}
}

// publishFirst publishes for the first time, before anything is heard here: who does not see
// this replica does not wait for it. A full store keeps it from that, but then nobody can
// claim either.
func (e *Engine) publishFirst(ctx context.Context, at Revision) error {
	if e.Alone {
		return nil
	}
	w := PeerStatus{Publishes: true, EndsSilences: true, Settled: at}
	err := e.Store.Publish(ctx, w)
	if err == nil {
		o := &e.peers
		o.mu.Lock()
		defer o.mu.Unlock()
		o.published = w
	}
	return err
}

// reset drops what belongs to another history of the store.
func (o *peerExchange) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.epoch++
	o.open, o.needed, o.published, o.wanted = nil, 0, PeerStatus{Publishes: true, EndsSilences: true}, 0
	for i := range o.peers {
		o.peers[i].Settled, o.peers[i].Wanted, o.peers[i].head = 0, 0, 0
	}
	o.refresh(0)
}

// lag is how many ends may be open here, and for how long nothing has got on.
func (o *peerExchange) lag(credited Credit) (open int, idle time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.open) > 0 || o.published.Settled < o.needed && o.any() {
		idle = credited.Sub(o.progressAt)
	}
	return len(o.open), idle
}

// Stuck says that this replica can neither refute nor tell what it has settled, so that
// nobody should wait for it.
func (e *Engine) Stuck() bool { return e.peers.stuck.Load() }

// Settled says whether nothing is open here that others would have to wait for.
func (e *Engine) Settled() bool {
	now, _ := e.now()
	low, _ := e.lowestOpenEnd(now)
	return low == 0
}
