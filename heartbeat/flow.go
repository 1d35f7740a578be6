package heartbeat

import "time"

// Verb is what a flow wants done next.
type Verb uint8

const (
	DoRead    Verb = iota // one linearizable read of record and projection
	DoHead                // the newest revision, as of a linearizable read
	DoGrant               // a lease of Action.TTL seconds
	DoRenew               // Action.Lease
	DoAge                 // how long ago Action.Lease was renewed
	DoCommit              // Action.Txn
	DoToken               // its turn among the claims; ask again when it has come
	DoWait                // ask again when Action.Wait may have come
	DoRespond             // finished; Action.Answer is the result
)

// Outcome is how an action ended.
type Outcome uint8

const (
	Done        Outcome = iota
	Conflict            // a compare failed: nothing was written
	Taken               // the place of the instance belongs to somebody else: nothing was written
	LeaseGone           // the lease does not exist (any more): nothing was written
	Full                // the store takes no writes: nothing was written
	Unusable            // this record cannot be read or written: nothing was written
	Unavailable         // no answer; a commit may or may not have happened
)

// Action is one step that a flow wants carried out.
type Action struct {
	Do       Verb
	TTL      int
	Lease    LeaseID
	Txn      Txn
	Response Response
	Wait     Wait
	// Retire is a lease on which nothing hangs, to be revoked beside the action.
	Revoke LeaseID
}

// Wait is what a flow waits for. It may come later than said, and is judged anew; it
// does not come earlier.
type Wait struct {
	Until Instant // credited time
	Space bool    // not before the store takes writes again
	// Settled, if not 0, is the end of a lease that the other replicas must have settled.
	Settled Revision
}

// Answer is what a flow ended with.
type Response struct {
	Err          error
	Record       Record // as it is after the flow
	TellInterval bool   // a heartbeat: the application must be told Record.Interval
}

// Result reports the action that the flow asked for.
type Result struct {
	Outcome  Outcome
	Snapshot Snapshot // of DoRead
	Revision Revision // of DoCommit and DoHead
	Lease    LeaseID  // of DoGrant
	TTL      int      // of DoRenew, in seconds
	Age      Instant  // of DoAge
}

// Input is what a replica knows while a flow decides.
type Input struct {
	Now    Instant // monotonic
	Wall   int64   // Unix nanoseconds, for payloads
	Policy *Policy
	Health *Health
	Known  *Snapshot // what the watch and own writes have shown
	// Watched: up to this revision Known misses nothing.
	Watched Revision
	Local   *Local
	// Alone: this replica is the store's only writer, so that Known misses
	// nothing but the ends of leases.
	Alone    bool
	MinLease int // the shortest lease that the store grants, in seconds
	Rank     int // among the living replicas; 0 claims first
	// Ended is the revision by which the instance was absent that Known shows as absent.
	Ended Revision
	// Unsettled: ends of leases from this revision on may still be refuted by another
	// living replica; 0: no other is waited for.
	Unsettled Revision
}

func (in *Input) moment() Moment {
	return Moment{Now: in.Now, Credited: in.Health.Credited, Wall: in.Wall}
}

// Flow is a procedure as a step machine. The first call gets the zero Result.
type Flow interface {
	Next(Input, Result) Action
}

const (
	maxRounds = 3
	// maxGrantAge: a grant older than this has run down too far to be used (protocol CE6).
	maxGrantAge = time.Second
)

// attempt is what the flows that write have in common: the snapshot they decide
// from, the lease they were granted for it, and how often they began anew.
type attempt struct {
	snap         Snapshot
	rounds       int8
	conflicts    int8 // rounds that an owner lost to other writers
	lease        LeaseID
	grantAskedAt Instant // when the lease was asked for
}

// maxConflicts is how often an owner's request may lose to other writers, each of
// whom got on by it: that says nothing against the store.
const maxConflicts = 64

// anew is again for an owner's request, which waits for its turn among the writers.
func (a *attempt) nextOwnerRound(o Outcome, retire LeaseID) (Action, bool) {
	if o != Conflict || a.conflicts >= maxConflicts {
		return a.nextRound(retire)
	}
	a.conflicts++
	a.lease = 0
	return Action{Do: DoRead, Revoke: retire}, true
}

// again starts a new round with a read, retiring the lease if that is safe; it
// fails after maxRounds.
func (a *attempt) nextRound(retire LeaseID) (Action, bool) {
	a.rounds++
	a.lease = 0
	if a.rounds >= maxRounds {
		return Action{Do: DoRespond, Response: Response{Err: ErrUnavailable}, Revoke: retire}, false
	}
	return Action{Do: DoRead, Revoke: retire}, true
}

// grant asks for a lease.
func (a *attempt) grant(in Input, seconds int) Action {
	a.grantAskedAt = in.Now
	return Action{Do: DoGrant, TTL: max(seconds, in.MinLease)}
}

// stale says whether the lease just granted has already run down.
func (a *attempt) stale(in Input) bool { return in.Now-a.grantAskedAt > maxGrantAge }

// lost decides what becomes of the granted lease when its commit did not succeed:
// it is revoked only after a definite failure, for after an unknown outcome the
// projection may hang on it (protocol CE8).
func (a *attempt) revocable(o Outcome) LeaseID {
	if o == Conflict || o == Taken || o == Full || o == Unusable {
		return a.lease
	}
	return 0
}

func respond(err error, r Record) Action {
	return Action{Do: DoRespond, Response: Response{Err: err, Record: r}}
}

// failure maps the outcome of a read, a grant or a commit that is not retried.
func failure(o Outcome) error {
	if o == Full {
		return ErrFull
	}
	return ErrUnavailable
}

// seconds rounds up.
func seconds(d Instant) int { return int((d + time.Second - 1) / time.Second) }
