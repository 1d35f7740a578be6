package heartbeat

import "time"

type silenceStep uint8

const (
	silenceStart silenceStep = iota
	silenceAge
	silenceCommit
	silenceConfirm
	silenceTakeBack
)

// SilenceFlow has the record keep how long an instance has been silent. A heartbeat that
// comes meanwhile ends that by a write of its own, of which one loses its compare. One
// that is heard elsewhere meanwhile is found by the age of the lease.
type SilenceFlow struct {
	step    silenceStep
	from    Credit        // since when it is silent
	silence time.Duration // what is kept
	snap    Snapshot
}

var silenceSteps = newStepTable("SilenceFlow", []string{"start", "age", "commit", "confirm", "take back"},
	on(silenceStart, always, (*SilenceFlow).begin, "due: SILENT if nobody else can have heard it; else ask when its lease was renewed", silenceCommit, silenceAge, ended),
	on(silenceAge, []Outcome{Done}, (*SilenceFlow).afterAge, "SILENT, if nobody renewed it since", silenceCommit, ended),
	on(silenceAge, otherwise, (*SilenceFlow).finish, "nobody knows: nothing is kept", ended),
	on(silenceCommit, []Outcome{Done}, (*SilenceFlow).afterCommit, "heard here meanwhile: HEARD; else ask again when its lease was renewed, if others may have", silenceTakeBack, silenceConfirm, ended),
	on(silenceCommit, otherwise, (*SilenceFlow).failed, "ErrFull or ErrUnavailable", ended),
	on(silenceConfirm, always, (*SilenceFlow).afterConfirm, "renewed meanwhile, or nobody knows: HEARD", silenceTakeBack, ended),
	on(silenceTakeBack, always, (*SilenceFlow).finish, "a HEARD that failed is left to the next heartbeat", ended),
)

// Next implements Flow.
func (f *SilenceFlow) Next(in Input, r Result) Action {
	return silenceSteps.line(uint8(f.step), r.Outcome)(f, in, r)
}

func (f *SilenceFlow) begin(in Input, r Result) Action {
	l := in.Local
	f.snap, f.from = *in.Known, l.silentFrom(in.Health)
	if !l.keepDue(in.Health, &f.snap.Record) {
		return f.finish(in, r)
	}
	l.silenceChecked, l.checkedFrom = true, f.from
	f.silence = in.Health.Credited.Sub(f.from)
	switch {
	case in.Alone:
		return f.commit(in)
	case f.snap.Absent(): // nobody renewed since
		if f.silence = min(f.silence, in.Health.Credited.Sub(l.MissingSince)); f.silence < l.keptAfter(in.Health, &f.snap.Record) {
			return f.finish(in, r)
		}
		return f.commit(in)
	}
	return f.askAge(silenceAge)
}

func (f *SilenceFlow) askAge(step silenceStep) Action {
	f.step = step
	return Action{Do: DoAge, Lease: f.snap.Record.Lease}
}

// afterAge knows how long ago the lease was renewed, by whomever.
func (f *SilenceFlow) afterAge(in Input, r Result) Action {
	if r.Age < in.Local.keptAfter(in.Health, &f.snap.Record) {
		return f.finish(in, r) // it was heard elsewhere
	}
	f.silence = min(f.silence, r.Age)
	return f.commit(in)
}

func (f *SilenceFlow) commit(in Input) Action {
	l := in.Local
	if in.Known.At != f.snap.At || l.silentFrom(in.Health) != f.from {
		return respond(nil, f.snap.Record) // it changed, or was heard
	}
	f.step = silenceCommit
	l.mayKeep = true
	l.keptUntil = max(l.keptUntil, in.Health.Credited).Add(keptEvery * f.snap.Record.window())
	t := f.snap.silent(f.silence, in.Health)
	t.keepLastBeat(l)
	return Action{Do: DoCommit, Txn: t}
}

func (f *SilenceFlow) afterCommit(in Input, r Result) Action {
	in.Local.mayKeep = false
	switch {
	case in.Local.silentFrom(in.Health) != f.from:
		return f.takeBack(in)
	case in.Alone || f.snap.Absent(): // nobody can have renewed meanwhile
		return f.finish(in, r)
	}
	return f.askAge(silenceConfirm)
}

// failed leaves it open whether the record keeps the silence, if no reply came: a
// heartbeat must end it then (mayKeep).
func (f *SilenceFlow) failed(in Input, r Result) Action {
	in.Local.mayKeep = in.Local.mayKeep && r.Outcome == Unavailable
	return respond(failure(r.Outcome), f.snap.Record)
}

// afterConfirm takes the silence back if it may have been heard elsewhere while that was written.
func (f *SilenceFlow) afterConfirm(in Input, r Result) Action {
	if r.Outcome != Done || r.Age < f.silence {
		return f.takeBack(in)
	}
	return f.finish(in, r)
}

func (f *SilenceFlow) takeBack(in Input) Action {
	if in.Known.Record.Silence == 0 {
		return respond(nil, in.Known.Record) // the heartbeat did it
	}
	f.step = silenceTakeBack
	t := in.Known.heard()
	t.keepLastBeat(in.Local)
	return Action{Do: DoCommit, Txn: t}
}

func (f *SilenceFlow) finish(in Input, _ Result) Action { return respond(nil, in.Known.Record) }

type expireStep uint8

const (
	expireStart expireStep = iota
	expireCommit
)

// ExpireFlow takes away the projection of an instance that was silent for as long as it
// may be, on a lease that etcd extended when this replica started. What follows is what
// follows the end of any lease: a hold, and a claim. Only a replica alone does this: it
// knows that nobody else heard the instance.
type ExpireFlow struct {
	step expireStep
	snap Snapshot
}

var expireSteps = newStepTable("ExpireFlow", []string{"start", "commit"},
	on(expireStart, always, (*ExpireFlow).begin, "silent for as long as it may be: EXPIRE", expireCommit, ended),
	on(expireCommit, always, (*ExpireFlow).afterCommit, "its lease is revoked; else ErrFull or ErrUnavailable", ended),
)

// Next implements Flow.
func (f *ExpireFlow) Next(in Input, r Result) Action {
	return expireSteps.line(uint8(f.step), r.Outcome)(f, in, r)
}

func (f *ExpireFlow) begin(in Input, _ Result) Action {
	f.snap = *in.Known
	if at, ok := in.Local.expireAt(in.Policy, in.Health, &f.snap); !ok || in.Health.Credited < at {
		return respond(nil, f.snap.Record)
	}
	f.step = expireCommit
	return Action{Do: DoCommit, Txn: f.snap.expire(Expire)}
}

func (f *ExpireFlow) afterCommit(_ Input, r Result) Action {
	a := respond(failure(r.Outcome), f.snap.Record)
	if r.Outcome == Done {
		a.Revoke = f.snap.Record.Lease
	}
	return a
}
