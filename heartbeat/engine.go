package heartbeat

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what an Engine is made of.
type Config struct {
	Store  Store
	Policy Policy
	// Clock reads the monotonic clock, and the wall clock in Unix nanoseconds.
	Clock func() (time.Duration, int64)
	// Alone: this process is the store's only writer.
	Alone    bool
	MinLease int // the shortest lease that the store grants, in seconds
	// Replica is the name of this replica, as the cause of what it claims.
	Replica string
	// Rank is the place of this replica among the living ones: 0 claims first. nil: 0.
	Rank func() int
	// SaveRunTime, if not nil, is called every second with how long the platform has run,
	// in credited time, over all its starts. RunTimeBefore is what it was called with last.
	// Only for a replica alone.
	SaveRunTime   func(time.Duration)
	RunTimeBefore time.Duration
	// Receiving says whether heartbeats can be received at all: not while the process starts or
	// stops. Meanwhile no time is credited, for nobody is silent who cannot be heard. nil: always.
	Receiving func() bool
	// ClaimsPerSecond is the most that this replica claims; 0: it follows the store's latency.
	ClaimsPerSecond int
	Hooks           Hooks
}

// Engine keeps the instances of one replica alive, or finds them dead. All its
// methods may be called at once.
type Engine struct {
	Config
	health atomic.Pointer[Health]
	ready  atomic.Bool
	sweep  sweep

	mu        sync.RWMutex
	entries   map[ID]*entry
	departed  departed
	absentIDs map[ID]Mono          // ids that a read has just not found
	lookingUp map[ID]chan struct{} // ids whose lookup is under way
	counts    [statuses]atomic.Int64

	watched      atomic.Int64 // a Revision; written by whoever shows the watch
	headReads    sharedRead[Revision]
	headSharers  sharers
	schedule     schedule
	peers        peerExchange
	batches      batchPools
	breaker      breaker
	claimLimit   rateLimit
	claimLatency latency
	silenceLimit rateLimit
	changeLimit  rateLimit // of intervals that follow the load
	changeTook   latency
	load         loadMeter
	endsHere     atomic.Uint64 // leases that this replica ended by itself
	endsByStore  atomic.Uint64 // those that ended otherwise

	unreported atomic.Int64 // instances of which Changed has yet to report something

	// For those who look at the engine.
	beats     atomic.Int64 // heartbeats that counted
	told      atomic.Int64 // of those, the ones that were answered with an interval
	meter     beatMeter
	looking   sync.Mutex // held by the one Look that is under way
	doubt     atomic.Pointer[doubt]
	fullSince atomic.Int64 // wall clock, while the store is full

	healthMu     sync.Mutex    // serialises the writers of health
	pulseBegan   atomic.Int64  // a Mono: when the pulse under way began; 0: none is
	answered     atomic.Int64  // a Mono: when a pulse was answered last; 0: none was yet
	disturbances chan struct{} // gets an element when the replica was disturbed

	workersMu sync.Mutex
	workers   sync.WaitGroup
	ctx       context.Context // ends with Run
	end       context.CancelFunc
	workQueues
	hooks hookCalls
}

// New makes an engine; Load fills it and Run drives it.
func New(c Config) *Engine {
	if c.Rank == nil {
		c.Rank = func() int { return 0 }
	}
	if c.Receiving == nil {
		c.Receiving = func() bool { return true }
	}
	c.Hooks.fill()
	ctx, end := context.WithCancel(context.Background())
	e := &Engine{
		Config: c, ctx: ctx, end: end, sweep: newSweep(), disturbances: make(chan struct{}, 1),
		entries: map[ID]*entry{}, absentIDs: map[ID]Mono{}, lookingUp: map[ID]chan struct{}{}, headSharers: newSharers(),
	}
	e.schedule.wake = make(chan struct{}, 1)
	e.setUpWork()
	e.hooks.setUp(e.callChanged)
	if c.Hooks.StoreRestored == nil {
		e.Hooks.StoreRestored = e.Restored
	}
	e.health.Store(&Health{Disturbed: true, Alone: c.Alone, HasRunTime: c.SaveRunTime != nil, RunTimeBefore: c.RunTimeBefore})
	e.breaker.window = time.Duration(c.Policy.Window(c.Policy.DefaultInterval)) * time.Second
	e.setUpLimits()
	return e
}

