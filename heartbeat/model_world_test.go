package heartbeat

import (
	"fmt"
	"time"
)

// The model: one instance, a store whose leases may be revoked falsely at any
// time, one or two replicas that run the production code, and an application.
// A world is a plain comparable value; a action leads from one world to the next.
// Time goes in ticks of a second. Instants are kept relative to now (and to each
// replica's credited time) and saturate where nothing compares them any more, so
// that finitely many worlds need no bound on time.

// The slots of a replica: at most one flow of a sort is under way in each.
const (
	slotBeat = iota
	slotRefute
	slotClaim
	slotOwner
	slotRetain
	slotSilence
	slotDrain
	slotEnd
	slotCount
)

type modelPhase uint8

const (
	slotIdle       modelPhase = iota
	slotAsking                // the action is on its way to the store
	slotReplying              // the store has acted, its reply is on its way
	slotWaiting               // a claim in its hold
	slotResponding            // the answer, with news, is on its way to the application
)

// modelSlot holds a flow by value: a boxed value is never changed, so that worlds
// may share it.
type modelSlot struct {
	phase modelPhase
	flow  any // BeatFlow, RefuteFlow, ...
	act   any // Action
	res   any // Result
	age   int8
	tells int8 // laneAnswering: the interval in the answer
	// after: it began after the last re-arm by a refutation; refused: a full store
	// kept it from moving the lease.
	after, refused bool
	delayed        bool // its last reply came late
	sinceLeave     bool // it began after the last LEAVE
	older          bool // begun before the application was answered for another interval
	drained        bool // it began while the instance was drained, and has been since
}

type modelLease struct {
	id        LeaseID
	ttl, left int8
	reserved  bool // the store keeps it for a while after it has run out
}

type modelStore struct {
	Snapshot
	rev     Revision
	grants  [2]int8
	leases  [8]modelLease // in the order of their ids
	full    bool
	removed bool
}

type modelStatus uint8

const (
	running modelStatus = iota
	paused
	crashed
)

// modelBatch is what one transaction, or one end of a lease, shows to the watch.
type modelBatch struct {
	n            int8
	observations [2]Observation
}

type modelReplica struct {
	status modelStatus
	asleep int8 // ticks slept
	// unhealthy: it was paused, late or slow less than a hold ago; no promise rests on it.
	unhealthy bool
	knowledge
	health      Health
	slots       [slotCount]modelSlot
	queue       [8]any // modelBatch, not yet seen, in order
	answeredAge int8   // age of the last heartbeat, or entry into ACTIVE, answered 2xx here
	// ran counts the ticks that it ran since the last heartbeat (or its start);
	// napped: it was paused or started since.
	ran     int8
	wasAway bool
	// restarted: its silence may be shorter, if the platform as a whole ran long enough.
	restarted bool
	heavy     bool // by the load that it knows, what is left to the platform gets its longest interval
}

type modelApp struct {
	interval int8 // the interval it was last told and heard of
	since    int8 // ticks since its last heartbeat was received (or it was registered)
	streak   int8 // good answers in a row, in fair runs
	// beatsReceived counts, where stamps are checked; receiving: the
	// last of them is being received right now.
	beatsReceived int8
	receiving     bool
	platformRan   int8 // ticks that any replica ran since the last heartbeat answered 2xx, where silences are kept
}

// budget is how many wishes and faults are left.
type budget struct {
	beats, puts, deletes, drains    int8
	revokes, pauses, crashes, fulls int8
	lost                            int8 // an action that is not answered, carried out or not
	replies                         int8 // a reply that comes after other things have happened
	slow                            int8 // a flow that takes longer than a tick
	late                            int8 // a watch that lags longer than a tick
	leaders                         int8 // a new leader of the store, which extends every lease
	unheard                         int8 // an answer that the application does not get
	loads                           int8 // a change of what a replica knows of the load
}

type world struct {
	store modelStore
	rep   [2]modelReplica
	app   modelApp
	left  budget
	float any // modelFloat

	agents modelAgents

	covered int8 // age of the last heartbeat answered 2xx by anybody
	short   bool // the live lease is a refutation's, and no heartbeat came since
	drained bool // an administrator's request to drain it was carried out last
}

// lateCommit is a commit that its replica gave up and that may still happen.
type lateCommit struct {
	x, slot int
	txn     Txn
}

// sample: fair continuations are judged in one of so many states.
const sample = 64

const never int8 = 100

// modelConfig is one configuration of the check.
type modelConfig struct {
	name     string
	policy   Policy
	before   *Policy // what the registration was negotiated with, if another
	replicas int
	left     budget
	puts     []Update
	deletes  []Removal // nil: one without an agent; else the registration is a.1's
	drains   []DrainRequest
	paced    bool // the application keeps its interval; intervals matter here
	leaves   bool // it leaves the interval to the platform
	register bool // begins before the registration
	silences bool // what lasts is kept, and a single replica's store extends leases at its starts
	prompt   bool // leases that have run out are ended by the replica, and by the store a tick later
	stamps   bool // what is told as the last heartbeat is judged
	litter   bool // leases to be revoked are left to run out
	max      int  // states at most; 0: no bound
	quick    int  // states at most in the default tier; 0: max
}

type model struct {
	modelConfig
	floorNow    Mono
	floorCredit Credit
	// plain: nothing can go wrong with a single action and no time passes before it.
	// Then a grant, and the read that a flow begins with, are carried out at once:
	// doing them later is the same as getting there later.
	plain bool
	bad   string // the invariant that the last action broke
}

