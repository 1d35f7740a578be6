package heartbeat

import "time"

// Verb is what a flow wants done next.
type Verb uint8

// What a flow can want.
const (
	DoRead    Verb = iota // one linearizable read of record and projection
	DoHead                // the newest revision, as of a linearizable read
	DoGrant               // a lease of Action.TTL seconds
	DoRenew               // Action.Lease
	DoAge                 // how long ago Action.Lease was renewed
	DoReserve             // Action.Lease, for the store to leave it alone when it has run out; no result
	DoEnd                 // Action.Txn, if Action.Lease has run out
	DoCommit              // Action.Txn
	DoToken               // a token of the claim rate limit; ask again when there is one
	DoWait                // ask again when what Action.Wait names may have come
	DoRespond             // finished: Action.Response is the result
)

// Outcome is how an action ended.
type Outcome uint8

// How an action can end.
const (
	Done        Outcome = iota
	Conflict            // a compare failed: nothing was written
	Taken               // the place of the instance belongs to somebody else: nothing was written
	LeaseGone           // the lease does not exist (any more): nothing was written
	Full                // the store takes no writes: nothing was written
	Unusable            // this record cannot be read or written: nothing was written
	Unavailable         // no reply came: a commit may or may not have happened
	outcomes    = iota  // how many there are
)

// Action is one thing that a flow wants carried out.
type Action struct {
	Do       Verb
	TTL      int
	Lease    LeaseID
	Txn      Txn
	Response Response
	Wait     Wait
	// Revoke is a lease on which nothing hangs, to be revoked beside the action; 0: none.
	Revoke LeaseID
}

// revoking adds a lease to be revoked.
func (a Action) revoking(l LeaseID) Action {
	a.Revoke = l
	return a
}

// Wait is what a flow waits for. It may be asked again later than that, and decides anew
// by what is known then, but not earlier.
type Wait struct {
	Until Credit
	Space bool // not before the store takes writes again
	// Settled, if not 0, is the end of a lease that the other replicas must have settled.
	Settled Revision
}

// Response is what a flow ended with.
type Response struct {
	Err    error
	Record Record // as it is after the flow
	// TellInterval: after a heartbeat, the application must be told Record.Interval.
	TellInterval bool
}

// Result reports how the action ended that the flow asked for.
type Result struct {
	Outcome  Outcome
	Snapshot Snapshot      // of DoRead
	Revision Revision      // of DoCommit, DoHead and DoEnd
	Lease    LeaseID       // of DoGrant
	TTL      int           // of DoRenew, in seconds
	Age      time.Duration // of DoAge
	Left     time.Duration // of DoEnd: how long the lease may live yet; 0: it was carried out
}

// Input is what a replica knows while a flow decides.
type Input struct {
	Now    Mono
	Wall   int64 // Unix nanoseconds, for payloads
	Policy *Policy
	Load   Load
	// Changes bounds how many intervals follow the load in a second; nil: nothing does.
	Changes *rateLimit
	Health  *Health
	Known   *Snapshot // what the watch and own writes have shown
	// Watched: up to this revision Known misses nothing.
	Watched Revision
	Local   *Local
	// Heard is when this replica heard each agent; nil: it does not follow that.
	Heard *heardAgents
	// Trace takes the gaps between heartbeats; nil: nobody wants to see them.
	Trace *trace
	// Alone: this replica is the store's only writer, so that Known misses
	// nothing but the ends of leases.
	Alone    bool
	MinLease int    // the shortest lease that the store grants, in seconds
	Rank     int    // among the living replicas; 0 claims first
	Replica  string // its name, as the cause of what it claims
	// Ended is the revision by which the instance was absent that Known shows as absent.
	Ended Revision
	// Unsettled: ends of leases from this revision on may still be refuted by another
	// living replica; 0: no other is waited for.
	Unsettled Revision
}

func (in *Input) moment() Moment {
	return Moment{Now: in.Now, Credited: in.Health.Credited, Wall: in.Wall}
}

// Flow is a procedure as a step machine, by a step table. The first call gets the zero
// Result, as does each call after DoWait and DoToken.
type Flow interface {
	Next(Input, Result) Action
}

const (
	maxRounds = 3
	// maxConflicts is how often an owner's request may lose to other writers, each of
	// whom got on by it: that says nothing against the store.
	maxConflicts = 64
	// maxGrantAge: a live instance must not be moved to a lease that has run down, so a
	// grant that took longer is discarded (no move to a used-up lease: protocol CE6).
	maxGrantAge = time.Second
)

// attempt is what the flows that write have in common: the snapshot they decide
// from, the lease they were granted for it, and how often they began anew.
type attempt struct {
	snap         Snapshot
	rounds       int8
	extra        int8 // rounds that there may be besides
	conflicts    int8 // rounds that an owner lost to other writers
	lease        LeaseID
	grantAskedAt Mono
}

// nextRound begins anew with a read, and has the lease revoked, if there is one; after
// maxRounds it gives up.
func (a *attempt) nextRound(revoke LeaseID) Action {
	a.lease = 0
	if a.rounds++; a.wornOut() {
		return respond(ErrUnavailable, Record{}).revoking(revoke)
	}
	return Action{Do: DoRead, Revoke: revoke}
}

// wornOut says whether there have been as many rounds as there may be.
func (a *attempt) wornOut() bool { return a.rounds >= maxRounds+a.extra }

// nextOwnerRound is nextRound for an owner's request, which loses to other writers more
// often before it gives up.
func (a *attempt) nextOwnerRound(o Outcome, revoke LeaseID) Action {
	if o != Conflict || a.conflicts >= maxConflicts {
		return a.nextRound(revoke)
	}
	a.conflicts++
	a.lease = 0
	return Action{Do: DoRead, Revoke: revoke}
}

// grant asks for a lease.
func (a *attempt) grant(in Input, seconds int) Action {
	a.grantAskedAt = in.Now
	return Action{Do: DoGrant, TTL: max(seconds, in.MinLease)}
}

// stale says whether the lease just granted has already run down.
func (a *attempt) stale(in Input) bool { return in.Now.Sub(a.grantAskedAt) > maxGrantAge }

// revocable is the granted lease, if a commit that ended so leaves nothing on it; else 0.
// After an unknown outcome the projection may hang on it, and to revoke it would end a
// living instance (never revoke after an unknown outcome: protocol CE8).
func (a *attempt) revocable(o Outcome) LeaseID {
	if o == Conflict || o == Taken || o == Full || o == Unusable {
		return a.lease
	}
	return 0
}

// ends ends a flow with what its grant or its commit came to.
func (a *attempt) ends(_ Input, r Result) Action {
	return respond(failure(r.Outcome), a.snap.Record).revoking(a.revocable(r.Outcome))
}

func respond(err error, r Record) Action {
	return Action{Do: DoRespond, Response: Response{Err: err, Record: r}}
}

// failure maps the outcome of an action that is not tried again.
func failure(o Outcome) error {
	switch o {
	case Done:
		return nil
	case Full:
		return ErrFull
	case Taken:
		return ErrTaken
	case Unusable:
		return ErrUnusable
	default:
		return ErrUnavailable
	}
}

// seconds rounds up.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
