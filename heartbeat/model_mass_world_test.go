package heartbeat

import "fmt"

// The model of masses: several instances whose leases are revoked falsely, up to four
// replicas, each with a key on a lease of its own, and a store and watches of any speed:
// time may pass before whatever is under way. It runs the production flows, watermark
// and view. What only a replica alone or a single instance can show is judged by the
// model beside it.

const (
	massReplicas  = 4
	massInstances = 2
	massKeyLife   = 2 // ticks that a key outlives its replica
	massQueue     = 14
)

// massKey is a replica's key in the store.
type massKey struct {
	present bool
	left    int8
	word    PeerStatus
}

// massShow is what one write shows to the watch: of an instance, or of a key.
type massShow struct {
	at           Revision
	i            int8
	n            int8
	observations [2]Observation
	key          int8 // 0: none; else the replica, counted from 1
	there        bool
	word         PeerStatus
}

// massView is what a replica has of one instance: knowledge, flows and evidence. Its
// health is that of the replica, kept alike in all views.
type massView struct {
	modelReplica
}

type massReplica struct {
	status modelStatus
	asleep int8
	views  [massInstances]any // massView
	queue  [massQueue]any     // massShow
	peers  [massReplicas]peer
	known  [massReplicas]bool // peers whose key was seen
	// published is the watermark that the store took, needed the highest end that the
	// others may wait for, sending what is on its way.
	published, needed Revision
	sending           any  // PeerStatus
	gone              int8 // ticks since its own key is missing
	joining           bool // it was listed, and has not yet put its key
}

type massStore struct {
	rev    Revision
	inst   [massInstances]any // Snapshot
	leases [8]modelLease
	keys   [massReplicas]massKey
}

type massWorld struct {
	store massStore
	rep   [massReplicas]massReplica
	left  massBudget
}

// massBudget is how many wishes and faults are left.
type massBudget struct {
	beats, puts, revokes int8
	keys                 int8 // false revocations of a replica's own lease
	pauses, crashes      int8
	joins                int8 // a replica that was not there at first
	relists              int8
	lost                 int8 // an action that is not answered, carried out or not
	replies              int8 // a commit whose reply comes after other things have happened
}

type massConfig struct {
	name      string
	policy    Policy
	replicas  int
	instances int
	old       [massReplicas]bool // of the previous release: no watermark
	absent    int                // replicas, the last ones, that are not there at first
	register  bool               // the registrations are under way at first
	left      massBudget
	max       int
	quick     int
	prompt    bool // nobody is slow or late: the previous release judges by time
	deaf      bool // the watch of the first one shows nothing until all goes well again
	floating  bool // a watermark takes its time to the store
	// broken is the invariant that must break: for the rules of the previous release.
	broken string
}

type massModel struct {
	massConfig
	one *model // of the policy; rebases
	bad string
}

func newMassModel(c massConfig) *massModel {
	if c.instances == 0 {
		c.instances = massInstances
	}
	return &massModel{massConfig: c, one: newModel(modelConfig{policy: c.policy, replicas: c.replicas})}
}

func (m *massModel) breaks(format string, args ...any) {
	if m.bad == "" {
		m.bad = fmt.Sprintf(format, args...)
	}
}

// noRoom: a walk by chance left more writes unseen by a replica than the model holds. That
// says nothing of the engine; the walk ends there.
const noRoom = "MODEL the watch has no room for another write"

func (m *massModel) broken() string { return m.bad }
func (m *massModel) forgive()       { m.bad = "" }

func massID(i int) ID { return ID(rune('i' + i)) }

func (s *massStore) at(i int) Snapshot { return s.inst[i].(Snapshot) }

func (w *massWorld) view(x, i int) massView        { return w.rep[x].views[i].(massView) }
func (w *massWorld) setView(x, i int, p *massView) { w.rep[x].views[i] = *p }

// change changes a place.
func (w *massWorld) change(x, i int, f func(*massView)) {
	p := w.view(x, i)
	f(&p)
	w.setView(x, i, &p)
}

// begin: every instance was registered at a replica, in rotation, and all know that.
func (m *massModel) begin() massWorld {
	var w massWorld
	for x := range w.rep {
		for i := range massInstances {
			p := massView{modelReplica{answeredAge: never}}
			p.health.DisturbedAt, p.health.WritableSince = m.one.floorCredit, m.one.floorCredit
			w.rep[x].views[i] = p
			w.store.inst[i] = Snapshot{}
		}
		if x >= m.replicas-m.absent {
			w.rep[x].status = crashed
			continue
		}
		w.store.keys[x] = massKey{present: true, left: massKeyLife, word: PeerStatus{Publishes: !m.old[x]}}
		for y := range m.replicas - m.absent {
			if y != x {
				w.rep[y].peers[x].PeerStatus, w.rep[y].known[x] = PeerStatus{Publishes: !m.old[x]}, true
			}
		}
	}
	for i := range m.instances {
		rec := Record{Schema: Schema, ID: massID(i), Owner: modelOwner, State: Active, Proposed: m.policy.MaxInterval}
		rec.Interval = m.policy.Interval(rec.Proposed)
		rec.Window = m.policy.Window(rec.Interval)
		x := i % (m.replicas - m.absent)
		m.start(&w, x, i, slotOwner, RegisterFlow{Record: rec})
		if m.register {
			continue
		}
		for m.phase(&w, x, i, slotOwner) != slotIdle {
			m.execute(&w, x, i, slotOwner, answered)
		}
	}
	for x := range w.rep {
		for w.rep[x].queue[0] != nil {
			m.deliver(&w, x)
		}
	}
	w.left = m.left
	return w
}