func newModel(c modelConfig) *model {
	w := time.Duration(c.policy.Window(c.policy.MaxInterval)) * time.Second
	if c.before != nil {
		w = max(w, time.Duration(c.before.Window(c.before.MaxInterval))*time.Second)
	}
	l := c.left
	plain := l.lost+l.fulls+l.slow+l.pauses+l.replies == 0
	return &model{modelConfig: c, plain: plain, floorNow: Mono(-(w + 2*c.policy.Hold + 2*time.Second)), floorCredit: Credit(-(w + time.Second))}
}

func (m *model) breaks(format string, args ...any) {
	if m.bad == "" {
		m.bad = fmt.Sprintf(format, args...)
	}
}

const modelID, modelOwner = ID("i"), "app"

// begin is the world before anything went wrong.
func (m *model) begin() world {
	w := world{covered: never}
	for x := range w.rep {
		r := &w.rep[x]
		r.answeredAge = never
		r.health.DisturbedAt, r.health.WritableSince = m.floorCredit, m.floorCredit
		r.health.Alone, r.health.Loaded, r.health.StartedAt = m.replicas == 1, true, m.floorCredit
		if x >= m.replicas {
			r.status = crashed
		}
	}
	before := m.policy
	if m.before != nil {
		before = *m.before
	}
	rec := Record{Schema: Schema, ID: modelID, Owner: modelOwner, State: Active, Proposed: before.MaxInterval}
	if m.leaves {
		rec.Proposed = 0
	}
	if m.deletes != nil {
		rec.Agents = "a.1"
		w.agents.asks("a.1")
	}
	rec.Interval = before.negotiate(rec.Proposed, 0, Load{})
	rec.Window = before.Window(rec.Interval)
	m.start(&w, 0, slotOwner, RegisterFlow{Record: rec})
	if !m.register {
		for w.rep[0].slots[slotOwner].phase != slotIdle {
			m.execute(&w, 0, slotOwner, answered)
		}
		for w.rep[1].queue[0] != nil {
			m.deliver(&w, 1)
		}
	}
	w.left = m.left
	return w
}

func (s *modelStore) lease(id LeaseID) *modelLease {
	for i := range s.leases {
		if s.leases[i].id == id && id != 0 {
			return &s.leases[i]
		}
	}
	return nil
}

func (m *model) grant(w *world, x int, ttl int) Result {
	s := &w.store
	if s.full {
		return Result{Outcome: Full}
	}
	if s.leases[len(s.leases)-1].id != 0 {
		m.breaks("MODEL more leases than it has room for")
		return Result{Outcome: Unavailable}
	}
	s.grants[x]++
	id := LeaseID(100*(x+1) + int(s.grants[x]))
	s.leases[len(s.leases)-1] = modelLease{id: id, ttl: int8(ttl), left: int8(ttl)}
	s.order()
	return Result{Lease: id}
}

func (m *model) renewal(w *world, id LeaseID) Result {
	l := w.store.lease(id)
	if l == nil || l.left <= 0 { // what has run out is renewed no more
		return Result{Outcome: LeaseGone}
	}
	l.left, l.reserved = l.ttl, false
	return Result{Lease: id, TTL: int(l.ttl)}
}

// end ends a lease, and the projection on it.
func (m *model) end(w *world, id LeaseID) {
	s := &w.store
	l := s.lease(id)
	if l == nil {
		return
	}
	*l = modelLease{}
	s.order()
	if s.Projection.Present() && s.Projection.Lease == id {
		s.rev++
		s.Projection = Projection{}
		for x := range w.rep {
			m.show(w, x, modelBatch{n: 1, observations: [2]Observation{{ID: modelID, Revision: s.rev, Projected: true}}})
		}
	}
}

// order sorts the leases by id, the empty places last.
func (s *modelStore) order() {
	for i := range s.leases {
		for j := i + 1; j < len(s.leases); j++ {
			a, b := &s.leases[i], &s.leases[j]
			if b.id != 0 && (a.id == 0 || b.id < a.id) {
				*a, *b = *b, *a
			}
		}
	}
}

// show puts a batch into a replica's watch.
func (m *model) show(w *world, x int, b modelBatch) {
	r := &w.rep[x]
	if r.status == crashed {
		return
	}
	for i := range r.queue {
		if r.queue[i] == nil {
			r.queue[i] = b
			return
		}
	}
	m.breaks("MODEL the watch has no room for another batch")
}

// commit carries a transaction out or refuses it, as the adapter's encoding does.
func (m *model) commit(w *world, slot int, t *Txn) Outcome {
	s := &w.store
	switch {
	case s.full:
		return Full
	case t.RecordRevision != s.At,
		t.Presence == NoProjection && s.Projection.Present(),
		t.Presence == ProjectionAt && s.Projection.Revision != t.ProjectionRevision:
		return Conflict
	}
	l := s.lease(t.Record.Lease)
	if t.ProjectionOp == Put && t.Record.Lease != 0 && l == nil {
		return LeaseGone
	}
	m.checkCommit(w, slot, t)
	m.agentsAfter(w, t)
	m.drainedAfter(w, t)
	s.rev++
	switch t.RecordOp {
	case Put:
		s.Record, s.At = t.Record, s.rev
	case Erase:
		s.Record, s.At, s.removed = Record{}, 0, true
	}
	switch t.ProjectionOp {
	case Put:
		moved := s.Projection.Lease != t.Record.Lease
		s.Projection = Projection{Revision: s.rev, Lease: t.Record.Lease}
		w.short = w.short && !moved || slot == slotRefute && int(l.ttl) < t.Record.Window
	case Erase:
		s.Projection = Projection{}
	}
	if slot == slotRefute {
		for y := range w.rep {
			w.rep[y].slots[slotBeat].after = false
		}
	}
	return Done
}

func batchOf(t *Txn, at Revision) modelBatch {
	var b modelBatch
	for _, s := range t.Observations(at) {
		b.observations[b.n] = s
		b.n++
	}
	return b
}
