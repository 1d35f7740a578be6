package heartbeat

import "time"

type beatStep uint8

const (
	beatStart beatStep = iota
	beatRead
	beatRenew
	beatHead
	beatVerify
	beatGrant
	beatCommit
	beatRenewMoved
)

// BeatFlow carries one authenticated heartbeat through. Its first step notes the
// evidence, before any store call and kept even if the store fails.
type BeatFlow struct {
	step  beatStep
	Agent string // that sends it; "": it did not say
	// Received is when it was received, if that is longer ago than the first step; else nil.
	Received *Moment
	attempt
	gap          time.Duration // since the heartbeat before
	ttl          int           // what the renewal answered
	txn          Kind
	target       Record // interval, previous and window that a move leads to
	tellInterval bool
	oldLease     LeaseID // the lease that a move leaves behind
	goneLease    LeaseID // a lease that was not there to be renewed
	// sought is the interval of a commit without a reply; 0: there was none. It may still happen, and
	// move the lease after this heartbeat was answered, unless another write of the record forestalls it.
	sought  int
	counted bool // the heartbeat is renewed and verified; only a wish of ours is open
	behind  bool // it was verified by a read: the watch had not shown all, so the load may be an old one
}

var beatSteps = newStepTable("BeatFlow", []string{"start", "read", "renew", "head", "verify", "grant", "commit", "renew moved"},
	on(beatStart, always, (*BeatFlow).begin, "evidence; known ACTIVE: renew its lease", beatRenew, beatRead),
	on(beatRead, []Outcome{Done}, (*BeatFlow).afterRead, "none, INACTIVE or without heartbeats: refused; SUSPENDED, absent or on another lease: a new one; else renew", beatGrant, beatRenew, ended),
	on(beatRead, otherwise, end[*BeatFlow](ErrUnavailable), "ErrUnavailable", ended),
	on(beatRenew, []Outcome{Done}, (*BeatFlow).afterRenew, "among replicas: the store's revision; alone, as after head; left meanwhile: the next round", beatHead, beatGrant, beatCommit, beatRead, ended),
	on(beatRenew, []Outcome{LeaseGone}, (*BeatFlow).leaseGone, "the next round", beatRead, ended),
	on(beatRenew, otherwise, end[*BeatFlow](ErrUnavailable), "ErrUnavailable", ended),
	on(beatHead, []Outcome{Done}, (*BeatFlow).afterHead, "the watch has shown it, and the record on this lease: it counts; RAISE, LOWER, SETTLE, HEARD or nothing follows; else read", beatVerify, beatGrant, beatCommit, ended),
	on(beatHead, otherwise, end[*BeatFlow](ErrUnavailable), "ErrUnavailable", ended),
	on(beatVerify, []Outcome{Done}, (*BeatFlow).afterVerify, "on this lease: it counts, as after head; else as after read; after three ErrUnavailable", beatGrant, beatCommit, beatRenew, ended),
	on(beatVerify, otherwise, end[*BeatFlow](ErrUnavailable), "ErrUnavailable", ended),
	on(beatGrant, []Outcome{Done}, (*BeatFlow).afterGrant, "RESUME, REARM or RAISE; a RAISE whose grant took too long: the next round", beatCommit, beatRead, ended),
	on(beatGrant, otherwise, (*BeatFlow).notGranted, "it counted already: a full store only leaves the interval; else ErrFull or ErrUnavailable", ended),
	on(beatCommit, []Outcome{Done}, (*BeatFlow).afterCommit, "after RAISE the new lease is renewed", beatRenewMoved, ended),
	on(beatCommit, otherwise, (*BeatFlow).lost, "full: as at grant; else the next round", beatRead, ended),
	on(beatRenewMoved, []Outcome{Done}, (*BeatFlow).afterRenewMoved, "the lease that was left is revoked", ended),
	on(beatRenewMoved, otherwise, (*BeatFlow).notRenewed, "the next round; after three ErrUnavailable", beatRead, ended),
)

// Next implements Flow.
func (f *BeatFlow) Next(in Input, r Result) Action {
	return beatSteps.line(uint8(f.step), r.Outcome)(f, in, r)
}

