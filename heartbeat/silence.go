package heartbeat

import "time"

// A silence must outlive the replica that observed it: else a platform that is restarted
// again and again never finds a death. Once it has lasted for one and a half intervals, or
// little more than one since a start, the record keeps it, by one write; a heartbeat that
// ends it takes it away again, by another.
// After a start, a silence that was credited before it counts; only an interval in which
// to be heard is always due (design: credited time).

// interval is what the application was told.
func (r *Record) interval() Instant { return Instant(r.Interval) * time.Second }

// keptAfter is how long a silence lasts before the record keeps it. Since a start it is
// shorter, for who lives beats within an interval of it, and the next start may come soon;
// but only where what comes after counts, too, for there is one write of it.
func (l *Local) keptAfter(g *Health, r *Record) Instant {
	if !l.hasEvidence && g.HasRunTime {
		return r.interval() * 11 / 10
	}
	return r.interval() * 3 / 2
}

// silentFrom is the credited time since which nothing was heard here. Who is alone and has
// heard nothing since its start has missed nothing that counts: what disturbed it since
// is no credited time.
func (l *Local) silentFrom(g *Health) Instant {
	switch {
	case l.disturbed(g) && (l.hasEvidence || !g.Alone):
		return max(g.SuspectedAt, l.seenAt)
	case l.hasEvidence:
		return l.EvidenceCredit
	default:
		return l.seenAt
	}
}

// silenceBefore is how much silence was credited before this start, as a record tells that
// was listed by it: what was kept, and what the replica ran afterwards.
func silenceBefore(r *Record, g *Health) Instant {
	if r.Silence <= 0 {
		return 0
	}
	s := r.Silence
	if r.SilenceAt > 0 && g.HasRunTime {
		s += max(g.RunTimeBefore-r.SilenceAt, 0)
	}
	return min(s, r.window())
}

// required is how much time must have been credited since FromAt: a window, less what was
// credited of this silence before the start.
func (l *Local) required(g *Health, r *Record) Instant {
	if l.CountedFrom != g.StartedAt {
		return r.window()
	}
	return max(r.interval(), r.window()-l.silenceBefore)
}

const (
	// An application whose pace is slower than one and a half intervals would cost two
	// writes for each heartbeat: no more than three silences are kept at once, and one
	// in ten windows after that.
	mostKept  = 3
	keptEvery = 10
)

// keepAt is the credited time from which on the record should keep the silence; false:
// it never should.
func (l *Local) keepAt(g *Health, r *Record) (Instant, bool) {
	from := l.silentFrom(g)
	if !r.Expires() || r.Silence != 0 || l.keptAfter(g, r) >= r.window() || l.silenceChecked && l.checkedFrom == from {
		return 0, false
	}
	return max(from+l.keptAfter(g, r), l.keptUntil-(mostKept-1)*keptEvery*r.window()), true
}

// keepDue says whether the record should keep the silence now.
func (l *Local) keepDue(g *Health, r *Record) bool {
	at, ok := l.keepAt(g, r)
	return ok && g.Credited >= at && !g.Full
}

// expireAt is the credited time from which on a lease is ended that etcd extended at the
// start of this replica, although the silence is as long as it may be; false: never.
// Without a silence from before it ends by itself, at about that time.
func (l *Local) expireAt(p *Policy, g *Health, s *Snapshot) (Instant, bool) {
	if !g.Alone || l.hasEvidence || !s.Exists() || !s.Record.Expires() || !s.Projection.Present() {
		return 0, false
	}
	at := l.seenAt + max(s.Record.interval(), s.Record.window()-l.silenceBefore)
	if l.silenceBefore == 0 {
		at += p.Hold
	}
	return at, true
}

// lookAt is when the silence of a living instance is to be looked at again.
func (k *knowledge) nextSilenceCheck(p *Policy, g *Health) Instant {
	r := &k.view.Record
	at := g.Credited + max(k.local.keptAfter(g, r), Tick)
	if keep, ok := k.local.keepAt(g, r); ok {
		at = min(at, keep)
	}
	if end, ok := k.local.expireAt(p, g, &k.view.Snapshot); ok {
		at = min(at, end)
	}
	return max(at, g.Credited+Tick)
}

