package heartbeat

import "time"

// Local is what one replica knows of one instance by itself and writes nowhere:
// when it last heard it, since when it misses it, and how it keeps its pace.
type Local struct {
	hasEvidence    bool
	EvidenceAt     Mono
	EvidenceCredit Credit // credited
	EvidenceWall   int64
	hasBeat        bool   // a heartbeat was heard, not only an entry into ACTIVE
	beatAt         Mono   // the last one
	beatWall       int64  // the same; 0: none was heard
	leasedAt       Credit // credited: when the record was seen to hang on its lease

	missing      bool
	MissingSince Credit // credited
	probation    bool
	CountedFrom  Credit // credited: silence counts from here on

	seenAt         Credit        // credited: when its record was first seen here
	silenceBefore  time.Duration // credited: its silence before this replica's start
	silenceChecked bool          // it was found out whether the silence since askedFrom is to be kept
	checkedFrom    Credit        // credited
	// mayKeep: the record is being made to keep a silence, or may have been, without an
	// answer; until the record is seen to have changed.
	mayKeep   bool
	keptUntil Credit // credited: when all the silences that were kept are paid for

	announced               int // the interval that told and met belong to
	announcements, keptGaps int8
	keptTime                time.Duration // what the gaps counted in met add up to

	suspended      bool
	SuspendedSince Credit // credited
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
	l.probation, l.silenceBefore = false, 0
}

// AddBeat notes a heartbeat, which is evidence too. It returns the time since the one
// before, as far as it was heard here; 0: unknown.
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

// disturbed says whether the last disturbance came after what was heard last.
func (l *Local) disturbed(h *Health) bool {
	return h.Suspected && (!l.hasEvidence || h.SuspectedAt >= l.EvidenceCredit)
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
		l.CountedFrom = h.SuspectedAt
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
	if !l.probation && l.disturbed(h) && h.SuspectedAt >= l.MissingSince && (l.hasEvidence || !h.Alone) {
		return h.SuspectedAt, true
	}
	return l.CountedFrom, l.probation
}

// probationOver says whether the instance had as much of running platform in which to be
// heard as it must have.
func (l *Local) probationOver(h *Health, r *Record) bool {
	from, on := l.probationFrom(h)
	return !on || h.Credited.Sub(from) >= l.requiredSince(from, h, r)
}

// hidden says whether discovery may leave the instance out: its projection has
// been gone for the hold and this replica would claim it if it can write.
func (l *Local) hidden(in Input, r *Record) bool {
	wait := l.holdTime(in, r)
	if !in.Alone {
		wait += hideMargin
	}
	return l.missing && in.Health.Credited.Sub(l.MissingSince) >= wait && !l.fresh(in.Now, r) && l.probationOver(in.Health, r) &&
		(in.settled() || in.Health.cannotWrite(in.Policy.Hold))
}

// hideMargin is how much longer than its claim a replica waits before it hides what others
// may have heard and be busy to refute. A claim hides it too; this is for the time in
// which none can be written.
const hideMargin = time.Second

// holdTime is how long this replica holds an absence: who has not heard the instance
// last lets the others go first.
func (l *Local) holdTime(in Input, r *Record) time.Duration {
	if !l.hasEvidence || in.Now.Sub(l.EvidenceAt) > r.window()+2*in.Policy.Hold+time.Second {
		return in.Policy.Hold + time.Duration(in.Rank)*time.Second
	}
	return in.Policy.Hold
}

const maxAnnouncements = 10

// followInterval follows an application that was told another interval, by the gap before its
// heartbeat: tell says that it must be told (again), settled that its heartbeats
// show the new pace. window is the one of the new interval alone: if the record's
// is longer, or the interval before was, a longer interval was told and may still be
// kept, until two gaps in a row that are more than a burst of repetitions show otherwise
// (protocol CE7).
func (l *Local) followInterval(r *Record, window int, gap time.Duration) (tell, settled bool) {
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

func (l *Local) announce(interval int, told int8) {
	l.announced, l.announcements, l.keptGaps, l.keptTime = interval, told, 0, 0
}