func (f *BeatFlow) begin(in Input, _ Result) Action {
	at := in.moment()
	if f.Received != nil {
		at = *f.Received
	}
	f.gap = in.Local.AddBeat(at)
	in.Trace.noteGap(f.gap)
	if in.Known.Record.Agents != "" {
		in.Heard.note(f.Agent, at.Credited)
	}
	if in.Known.Exists() && in.Known.Record.Expires() {
		f.snap = *in.Known
		return f.renew(beatRenew, f.snap.Record.Lease)
	}
	f.step = beatRead
	return Action{Do: DoRead}
}

func (f *BeatFlow) afterRead(in Input, r Result) Action {
	f.snap = r.Snapshot
	return f.decide(in)
}

func (f *BeatFlow) afterVerify(in Input, r Result) Action {
	f.snap = r.Snapshot
	if f.snap.on(f.lease) {
		f.behind = true
		return f.countBeat(in)
	}
	if f.rounds++; f.wornOut() { // somebody moves it again and again
		return respond(ErrUnavailable, f.snap.Record)
	}
	return f.decide(in)
}

func (f *BeatFlow) afterRenewMoved(Input, Result) Action { return f.done(f.oldLease) }

func (f *BeatFlow) notRenewed(Input, Result) Action { return f.retry(0) }

func (f *BeatFlow) retry(revoke LeaseID) Action {
	f.step, f.counted, f.behind = beatRead, false, false
	return f.nextRound(revoke)
}

func (f *BeatFlow) renew(step beatStep, l LeaseID) Action {
	f.step, f.lease = step, l
	return Action{Do: DoRenew, Lease: l}
}

// afterRenew: the renewal alone does not count. A renewal of a lease that the record has left
// would be acknowledged while the live lease runs out, so it counts only if the record still
// hangs on that lease with its projection present, as seen after the reply (a renewal is
// verified: protocol CE5).
func (f *BeatFlow) afterRenew(in Input, r Result) Action {
	f.ttl = r.TTL
	if !in.Alone {
		f.step = beatHead
		return Action{Do: DoHead}
	}
	if in.Known.on(f.lease) {
		f.snap = *in.Known
		return f.countBeat(in)
	}
	return f.retry(0)
}

func (f *BeatFlow) leaseGone(Input, Result) Action {
	if f.goneLease == 0 {
		f.extra = 1 // that a lease has run out may come besides what others do meanwhile, its refutation too
	}
	f.goneLease = f.lease
	return f.retry(0)
}

// afterHead: what is known is as good as a read of the instance if nothing that the store
// had written by then is missing from it.
func (f *BeatFlow) afterHead(in Input, r Result) Action {
	if in.Watched >= r.Revision && in.Known.on(f.lease) {
		f.snap = *in.Known
		return f.countBeat(in)
	}
	f.step = beatVerify
	return Action{Do: DoRead}
}

// countBeat: the heartbeat counts. What remains is what the platform wants of the
// application, or of its lease.
func (f *BeatFlow) countBeat(in Input) Action {
	rec := &f.snap.Record
	f.counted = true
	if f.ttl < rec.Window { // a refutation granted what was left
		return f.move(in, rec.Interval, rec.Previous, rec.Window)
	}
	want := f.wanted(&in)
	window := in.Policy.Window(want)
	switch {
	case want > rec.Interval:
		f.announce(in, want)
		return f.move(in, want, rec.Interval, max(rec.Window, window))
	case want < rec.Interval:
		f.announce(in, want)
		f.txn = Lower
		return f.commit(in, f.snap.lower(want))
	case rec.Silence != 0 || in.Local.mayKeep || rec.Left: // it is over, and must not count after a restart
		f.txn = Heard
		return f.commit(in, f.snap.heard())
	case rec.Previous != 0:
		return f.checkPace(in)
	case rec.Window != window: // other allowed misses since a restart
		return f.move(in, rec.Interval, 0, window)
	}
	return f.done(0)
}

// wanted is the interval that the application is to have. By a load that may be an old one nothing is
// chosen: a replica whose watch is broken would undo what the others do.
func (f *BeatFlow) wanted(in *Input) int {
	switch rec := &f.snap.Record; {
	case f.sought != 0:
		return f.sought
	case f.behind && in.Policy.followsLoad(rec):
		return rec.Interval
	default:
		return in.interval(rec)
	}
}

func (f *BeatFlow) announce(in Input, interval int) {
	in.Local.announce(interval, 1)
	f.tellInterval = true
}

