package heartbeat

import (
	"context"
	"sync"
	"time"
)

const (
	// A batch is answered by a quarter of the shortest interval in it, within these bounds: whoever
	// sends several times an interval must not wait for one slow lease.
	shortestBatch = 250 * time.Millisecond
	longestBatch  = 2 * time.Second
	// gatherTime is how long renewals that have ended wait for others, to be verified with them.
	gatherTime = 50 * time.Millisecond
)

// Heartbeat is one of those that come together.
type Heartbeat struct {
	ID    ID
	Owner string // whom the instance must belong to
}

// Beats carries heartbeats through that came in one request, from one agent, each as Beat does.
// answer is told the response to each, by its place in beats: once, by one goroutine at a time,
// and before Beats returns. Response.Err is also ErrNotOwner. All that these instances are known
// by here is evidence before the store is asked for anything. What the store has not confirmed
// in time is ErrUnavailable, and costs the others nothing; its renewal goes on.
func (e *Engine) Beats(ctx context.Context, agent string, beats []Heartbeat, answer func(i int, r Response)) {
	b := &batch{e: e, agent: agent, beats: beats, answer: answer, parts: make([]batchPart, len(beats)), left: len(beats),
		all: make(chan struct{}), news: make(chan struct{}, 1)}
	patience := b.note()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	b.ctx = ctx
	b.renew()
	b.lookUpUnknown()
	b.judgeAll()
	b.end()
}

// batch is one call of Beats.
type batch struct {
	e        *Engine
	ctx      context.Context // ends when the batch must be answered
	agent    string
	moment   Moment // of its receipt
	beats    []Heartbeat
	unknown  []int         // places of instances that this replica does not know
	same     map[int][]int // places of heartbeats that repeat another one, by its place
	unjudged int           // renewals whose end was not taken in yet

	flows, lookups batchWork // of the engine's pools

	mu      sync.Mutex
	answer  func(int, Response)
	parts   []batchPart
	renewed []int // places of renewals that have ended, to be taken in
	left    int   // heartbeats without an answer
	over    bool
	all     chan struct{} // closed when all are answered
	news    chan struct{} // gets an element when no renewal is in flight any more
	unended int           // renewals that have not ended
}

// batchPart is one heartbeat between its renewal and what follows. It is what a BeatFlow that
// renews the lease of a known record has noted.
type batchPart struct {
	en       *entry
	gap      time.Duration
	lease    LeaseID
	ttl      int
	outcome  Outcome
	mine     bool // others may join its renewal
	answered bool
}

// note takes all heartbeats in as evidence, and returns how long the batch may take.
func (b *batch) note() time.Duration {
	now, wall := b.e.now()
	in := b.e.commonInput(now, wall)
	b.moment = in.moment()
	watched := Revision(b.e.watched.Load())
	shortest := 0
	f := beatFlows.Get().(*BeatFlow)
	defer beatFlows.Put(f)
	for i := range b.beats {
		en := b.e.entry(b.beats[i].ID)
		if en == nil {
			b.unknown = append(b.unknown, i)
			continue
		}
		en.mu.Lock()
		if !en.view.Exists() {
			en.mu.Unlock()
			b.unknown = append(b.unknown, i)
			continue
		}
		rec := &en.view.Record
		if err := rec.mayBeat(b.beats[i].Owner); err != nil {
			en.mu.Unlock()
			b.respond(i, Response{Err: err})
			continue
		}
		if shortest == 0 || rec.Interval < shortest {
			shortest = rec.Interval
		}
		if en.local.hasBeat && en.local.beatAt == now && b.repeats(i, en) {
			en.mu.Unlock()
			continue
		}
		in.use(en, watched)
		*f = BeatFlow{Agent: b.agent}
		a := f.Next(in, Result{})
		p := &b.parts[i]
		p.en, p.gap, p.lease = en, f.gap, a.Lease // no lease: the flow wants to read
		en.mu.Unlock()
		if p.lease != 0 {
			b.unjudged++
			b.unended++
		}
	}
	if shortest == 0 {
		return longestBatch
	}
	return min(max(time.Duration(shortest)*time.Second/4, shortestBatch), longestBatch)
}

