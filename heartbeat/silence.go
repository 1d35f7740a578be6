package heartbeat

import "time"

// A platform that is restarted again and again would never find a death if each start forgot
// the silence before it. So a silence outlives the replica that observed it: once it has
// lasted for one and a half intervals, or little more than one since a start, the record
// keeps it, by one write; a heartbeat that ends it takes it out again, by another. After a
// start it counts, but at least one interval must still be credited after the start: in that
// time a living application is heard.

// interval is the negotiated interval.
func (r *Record) interval() time.Duration { return time.Duration(r.Interval) * time.Second }

// keptAfter is how long a silence lasts before the record keeps it. The next start may come
// soon, so after a start it is shorter: a living application beats within an interval of it.
// But only where the run time after that write counts too, for there is one write of it.
func (l *Local) keptAfter(h *Health, r *Record) time.Duration {
	if !l.hasEvidence && h.HasRunTime {
		return r.interval() * 11 / 10
	}
	return r.interval() * 3 / 2
}

// silentFrom is since when nothing was heard here. A replica alone that has heard nothing
// since its start has missed nothing that counts: while it was disturbed no time was
// credited.
func (l *Local) silentFrom(h *Health) Credit {
	switch {
	case l.disturbed(h) && (l.hasEvidence || !h.Alone):
		return max(h.DisturbedAt, l.seenAt)
	case l.hasEvidence:
		return l.EvidenceCredit
	default:
		return l.seenAt
	}
}

// silenceBefore is how much silence was credited before this start, by a record that was
// listed then: the silence that it keeps, and how long the platform ran afterwards.
func silenceBefore(r *Record, h *Health) time.Duration {
	if r.Silence <= 0 {
		return 0
	}
	s := r.Silence
	if r.SilenceAt > 0 && h.HasRunTime {
		s += max(h.RunTimeBefore-r.SilenceAt, 0)
	}
	return min(s, r.window())
}

// required is how much time must have been credited since CountedFrom.
func (l *Local) required(h *Health, r *Record) time.Duration {
	return l.requiredSince(l.CountedFrom, h, r)
}

// requiredSince is how much time must have been credited since from: a window, less what
// was credited of this silence before the start, if it counts since then.
func (l *Local) requiredSince(from Credit, h *Health, r *Record) time.Duration {
	if from != h.StartedAt {
		return r.window()
	}
	return max(r.interval(), r.window()-l.silenceBefore)
}

const (
	// An application whose heartbeats are further apart than one and a half intervals would cost two
	// writes for each heartbeat: so three silences are kept at once at most, and one in
	// ten windows after that.
	mostKept  = 3
	keptEvery = 10
)

// keepAt is from when on the record should keep the silence; false: it never should.
func (l *Local) keepAt(h *Health, r *Record) (Credit, bool) {
	from := l.silentFrom(h)
	if !r.Expires() || r.Silence != 0 || l.keptAfter(h, r) >= r.window() || l.silenceChecked && l.checkedFrom == from {
		return 0, false
	}
	return max(from.Add(l.keptAfter(h, r)), l.keptUntil.Add(-(mostKept-1)*keptEvery*r.window())), true
}

// keepDue says whether the record should keep the silence now.
func (l *Local) keepDue(h *Health, r *Record) bool {
	at, ok := l.keepAt(h, r)
	return ok && h.Credited >= at && !h.Full
}

// expireAt is when the lease of an instance is ended that etcd extended at this start,
// although the silence is as long as it may be by then; false: never. Without a silence
// from before the start the lease ends by itself, at about that time.
func (l *Local) expireAt(p *Policy, h *Health, s *Snapshot) (Credit, bool) {
	if !h.Alone || l.hasEvidence || !s.Exists() || !s.Record.Expires() || !s.Projection.Present() {
		return 0, false
	}
	at := l.seenAt.Add(max(s.Record.interval(), s.Record.window()-l.silenceBefore))
	if l.silenceBefore == 0 {
		at = at.Add(p.Hold)
	}
	return at, true
}

// nextSilenceCheck is when the silence of a living instance is to be examined again. end: its window
// is over then, if it is not heard, which counts to the moment.
func (k *knowledge) nextSilenceCheck(now Mono, p *Policy, h *Health) (at Credit, end bool) {
	r := &k.view.Record
	at = h.Credited.Add(max(k.local.keptAfter(h, r), Tick))
	if keep, ok := k.local.keepAt(h, r); ok {
		at = min(at, keep)
	}
	if expire, ok := k.local.expireAt(p, h, &k.view.Snapshot); ok {
		at = min(at, expire)
	}
	at = max(at, h.Credited.Add(Tick))
	over, ok := k.local.endAt(now, h, &k.view.Snapshot)
	if ok && !k.local.reserved {
		at = min(at, max(over.Add(-r.reserveAhead()), h.Credited.Add(shortTick)))
	}
	if ok && over <= at {
		return max(over, h.Credited.Add(shortTick)), true
	}
	return at, false
}