func (f *BeatFlow) checkPace(in Input) Action {
	rec := &f.snap.Record
	window := in.Policy.Window(rec.Interval)
	tell, taken := in.Local.followInterval(rec, window, f.gap)
	f.tellInterval = tell
	switch {
	case taken && f.sought == 0 && !in.mayChange(rec): // it is taken up at the next heartbeat too
		return f.done(0)
	case taken && (rec.Window > window || rec.Previous > rec.Interval): // the projection shows the longer one
		return f.move(in, rec.Interval, 0, window)
	case taken:
		f.txn = Settle
		return f.commit(in, f.snap.settle())
	}
	return f.done(0)
}

// decide chooses by the record when the known lease is of no use.
func (f *BeatFlow) decide(in Input) Action {
	rec := &f.snap.Record
	if !f.snap.Exists() {
		return respond(ErrNotFound, Record{})
	}
	if !rec.Beating() {
		return respond(ErrNoLiveness, *rec)
	}
	if c := Next(rec.State, Beat); c.Err != nil {
		return respond(c.Err, *rec)
	}
	switch {
	case rec.State == Suspended:
		return f.grantFor(in, Resume, rec.Window)
	case !f.snap.Projection.Present():
		return f.grantFor(in, Rearm, rec.Window)
	case f.snap.Projection.Lease != rec.Lease, // somebody wrote it without us
		rec.Lease == f.goneLease: // its lease has run out, and the store has not taken it away yet
		return f.move(in, rec.Interval, rec.Previous, rec.Window)
	default:
		return f.renew(beatRenew, rec.Lease)
	}
}

func (f *BeatFlow) grantFor(in Input, k Kind, window int) Action {
	f.step, f.txn = beatGrant, k
	return f.grant(in, window)
}

func (f *BeatFlow) move(in Input, interval, previous, window int) Action {
	f.target = Record{Interval: interval, Previous: previous, Window: window}
	return f.grantFor(in, Raise, window)
}

func (f *BeatFlow) afterGrant(in Input, r Result) Action {
	f.lease = r.Lease
	// What is granted after the heartbeat came ends no earlier than a window after it,
	// however slowly; a lease that takes a live one's place must last as long (no move to a
	// used-up lease: protocol CE6).
	if f.txn == Raise && f.stale(in) {
		return f.retry(f.lease)
	}
	switch f.txn {
	case Resume:
		t := f.snap.resume(f.lease, in.Wall, in.Local.beatWall)
		t.Record.Agents = t.Record.Agents.with(f.Agent)
		return f.commit(in, t)
	case Rearm:
		return f.commit(in, f.snap.rearm(f.lease))
	default:
		f.oldLease = f.snap.Record.Lease
		return f.commit(in, f.snap.move(f.target.Interval, f.target.Previous, f.target.Window, f.lease))
	}
}

func (f *BeatFlow) commit(in Input, t Txn) Action {
	f.step = beatCommit
	t.endSilence(in.Local)
	t.Record.Left = false
	f.target = t.Record
	return Action{Do: DoCommit, Txn: t}
}

func (f *BeatFlow) afterCommit(Input, Result) Action {
	f.snap.Record = f.target
	if f.txn == Raise {
		return f.renew(beatRenewMoved, f.lease) // a slow move must not leave a used-up lease (protocol CE6)
	}
	return f.done(0)
}

func (f *BeatFlow) lost(in Input, r Result) Action {
	revoke := f.revocable(r.Outcome)
	if f.txn == Lower || f.txn == Settle || f.txn == Heard {
		revoke = 0 // the lease is the live one
	}
	if r.Outcome == Unavailable {
		f.sought = f.target.Interval
	}
	if r.Outcome != Full {
		return f.retry(revoke)
	}
	return f.notGranted(in, r).revoking(revoke)
}

// notGranted: a store without space does not keep a heartbeat on a present lease
// from counting; only the interval stays as it was.
func (f *BeatFlow) notGranted(_ Input, r Result) Action {
	if r.Outcome == Full && f.counted {
		f.tellInterval = false
		return f.done(0)
	}
	return respond(failure(r.Outcome), f.snap.Record)
}

func (f *BeatFlow) done(revoke LeaseID) Action {
	return Action{Do: DoRespond, Response: Response{Record: f.snap.Record, TellInterval: f.tellInterval}, Revoke: revoke}
}