// Ready says whether the lists are loaded.
func (e *Engine) Ready() bool { return e.ready.Load() }

// decide asks a flow for its next action. Only this is done under the entry's lock, so that
// what the flow notes and what it decides from cannot change in between; no action is.
func (e *Engine) decide(en *entry, f Flow, r Result) Action {
	now, wall := e.now()
	en.mu.Lock()
	defer en.mu.Unlock()
	return f.Next(e.input(en, now, wall), r)
}

// input is what is known while a flow of the entry decides; en.mu is held.
func (e *Engine) input(en *entry, now Mono, wall int64) Input {
	in := e.commonInput(now, wall)
	in.use(en, Revision(e.watched.Load()))
	return in
}

// commonInput is what is the same for all entries.
func (e *Engine) commonInput(now Mono, wall int64) Input {
	return Input{Now: now, Wall: wall, Policy: &e.Policy, Health: e.health.Load(), Alone: e.Alone, MinLease: e.MinLease, Rank: e.Rank(), Replica: e.Replica,
		Unsettled: e.peers.unsettled(), Load: e.load.load(), Changes: &e.changeLimit}
}

// use adds what is known of one entry; en.mu is held. watched was read before.
func (in *Input) use(en *entry, watched Revision) {
	in.Known, in.Local, in.Heard, in.Trace = &en.view.Snapshot, &en.local, &en.heard, &en.trace
	in.Watched, in.Ended = en.view.upTo(watched), en.view.ended
}

// serveDetached carries a request that writes through, also when its client goes away: else
// half of it might be done. The store bounds every call by itself, every flow makes a
// bounded number of them, and all of them together have serveTime. A heartbeat needs none
// of this: its renewal is the engine's own.
func (e *Engine) serveDetached(ctx context.Context, en *entry, f Flow) Response {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), serveTime)
	defer cancel()
	return e.serve(ctx, en, f)
}

// serveTime is longer than any client waits; an owner's request that loses to other
// writers 64 times, each time slowly, ends here.
const serveTime = 15 * time.Second

// serve carries a request through to its response. One that fails may still be evidence of
// an instance that is missing: the next tick examines that.
func (e *Engine) serve(ctx context.Context, en *entry, f Flow) Response {
	a, wrote := e.runFlow(ctx, en, f)
	if a.Response.Err != nil {
		e.checkNow(en)
	}
	if wrote {
		if err := e.awaitReported(ctx, en); err != nil {
			return Response{Err: err}
		}
	}
	return a.Response
}

// runFlow carries a flow on until it ends or waits.
func (e *Engine) runFlow(ctx context.Context, en *entry, f Flow) (a Action, wrote bool) {
	var r Result
	for {
		a = e.decide(en, f, r)
		e.revokeLater(a.Revoke)
		switch a.Do {
		case DoRespond, DoWait:
			return a, wrote
		case DoToken:
			if !e.takeClaimToken() {
				return a, wrote
			}
			r = Result{}
		default:
			r = e.perform(ctx, en, &a)
			wrote = wrote || a.Do == DoCommit && r.Outcome == Done
		}
	}
}

