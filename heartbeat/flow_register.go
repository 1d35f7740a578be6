package heartbeat

type registerStep uint8

const (
	registerStart registerStep = iota
	registerGrant
	registerCommit
	registerConfirm // did the commit happen?
)

// RegisterFlow enters a new record. The reply to its commit may come later than the end of
// the lease and a whole hold, and the instance be suspended before its first heartbeat is
// due. So a registration is evidence (protocol CE2): as old as its request, and from before
// its commit on.
type RegisterFlow struct {
	step    registerStep
	receipt Moment // of the request
	Record  Record // as it shall be; Interval and Window negotiated
	attempt
}

var registerSteps = newStepTable("RegisterFlow", []string{"start", "grant", "commit", "confirm"},
	on(registerStart, always, (*RegisterFlow).begin, "heartbeats required: a lease; else REGISTER without one", registerGrant, registerCommit),
	on(registerGrant, []Outcome{Done}, (*RegisterFlow).afterGrant, "REGISTER; a grant that took too long is revoked, and another one asked for, twice", registerCommit, registerGrant, ended),
	on(registerGrant, otherwise, (*RegisterFlow).ends, "ErrFull or ErrUnavailable", ended),
	on(registerCommit, []Outcome{Done}, (*RegisterFlow).registered, "registered", ended),
	on(registerCommit, []Outcome{Full, Conflict, Taken}, (*RegisterFlow).ends, "ErrFull, ErrUnavailable or ErrTaken; the lease is revoked", ended),
	on(registerCommit, otherwise, (*RegisterFlow).unknown, "it may have happened: read", registerConfirm),
	on(registerConfirm, always, (*RegisterFlow).afterConfirm, "registered if there is a record now; else ErrUnavailable", ended),
)

// Next implements Flow.
func (f *RegisterFlow) Next(in Input, r Result) Action {
	return registerSteps.line(uint8(f.step), r.Outcome)(f, in, r)
}

func (f *RegisterFlow) begin(in Input, _ Result) Action {
	f.receipt = in.moment()
	f.receipt.Wall = f.Record.RegisteredAt
	if f.Record.Agents != "" {
		in.Heard.note(string(f.Record.Agents), in.Health.Credited)
	}
	if f.Record.Expires() {
		f.step = registerGrant
		return f.grant(in, f.Record.Window)
	}
	return f.commit(in, 0)
}

func (f *RegisterFlow) afterGrant(in Input, r Result) Action {
	if !f.stale(in) {
		return f.commit(in, r.Lease)
	}
	if f.rounds++; f.rounds >= maxRounds {
		return respond(ErrUnavailable, f.Record).revoking(r.Lease)
	}
	return f.grant(in, f.Record.Window).revoking(r.Lease)
}

func (f *RegisterFlow) commit(in Input, l LeaseID) Action {
	if f.Record.Expires() {
		in.Local.AddEvidence(f.receipt)
	}
	f.step, f.lease = registerCommit, l
	t := register(f.Record, l)
	f.Record = t.Record
	return Action{Do: DoCommit, Txn: t}
}

func (f *RegisterFlow) registered(Input, Result) Action { return respond(nil, f.Record) }

func (f *RegisterFlow) unknown(Input, Result) Action {
	f.step = registerConfirm
	return Action{Do: DoRead}
}

func (f *RegisterFlow) afterConfirm(_ Input, r Result) Action {
	if r.Outcome == Done && r.Snapshot.Exists() {
		return respond(nil, r.Snapshot.Record)
	}
	return respond(ErrUnavailable, f.Record)
}
