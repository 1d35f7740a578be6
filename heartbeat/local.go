package heartbeat

import "time"

// Local is what one replica knows of one instance by itself and writes nowhere: its
// evidence, since when the projection is missing, and the gaps between its heartbeats.
type Local struct {
	// Truths stand together, for there is one Local for every instance.
	hasEvidence bool
	hasBeat     bool // a heartbeat was received here, not only an entry into ACTIVE
	missing     bool // its projection, of an ACTIVE record that requires heartbeats
	suspended   bool // its record was seen to be SUSPENDED, since SuspendedSince
	// probation: the replica was disturbed, so that heartbeats may have been missed:
	// silence counts from CountedFrom on only.
	probation      bool
	silenceChecked bool // it was found out whether the silence since checkedFrom is to be kept
	// mayKeep: a write by which the record keeps a silence is under way, or got no reply;
	// until the record is seen to have changed.
	mayKeep bool
	// reserved: the store was told that this replica ends the lease when the silence has lasted for the window.
	reserved bool

	// The interval that was announced last, how often, and the gaps between heartbeats since
	// then that keep it: how many in a row, and their sum.
	announcements, keptGaps int8
	announced               int
	keptTime                time.Duration

	EvidenceAt     Mono
	EvidenceCredit Credit
	EvidenceWall   int64
	beatAt         Mono   // the last heartbeat
	beatWall       int64  // the same; 0: none
	leasedAt       Credit // when the record was seen to hang on its lease
	MissingSince   Credit
	CountedFrom    Credit
	SuspendedSince Credit

	seenAt        Credit        // when its record was first seen here
	silenceBefore time.Duration // its silence before this replica's start, in credited time
	checkedFrom   Credit
	keptUntil     Credit // the silences that were kept use up the allowance until then (mostKept)
	askEndAt      Credit // the store is not asked before whether its lease has run out
}

// Moment is when something was received.
type Moment struct {
	Now      Mono
	Credited Credit
	Wall     int64
}

// AddEvidence notes evidence: an authenticated heartbeat, or an acknowledged entry into
// ACTIVE. What disturbed the replica before does not concern the silence after it.
func (l *Local) AddEvidence(at Moment) {
	if l.hasEvidence && at.Now < l.EvidenceAt {
		return // an older request that took longer
	}
	l.hasEvidence, l.EvidenceAt, l.EvidenceWall, l.EvidenceCredit = true, at.Now, at.Wall, at.Credited
	l.probation, l.silenceBefore, l.reserved = false, 0, false
}

// AddBeat notes a heartbeat, which is evidence too. It returns the time since the one
// before, if that came here; else 0.
func (l *Local) AddBeat(at Moment) (gap time.Duration) {
	l.AddEvidence(at)
	if l.hasBeat && at.Now < l.beatAt {
		return 0
	}
	if l.hasBeat {
		gap = max(at.Now.Sub(l.beatAt), 1)
	}
	l.hasBeat, l.beatAt, l.beatWall = true, at.Now, at.Wall
	return gap
}

// disturbed says whether the last disturbance came after the last evidence.
func (l *Local) disturbed(h *Health) bool {
	return h.Disturbed && (!l.hasEvidence || h.DisturbedAt >= l.EvidenceCredit)
}

// fresh says whether this replica holds evidence younger than the window.
func (l *Local) fresh(now Mono, r *Record) bool {
	return l.hasEvidence && now.Sub(l.EvidenceAt) < r.window()
}

// overruled says whether this replica had heard the instance within its window when
// it was suspended. The wall clocks of two replicas will do: it is only counted.
func (l *Local) overruled(r *Record) bool {
	return l.hasEvidence && r.SuspendedAt-l.EvidenceWall < int64(r.window())
}