// perform carries one action out.
func (e *Engine) perform(ctx context.Context, en *entry, a *Action) (r Result) {
	var err error
	switch a.Do {
	case DoRead:
		r.Snapshot, err = joinRead(ctx, e, &en.reads, nil, func(ctx context.Context) (Snapshot, error) { return e.Store.Read(ctx, en.id) })
	case DoHead:
		r.Revision, err = e.head(ctx)
	case DoGrant:
		r.Lease, err = e.Store.Grant(ctx, a.TTL)
	case DoAge:
		r.Age, err = e.Store.Age(ctx, a.Lease)
	case DoReserve:
		e.Store.Reserve(ctx, a.Lease)
	case DoEnd:
		t := a.Txn
		if r.Left, r.Revision, err = e.Store.End(ctx, a.Lease, &t); err == nil && r.Left == 0 {
			e.committed(en, &t, r.Revision)
		}
	case DoRenew:
		return e.renew(ctx, en, a.Lease)
	case DoCommit:
		t := a.Txn // a copy, so that actions that commit nothing stay off the heap
		began, _ := e.now()
		r.Revision, err = e.Store.Commit(ctx, &t)
		now, _ := e.now()
		if err == nil {
			e.committed(en, &t, r.Revision)
		}
		r.Outcome = e.outcome(ctx, a.Do, err)
		e.noteCommit(t.Kind, r.Outcome, now.Sub(began))
		return r
	}
	r.Outcome = e.outcome(ctx, a.Do, err)
	return r
}

// outcome tells the ways of failing apart, once, for the flows and for the replica's health.
// That a caller went away says nothing of the store.
func (e *Engine) outcome(ctx context.Context, do Verb, err error) (o Outcome) {
	switch {
	case err == nil:
		return Done
	case errors.Is(err, ErrConflict):
		return Conflict
	case errors.Is(err, ErrTaken):
		return Taken
	case errors.Is(err, ErrLeaseGone):
		return LeaseGone
	case errors.Is(err, ErrUnusable):
		return Unusable
	case errors.Is(err, ErrNoAdditions):
		return Full // the store takes other writes: no claim waits for it
	case errors.Is(err, ErrFull):
		o = Full
	case ctx.Err() != nil:
		return Unavailable
	default:
		o = Unavailable
	}
	e.updateHealth(func(h *Health) { h.NoteOutcome(do, o, e.peers.nonPublisher()) })
	return o
}

// revokeLater revokes a lease on which nothing hangs, beside everything else.
func (e *Engine) revokeLater(l LeaseID) {
	if l != 0 {
		e.revokes.put(l)
	}
}

// committed takes an own write in before it is acknowledged.
func (e *Engine) committed(en *entry, t *Txn, at Revision) {
	en.mu.Lock()
	en.observe(e.health.Load(), t.Observations(at)...)
	e.reschedule(en)
	if t.Kind == End {
		e.beginHold(en, t)
	}
	en.mu.Unlock()
	if t.Kind == Expire || t.Kind == End {
		e.endsHere.Add(1)
	}
	e.queueNotice(func() { e.Hooks.Committed(t) })
}

// reschedule enters an instance into the schedule by what has changed in what is known of it,
// and reports and counts the change; en.mu is held.
func (e *Engine) reschedule(en *entry) {
	if !en.view.Absent() && !en.claiming {
		en.claimFlow = nil
	}
	e.reportChange(en)
	e.noteDeparted(en)
	en.trace.noteState(&en.view.Snapshot)
	was, is := en.status, en.view.status()
	en.status = is
	added := en.view.Record.share()
	e.load.replace(en.share, added)
	en.share = added
	if was != is {
		e.counts[was].Add(-1)
		e.counts[is].Add(1)
	}
	switch credited := e.health.Load().Credited; {
	case is == absent && was != absent:
		e.breaker.ended(&en.vanished, credited)
		e.schedule.put(&e.schedule.due, en, int64(credited))
	case is == suspended && e.Policy.removes(&en.view.Record):
		e.schedule.put(&e.schedule.removals, en, e.Policy.removal(&en.view.Record))
	case is == living:
		e.scheduleSilence(en)
	case is != absent:
		e.schedule.drop(en)
	}
	if is == living {
		e.breaker.returned(&en.vanished)
	}
}
