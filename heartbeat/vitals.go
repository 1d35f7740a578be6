package heartbeat

import "time"

// Vitals is what this replica knows of an instance at a moment, for those who look at it.
type Vitals struct {
	Record Record
	At     Revision // of the record's last write
	Since  int64    // when it entered its state for its reason, Unix nanoseconds
	// Absent: it is ACTIVE, its lease has ended, and nobody has said yet that it is SUSPENDED.
	Absent bool
	// LastBeat is when it was heard last, Unix nanoseconds; 0: nobody knows. Unless Exact it
	// was heard then at least, and perhaps later: by another replica, or before this start.
	LastBeat int64
	Exact    bool
	// Watched: this replica can tell how long it has been silent, and Missed, Late and Deadline
	// say so. Otherwise it is not silent yet, or another replica hears it.
	Watched bool
	// Estimated: they are by the age of its lease (Look), to a second, and a heartbeat may have come
	// since.
	Estimated bool
	Missed    int           // whole intervals since the last heartbeat
	Late      bool          // more than lateAfter of them
	Left      time.Duration // of its window; below 0: that is over
	Deadline  int64         // the end of its window, Unix nanoseconds, if no heartbeat comes
	// Held: it would be claimed, or might be, had this replica not been disturbed or started.
	Held  bool
	Flaps int // how often it went from ACTIVE to SUSPENDED while this replica looked
}

// since is Record.since, or when it was seen here if the record does not say.
func (en *entry) since() int64 {
	r := &en.view.Record
	if c := en.trace.changes; r.CausedAt == 0 && c != nil && len(c.list) > 0 && c.list[len(c.list)-1].To == r.State {
		return c.list[len(c.list)-1].At
	}
	return r.since()
}

// isLate says whether a silence is longer than a living application's is: the record keeps it
// from then on too (Local.keptAfter). A half interval is room for a slow network and a
// repetition; one heartbeat is missing for certain.
func isLate(silence time.Duration, r *Record) bool { return silence >= r.interval()*3/2 }

// Vitals is what this replica knows of an instance; false: there is none.
func (e *Engine) Vitals(id ID) (v Vitals, is bool) {
	en := e.entry(id)
	if en == nil {
		return v, false
	}
	now, wall := e.now()
	en.mu.Lock()
	defer en.mu.Unlock()
	return e.vitals(en, now, wall), en.view.Exists()
}

// Trace is what this replica remembers of an instance.
type Trace struct {
	Gaps        []time.Duration // between its last heartbeats, the oldest first
	Transitions []Transition    // the oldest first
}

// Trace is what this replica remembers of an instance since its start.
func (e *Engine) Trace(id ID) (t Trace) {
	en := e.entry(id)
	if en == nil {
		return t
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	t.Gaps = en.trace.lastGaps()
	if c := en.trace.changes; c != nil {
		t.Transitions = append(t.Transitions, c.list...)
	}
	return t
}

// vitals reads an entry; en.mu is held.
func (e *Engine) vitals(en *entry, now Mono, wall int64) Vitals {
	h, r, l := e.health.Load(), &en.view.Record, &en.local
	v := Vitals{Record: *r, At: en.view.At, Since: en.since(), Absent: en.status == absent}
	if c := en.trace.changes; c != nil {
		v.Flaps = int(c.flaps)
	}
	if !r.Beating() {
		return v
	}
	v.LastBeat = max(l.beatWall, r.LastBeat)
	if e.Alone && l.hasBeat {
		v.LastBeat = l.beatWall
	}
	v.Exact = l.hasBeat && (e.Alone || r.Expires() && !isLate(now.Sub(l.beatAt), r))
	if !r.Expires() {
		return v
	}
	var silence, left time.Duration
	switch {
	case l.hasEvidence && (e.Alone || v.Absent || !isLate(now.Sub(l.EvidenceAt), r)):
		silence, left = h.Credited.Sub(l.EvidenceCredit), r.window()-now.Sub(l.EvidenceAt)
		if from, on := l.doubtedFrom(h); on {
			more := l.requiredSince(from, h, r) - h.Credited.Sub(from)
			v.Held = more > left && left <= 0
			left = max(left, more)
		}
	case e.Alone: // it was not heard since the start
		silence = h.Credited.Sub(l.seenAt)
		left = max(r.interval(), r.window()-l.silenceBefore) - silence
		v.Held = isLate(silence, r)
	case v.Absent:
		silence = r.window() + h.Credited.Sub(l.MissingSince)
		if from, on := l.probationFrom(h); on {
			left = max(l.requiredSince(from, h, r)-h.Credited.Sub(from), 0)
			v.Held = left > 0
		}
	default:
		en.look(&v, h, now, wall) // its lease lives: another replica renews it, or will say that it is silent
		return v
	}
	v.Watched, v.Missed, v.Late = true, int(silence/r.interval()), isLate(silence, r)
	v.Left, v.Deadline = left, wall+int64(left)
	return v
}

// doubtedFrom is since when silence counts, if the replica was disturbed: of an absence as it is
// judged, else as it would be if the lease ended now.
func (l *Local) doubtedFrom(h *Health) (Credit, bool) {
	if l.missing {
		return l.probationFrom(h)
	}
	return h.DisturbedAt, l.disturbed(h)
}

// since is when the instance entered its state for its reason, by the wall clock of who decided
// it. Of a record that an earlier release wrote it is the last change that consumers were told,
// which may have been one of its attributes.
func (r *Record) since() int64 {
	switch {
	case r.CausedAt != 0:
		return r.CausedAt
	case r.State == Suspended && r.SuspendedAt != 0:
		return r.SuspendedAt
	default:
		return r.ChangedAt
	}
}

// Survey is what a replica knows of all instances together.
type Survey struct {
	Revision  Revision // of the store, up to which this replica has seen everything
	Replicas  []string // the others that live
	Beats     float64  // heartbeats of the last minute that came here
	Expected  float64  // how many of all should come in a minute
	Expiry    Expiry
	Full      bool // the store takes no writes
	Answering bool // the store answers
}

// Survey shows every instance to see, in no order, and says what is so of all of them.
func (e *Engine) Survey(see func(*Vitals)) Survey {
	now, wall := e.now()
	var s Survey
	var held heldBack
	for _, en := range e.entriesBut(nil) {
		en.mu.Lock()
		if !en.view.Exists() {
			en.mu.Unlock()
			continue
		}
		v := e.vitals(en, now, wall)
		en.mu.Unlock()
		if v.Record.Expires() {
			s.Expected += 60 / float64(v.Record.Interval)
		}
		held.add(&v)
		see(&v)
	}
	h := e.health.Load()
	s.Revision, s.Full = Revision(e.watched.Load()), h.Full
	s.Beats = e.meter.perMinute(now, e.beats.Load())
	s.Replicas = e.peers.names()
	_, silent := e.storeSilence(now)
	s.Answering = !silent
	s.Expiry = e.expiry(&held, now, wall)
	return s
}

// names are the other replicas that live.
func (o *peerExchange) names() (out []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.peers {
		if p := &o.peers[i]; p.name != "" && !p.missing {
			out = append(out, p.name)
		}
	}
	return out
}