// observe follows what the replica knows of the instance: since when its
// projection is gone, and since when it is SUSPENDED.
func (l *Local) observe(s *Snapshot, h *Health) {
	switch absent := s.Absent(); {
	case absent && !l.missing:
		l.missing, l.MissingSince = true, h.Credited
		l.CountedFrom = h.DisturbedAt
		if !l.hasEvidence && h.Alone {
			l.CountedFrom = l.seenAt
		}
		l.probation = l.disturbed(h) && h.Credited.Sub(l.CountedFrom) < l.required(h, &s.Record)
	case !absent:
		l.missing, l.probation = false, false
	}
	switch suspended := s.Exists() && s.Record.State == Suspended; {
	case suspended && !l.suspended:
		l.suspended, l.SuspendedSince = true, h.Credited
	case !suspended:
		l.suspended = false
	}
}

// noteDisturbance starts the probation of an absence with the first disturbance that
// concerns it: further ones add nothing and take nothing away.
func (l *Local) noteDisturbance(h *Health) {
	l.CountedFrom, l.probation = l.probationFrom(h)
}

// probationFrom says whether the absence is on probation, and since when silence counts.
func (l *Local) probationFrom(h *Health) (Credit, bool) {
	if !l.probation && l.disturbed(h) && h.DisturbedAt >= l.MissingSince && (l.hasEvidence || !h.Alone) {
		return h.DisturbedAt, true
	}
	return l.CountedFrom, l.probation
}

// probationOver says whether the instance had as much of running platform in which to be
// heard as it must have.
func (l *Local) probationOver(h *Health, r *Record) bool {
	from, on := l.probationFrom(h)
	return !on || h.Credited.Sub(from) >= l.requiredSince(from, h, r)
}

// hidden says whether discovery must leave the instance out: its projection has been
// missing for the hold, and this replica would claim that if it could write.
func (l *Local) hidden(in Input, r *Record) bool {
	wait := l.holdTime(in, r)
	if !in.Alone {
		wait += hideMargin
	}
	return l.missing && in.Health.Credited.Sub(l.MissingSince) >= wait && !l.fresh(in.Now, r) && l.probationOver(in.Health, r) &&
		(in.settled() || in.Health.cannotWrite(in.Policy.Hold))
}

// hideMargin is how much longer than its claim a replica waits before it hides an instance
// that others may be refuting. A claim hides it too; this is for the time in which none can
// be written.
const hideMargin = time.Second

// holdTime is how long this replica waits before it claims an absence: one that has not
// heard the instance lately lets the others claim first, by its rank.
func (l *Local) holdTime(in Input, r *Record) time.Duration {
	if !l.hasEvidence || in.Now.Sub(l.EvidenceAt) > r.window()+2*in.Policy.Hold+time.Second {
		return in.Policy.Hold + time.Duration(in.Rank)*time.Second
	}
	return in.Policy.Hold
}

// maxAnnouncements is how often an interval is announced to an application that does not take it up.
const maxAnnouncements = 10

// followInterval compares the gap before a heartbeat with an interval that was announced:
// announce says that the response must announce it (once more), taken that the application
// has taken it up. An application that never heard of its shorter interval must not be
// suspended by it (the window shrinks last: protocol CE7): window is that of the new interval
// alone, and if the record's is longer, or the interval before was, the application may still
// keep a longer one, until two gaps in a row that are more than a burst of repetitions show
// otherwise.
func (l *Local) followInterval(r *Record, window int, gap time.Duration) (announce, taken bool) {
	if l.announced != r.Interval {
		l.announce(r.Interval, 0)
	}
	n := time.Duration(r.Interval) * time.Second
	raised := r.Window <= window && r.Interval > r.Previous
	switch {
	case raised && gap >= n*8/10, !raised && gap > 0 && gap <= n*12/10:
		l.keptGaps = min(l.keptGaps+1, 2)
		l.keptTime += gap
	case !raised:
		l.keptGaps, l.keptTime = 0, 0
	}
	switch {
	case raised && (l.keptGaps > 0 || l.announcements >= maxAnnouncements), !raised && l.keptGaps > 1 && l.keptTime >= n*3/2:
		return false, true
	case l.keptGaps > 0 || l.announcements >= maxAnnouncements:
		return false, false
	}
	l.announcements++
	return true, false
}

// announce notes that an interval was announced so many times.
func (l *Local) announce(interval int, times int8) {
	l.announced, l.announcements, l.keptGaps, l.keptTime = interval, times, 0, 0
}
