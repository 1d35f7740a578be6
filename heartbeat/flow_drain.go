package heartbeat

// DrainRequest is what an administrator asks for.
type DrainRequest struct {
	Lift   bool   // undrain it
	By     string // who asks
	Reason string // why it is drained
}

func (d *DrainRequest) cause() Cause { return Cause{Kind: ByDrain, By: d.By, Text: d.Reason} }

type drainStep uint8

const (
	drainStart drainStep = iota
	drainRead
	drainCommit
)

// DrainFlow drains an instance or undrains it, for an administrator.
type DrainFlow struct {
	step    drainStep
	Request DrainRequest
	attempt
	target Record
	sent   bool // a commit got no reply, and may have happened
}

var drainSteps = newStepTable("DrainFlow", []string{"start", "read", "commit"},
	on(drainStart, always, (*DrainFlow).begin, "read it", drainRead),
	on(drainRead, []Outcome{Done}, (*DrainFlow).afterRead, "none, or not drained: refused; as it is wanted already: the end; else WITHDRAW or READMIT", drainCommit, ended),
	on(drainRead, otherwise, end[*DrainFlow](ErrUnavailable), "ErrUnavailable", ended),
	on(drainCommit, []Outcome{Done}, (*DrainFlow).afterCommit, "done; the lease that was left is revoked", ended),
	on(drainCommit, []Outcome{Full}, (*DrainFlow).ends, "ErrFull", ended),
	on(drainCommit, otherwise, (*DrainFlow).lost, "the next round; after three, or 64 conflicts, ErrUnavailable", drainRead, ended),
)

// Next implements Flow.
func (f *DrainFlow) Next(in Input, r Result) Action {
	return drainSteps.line(uint8(f.step), r.Outcome)(f, in, r)
}

func (f *DrainFlow) begin(Input, Result) Action {
	f.step = drainRead
	return Action{Do: DoRead}
}

func (f *DrainFlow) afterRead(in Input, r Result) Action {
	f.snap = r.Snapshot
	rec := &f.snap.Record
	switch {
	case !f.snap.Exists():
		return respond(ErrNotFound, Record{})
	case f.Request.Lift && f.sent && !rec.State.Drained(): // what got no reply happened
		return respond(nil, *rec)
	case !f.Request.Lift && rec.State.Drained() && rec.Cause == f.Request.cause():
		return respond(nil, *rec)
	}
	if c := Next(rec.State, drainEvent(rec, f.Request.Lift)); c.Err != nil {
		return respond(c.Err, *rec)
	}
	t := f.change(in.Wall)
	t.keepLastBeat(in.Local)
	f.step, f.target = drainCommit, t.Record
	return Action{Do: DoCommit, Txn: t}
}

func (f *DrainFlow) change(wall int64) Txn {
	if f.Request.Lift {
		return f.snap.undrain(f.Request.By, wall)
	}
	return f.snap.drain(f.Request.cause(), wall)
}

func (f *DrainFlow) afterCommit(Input, Result) Action {
	return respond(nil, f.target).revoking(f.snap.Record.Lease)
}

func (f *DrainFlow) lost(_ Input, r Result) Action {
	f.step = drainRead
	f.sent = f.sent || r.Outcome == Unavailable
	return f.nextOwnerRound(r.Outcome, 0)
}
