package heartbeat

import "time"

type (
	// ID names an instance; ids are never reused.
	ID string
	// LeaseID names a lease of the store; 0 is none.
	LeaseID int64
	// Revision orders the writes of the store; 0 is "absent".
	Revision int64
)

// Schema is the version of Record that this code writes.
const Schema = 1

// Record is what the store holds of one instance for the platform: the truth about it. It is
// a plain comparable value.
type Record struct {
	Schema     int
	ID         ID
	Owner      string // appInstanceId of the producing application
	Attributes string // what the application registered, opaque here
	// Place is where the projection stands: a key that only the store's owner understands;
	// "" is where the id says. It changes when an update gives the instance another name.
	Place string
	State State
	Cause Cause  // why it is in that state
	Seq   uint64 // grows by one with every event
	// Proposed is the interval in seconds that the application asked for: 0
	// leaves it to the platform, -1 means that it sends no heartbeats.
	Proposed int
	// Interval is the negotiated interval in seconds; 0: no heartbeats required.
	Interval int
	// Previous is the interval negotiated before, the longest if several were shortened, while the
	// gaps between heartbeats have not yet shown that the application took the new one up; else 0.
	Previous int
	// Window is how long silence may last, in seconds: the largest interval that the
	// application may still keep, times allowed misses + 1.
	Window int
	Lease  LeaseID // the lease its projection hangs on; 0 unless ACTIVE and beating
	// Agents are those that keep it alive; "" if they did not say who they are, or nobody
	// was left when it became SUSPENDED.
	Agents Agents
	// Left says that an agent has left (LEAVE), and that no heartbeat or PUT came since: so
	// those that were to keep the instance alive may be no more.
	Left bool

	// Wall clock, Unix nanoseconds; for payloads and retention only.
	RegisteredAt int64
	ChangedAt    int64 // of the last event that consumers are told
	CausedAt     int64 // since when it is in its state because of Cause; 0: an earlier release wrote it
	SuspendedAt  int64
	LastBeat     int64

	// Silence is how much credited time had passed without a heartbeat, at least, when that
	// was written; 0: the last heartbeat was in time, or is not long ago. SilenceAt is the
	// platform's run time at that write, 0 if it has none.
	Silence   time.Duration
	SilenceAt time.Duration
	// Extra is what a later release wrote besides, in the form of the store's owner. It
	// survives whatever this release writes.
	Extra string
}

// Beating says whether the platform requires heartbeats of this instance.
func (r *Record) Beating() bool { return r.Interval > 0 }

// Expires says whether the record's projection must hang on a lease.
func (r *Record) Expires() bool { return r.State == Active && r.Beating() }

func (r *Record) window() time.Duration { return time.Duration(r.Window) * time.Second }

// Projection is what the store holds of an instance for everybody else: present
// while the instance is alive, gone when its lease ended.
type Projection struct {
	Revision Revision // of its last write; 0: absent
	Lease    LeaseID
	Differs  bool // it is not what the record projects to (only Store.List looks)
}

// Present says whether the projection exists.
func (p Projection) Present() bool { return p.Revision != 0 }

// Snapshot is a record and its projection, read in one transaction.
type Snapshot struct {
	Record     Record
	At         Revision // of the record's last write; 0: no record
	Projection Projection
}

// Exists says whether there is a record.
func (s *Snapshot) Exists() bool { return s.At != 0 }

// Absent says whether the instance should have a leased projection and has none.
func (s *Snapshot) Absent() bool {
	return s.Exists() && s.Record.Expires() && !s.Projection.Present()
}

// on says whether the record is ACTIVE on lease l with its projection present.
func (s *Snapshot) on(l LeaseID) bool {
	return s.Exists() && s.Record.Expires() && s.Record.Lease == l && s.Projection.Present() && s.Projection.Lease == l
}

// Policy is the operator's part of the rules.
type Policy struct {
	DefaultInterval int // seconds
	MinInterval     int // seconds
	MaxInterval     int // seconds
	AllowedMisses   int
	// Fixed, if not 0, is what every proposal other than 0 becomes, in seconds.
	Fixed int
	// MaxBeatsPerSecond, if not 0, is how many heartbeats all instances together may send: those
	// that leave their interval to the platform get longer ones (Choose).
	MaxBeatsPerSecond int

	Hold            time.Duration
	DeregisterAfter time.Duration // 0: never
}

// Interval negotiates the interval in seconds (MEC 011 v3.1.1 §8.1.2.2,
// livenessInterval): a negative proposal is none and gets 0, 0 gets the default,
// all others are clamped, never refused.
func (p Policy) Interval(proposed int) int {
	switch {
	case proposed < 0:
		return 0
	case proposed == 0:
		return p.DefaultInterval
	case p.Fixed > 0:
		return p.Fixed
	default:
		return min(max(proposed, p.MinInterval), p.MaxInterval)
	}
}

// Window is how long an instance with this interval may be silent, in seconds.
func (p Policy) Window(interval int) int { return interval * (p.AllowedMisses + 1) }