// SilenceFlow has the record keep how long an instance has been silent. A heartbeat that
// comes meanwhile ends that by a write of its own, of which one loses its compare. One
// that is heard elsewhere meanwhile is found by the age of the lease.
type SilenceFlow struct {
	step    step
	from    Instant // credited: since when it is silent
	silence Instant // what is kept
	snap    Snapshot
}

// Next implements Flow.
func (f *SilenceFlow) Next(in Input, r Result) Action {
	switch f.step {
	case stepStart:
		return f.begin(in)
	case stepRead: // how long ago was its lease renewed, by whomever?
		if r.Outcome != Done || r.Age < in.Local.keptAfter(in.Health, &f.snap.Record) {
			return respond(nil, f.snap.Record) // it was heard elsewhere, or nobody knows
		}
		f.silence = min(f.silence, r.Age)
		return f.commit(in)
	case stepCommit:
		in.Local.mayKeep = in.Local.mayKeep && r.Outcome == Unavailable
		if r.Outcome != Done {
			return respond(failure(r.Outcome), f.snap.Record)
		}
		switch {
		case in.Local.silentFrom(in.Health) != f.from:
			return f.takeBack(in)
		case in.Alone || f.snap.Absent(): // nobody can have renewed meanwhile
			return respond(nil, in.Known.Record)
		}
		f.step = stepTurn
		return Action{Do: DoAge, Lease: f.snap.Record.Lease}
	case stepTurn: // it may have been heard elsewhere while this was written
		if r.Outcome != Done || r.Age < f.silence {
			return f.takeBack(in)
		}
		return respond(nil, in.Known.Record)
	default:
		return respond(nil, in.Known.Record)
	}
}

func (f *SilenceFlow) begin(in Input) Action {
	l := in.Local
	f.snap, f.from = *in.Known, l.silentFrom(in.Health)
	if !l.keepDue(in.Health, &f.snap.Record) {
		return respond(nil, f.snap.Record)
	}
	l.silenceChecked, l.checkedFrom = true, f.from
	f.silence = in.Health.Credited - f.from
	switch {
	case in.Alone:
		return f.commit(in)
	case f.snap.Absent(): // nobody renewed since
		if f.silence = min(f.silence, in.Health.Credited-l.MissingSince); f.silence < l.keptAfter(in.Health, &f.snap.Record) {
			return respond(nil, f.snap.Record)
		}
		return f.commit(in)
	}
	f.step = stepRead
	return Action{Do: DoAge, Lease: f.snap.Record.Lease}
}

func (f *SilenceFlow) commit(in Input) Action {
	if in.Known.At != f.snap.At || in.Local.silentFrom(in.Health) != f.from {
		return respond(nil, f.snap.Record) // it changed, or was heard
	}
	f.step = stepCommit
	l := in.Local
	l.mayKeep = true
	l.keptUntil = max(l.keptUntil, in.Health.Credited) + keptEvery*f.snap.Record.window()
	t := f.snap.silent(f.silence, in.Health)
	t.keepLastBeat(l)
	return Action{Do: DoCommit, Txn: t}
}

func (f *SilenceFlow) takeBack(in Input) Action {
	if in.Known.Record.Silence == 0 {
		return respond(nil, in.Known.Record) // the heartbeat did it
	}
	f.step = stepSettle
	t := in.Known.heard()
	t.keepLastBeat(in.Local)
	return Action{Do: DoCommit, Txn: t}
}

// ExpireFlow takes away the projection of an instance that was silent for as long as it
// may be, on a lease that etcd extended when this replica started. What follows is what
// follows the end of any lease: a hold, and a claim. Only a replica alone does this: it
// knows that nobody else heard the instance.
type ExpireFlow struct {
	step step
	snap Snapshot
}

// Next implements Flow.
func (f *ExpireFlow) Next(in Input, r Result) Action {
	if f.step == stepStart {
		f.snap = *in.Known
		if at, ok := in.Local.expireAt(in.Policy, in.Health, &f.snap); !ok || in.Health.Credited < at {
			return respond(nil, f.snap.Record)
		}
		f.step = stepCommit
		return Action{Do: DoCommit, Txn: f.snap.expire()}
	}
	if r.Outcome != Done {
		return respond(failure(r.Outcome), f.snap.Record)
	}
	a := respond(nil, f.snap.Record)
	a.Revoke = f.snap.Record.Lease
	return a
}