func (m *massModel) phase(w *massWorld, x, i, slot int) modelPhase {
	p := w.view(x, i)
	return p.slots[slot].phase
}

func (s *massStore) lease(id LeaseID) *modelLease {
	for i := range s.leases {
		if s.leases[i].id == id && id != 0 {
			return &s.leases[i]
		}
	}
	return nil
}

// grant takes the lowest id that is neither a lease's nor a record's: grants are without
// bound where a slow store makes them useless.
func (m *massModel) grant(w *massWorld, ttl int) Result {
	s := &w.store
	id := LeaseID(1)
	for used := true; used; {
		used = s.lease(id) != nil
		for i := range m.instances {
			snap := s.at(i)
			used = used || snap.Record.Lease == id
			for x := range m.replicas {
				p := w.view(x, i)
				used = used || p.view.Record.Lease == id
				for l := range p.slots {
					used = used || p.slots[l].phase != slotIdle && p.slots[l].uses(id)
				}
			}
		}
		if used {
			id++
		}
	}
	for j := range s.leases {
		if s.leases[j].id == 0 {
			s.leases[j] = modelLease{id: id, ttl: int8(ttl), left: int8(ttl)}
			s.order()
			return Result{Lease: id}
		}
	}
	m.breaks("MODEL more leases than it has room for")
	return Result{Outcome: Unavailable}
}

// uses says whether a flow may still speak of a lease.
func (ln *modelSlot) uses(id LeaseID) bool {
	if a, ok := ln.act.(Action); ok && (a.Lease == id || a.Txn.Record.Lease == id) {
		return true
	}
	switch f := ln.flow.(type) {
	case BeatFlow:
		return f.lease == id || f.oldLease == id || f.snap.Record.Lease == id
	case RefuteFlow:
		return f.lease == id
	case RegisterFlow:
		return f.lease == id
	case UpdateFlow:
		return f.lease == id || f.target.Lease == id || f.snap.Record.Lease == id
	}
	return false
}

func (s *massStore) order() {
	for i := range s.leases {
		for j := i + 1; j < len(s.leases); j++ {
			a, b := &s.leases[i], &s.leases[j]
			if b.id != 0 && (a.id == 0 || b.id < a.id) {
				*a, *b = *b, *a
			}
		}
	}
}

func (m *massModel) renewal(w *massWorld, id LeaseID) Result {
	l := w.store.lease(id)
	if l == nil {
		return Result{Outcome: LeaseGone}
	}
	l.left = l.ttl
	return Result{Lease: id, TTL: int(l.ttl)}
}

// end ends a lease, and the projections on it, each with a revision of its own.
func (m *massModel) end(w *massWorld, id LeaseID) {
	l := w.store.lease(id)
	if l == nil {
		return
	}
	*l = modelLease{}
	w.store.order()
	for i := range m.instances {
		snap := w.store.at(i)
		if snap.Projection.Present() && snap.Projection.Lease == id {
			w.store.rev++
			snap.Projection = Projection{}
			w.store.inst[i] = snap
			m.show(w, -1, massShow{at: w.store.rev, i: int8(i), n: 1, observations: [2]Observation{{ID: massID(i), Revision: w.store.rev, Projected: true}}})
		}
	}
}

// show puts a write into the watch of every replica but one.
func (m *massModel) show(w *massWorld, but int, s massShow) {
	for x := range m.replicas {
		r := &w.rep[x]
		if x == but || r.status == crashed {
			continue
		}
		for j := range r.queue {
			if r.queue[j] == nil {
				r.queue[j] = s
				break
			}
			if j == len(r.queue)-1 {
				m.breaks(noRoom)
			}
		}
	}
}

// setKey puts or erases a replica's key.
func (m *massModel) setKey(w *massWorld, x int, there bool, word PeerStatus) {
	w.store.rev++
	w.store.keys[x] = massKey{}
	if there {
		w.store.keys[x] = massKey{present: true, left: massKeyLife, word: word}
	}
	m.show(w, x, massShow{at: w.store.rev, key: int8(x + 1), there: there, word: word})
}

// commit carries a transaction out or refuses it.
func (m *massModel) commit(w *massWorld, x, i int, t *Txn) Outcome {
	s := w.store.at(i)
	if t.RecordRevision != s.At || t.Presence == NoProjection && s.Projection.Present() ||
		t.Presence == ProjectionAt && s.Projection.Revision != t.ProjectionRevision {
		return Conflict
	}
	if t.ProjectionOp == Put && t.Record.Lease != 0 && w.store.lease(t.Record.Lease) == nil {
		return LeaseGone
	}
	m.checkCommit(w, x, i, t)
	w.store.rev++
	if t.RecordOp == Put {
		s.Record, s.At = t.Record, w.store.rev
	}
	if t.ProjectionOp == Put {
		s.Projection = Projection{Revision: w.store.rev, Lease: t.Record.Lease}
	}
	w.store.inst[i] = s
	return Done
}