// repeats says whether the batch has a heartbeat of this instance already. Then it is that one:
// its response is the response to both.
func (b *batch) repeats(i int, en *entry) bool {
	for first := range b.parts[:i] {
		if b.parts[first].en == en {
			if b.same == nil {
				b.same = map[int][]int{}
			}
			b.same[first] = append(b.same[first], i)
			return true
		}
	}
	return false
}

// mayBeat refuses a heartbeat that is not the owner's, or of an instance without heartbeats.
func (r *Record) mayBeat(owner string) error {
	switch {
	case !r.Beating():
		return ErrNoLiveness
	case r.Owner != owner:
		return ErrNotOwner
	}
	return nil
}

// renew has the leases renewed, but for those whose renewal is in flight already.
func (b *batch) renew() {
	leases, places := make([]LeaseID, 0, b.unjudged), make([]int, 0, b.unjudged)
	for i := range b.parts {
		p := &b.parts[i]
		if p.en == nil || p.lease == 0 {
			continue
		}
		p.en.mu.Lock()
		inFlight, mine := p.en.beginRenewal(p.lease)
		if inFlight {
			p.en.waiters = append(p.en.waiters, func(r Result) { b.ended(i, r) })
		}
		p.en.mu.Unlock()
		if !inFlight {
			p.mine = mine
			leases, places = append(leases, p.lease), append(places, i)
		}
	}
	if len(leases) == 0 {
		return
	}
	b.mu.Lock()
	if b.renewed == nil { // no renewal that others began has ended yet
		b.renewed = make([]int, 0, b.unended)
	}
	b.mu.Unlock()
	e := b.e
	done := func(k, ttl int, err error) {
		p := &b.parts[places[k]]
		r := Result{Outcome: e.outcome(e.ctx, DoRenew, err), TTL: ttl, Lease: leases[k]}
		if p.mine {
			p.en.endRenewal(r)
		}
		b.ended(places[k], r)
	}
	work := func() {
		began, _ := e.now()
		e.Store.RenewAll(e.ctx, leases, done)
		e.noteRenewalTime(began)
	}
	if !e.spawn(work) {
		work() // the engine has stopped: they learn of it here
	}
}

// ended takes the end of a renewal in. It does not block.
func (b *batch) ended(i int, r Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := &b.parts[i]
	p.ttl, p.outcome = r.TTL, r.Outcome
	b.renewed = append(b.renewed, i)
	if b.unended--; b.unended == 0 {
		b.news <- struct{}{}
	}
}

// finish answers a heartbeat whose flow has ended without a write.
func (b *batch) finish(i int, en *entry, r Response) {
	if r.Err != nil {
		b.e.checkNow(en)
	}
	b.e.countBeat(&r)
	b.respond(i, r)
}

// respond answers a heartbeat, unless the batch is over.
func (b *batch) respond(i int, r Response) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over || b.parts[i].answered {
		return
	}
	b.tell(i, r)
	if b.left == 0 {
		close(b.all)
	}
}

// tell answers a heartbeat, and those that repeat it; b.mu is held.
func (b *batch) tell(i int, r Response) {
	b.parts[i].answered = true
	b.left--
	b.answer(i, r)
	for _, k := range b.same[i] {
		b.tell(k, r)
	}
}

// serve carries a flow through to its response.
func (b *batch) serve(i int, en *entry, f Flow) {
	r := b.e.serve(b.ctx, en, f)
	b.e.countBeat(&r)
	b.respond(i, r)
}

// end waits until all are answered, or the batch must be; then nobody answers any more.
func (b *batch) end() {
	if len(b.beats) > 0 {
		select {
		case <-b.all:
		case <-b.ctx.Done():
		}
	}
	b.e.batches.flows.drop(&b.flows)
	b.e.batches.lookups.drop(&b.lookups)
	for _, en := range b.giveUp() {
		b.e.checkNow(en) // as after a heartbeat alone that failed
	}
}

// giveUp answers what has no answer, and returns the instances of those.
func (b *batch) giveUp() (left []*entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	for i := range b.parts {
		p := &b.parts[i]
		if p.answered {
			continue
		}
		b.tell(i, Response{Err: ErrUnavailable})
		if p.en != nil {
			left = append(left, p.en)
		}
	}
	return left
}
