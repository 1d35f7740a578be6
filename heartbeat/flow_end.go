package heartbeat

import "time"

type endStep uint8

const (
	endStart endStep = iota
	endReserve
	endAsk
)

// EndFlow takes the projection of an instance away whose window is over, if its lease has run out,
// without waiting until the store does that by itself. What follows is what follows the end of any
// lease: a hold, and a claim. Whether it has run out only the store knows, which is asked and told
// in one step: between two there would be room for a renewal. Only a replica alone does this.
type EndFlow struct {
	step  endStep
	left  time.Duration // how long the lease may live yet, as far as the store said
	ended bool
}

var endSteps = newStepTable("EndFlow", []string{"start", "reserve", "ask"},
	on(endStart, always, (*EndFlow).begin, "its window is over: END, if its lease has run out; soon over: the store is told that END comes", endAsk, endReserve, ended),
	on(endReserve, always, (*EndFlow).afterReserve, "whatever became of it", ended),
	on(endAsk, []Outcome{Done}, (*EndFlow).afterAsk, "it has ended, or is asked again when it may have run out", ended),
	on(endAsk, []Outcome{Conflict}, end[*EndFlow](nil), "it was moved, or the store was first", ended),
	on(endAsk, otherwise, end[*EndFlow](ErrUnavailable), "ErrUnavailable: it is left to the store", ended),
)

// Next implements Flow.
func (f *EndFlow) Next(in Input, r Result) Action {
	return endSteps.line(uint8(f.step), r.Outcome)(f, in, r)
}

func (f *EndFlow) begin(in Input, _ Result) Action {
	switch {
	case in.Local.endDue(in.Now, in.Health, in.Known):
		f.step = endAsk
		return Action{Do: DoEnd, Lease: in.Known.Record.Lease, Txn: in.Known.expire(End)}
	case in.Local.reserveDue(in.Now, in.Health, in.Known):
		f.step, in.Local.reserved = endReserve, true
		return Action{Do: DoReserve, Lease: in.Known.Record.Lease}
	}
	return respond(nil, in.Known.Record) // it was heard, or moved
}

func (f *EndFlow) afterReserve(in Input, _ Result) Action { return respond(nil, in.Known.Record) }

func (f *EndFlow) afterAsk(in Input, r Result) Action {
	f.left, f.ended = r.Left, r.Left == 0
	return respond(nil, in.Known.Record)
}

// endAt is when the window is over of an instance that lives, and was heard here; false: this
// replica cannot know. In doubt it is left to the store: what was not heard during a pause says
// nothing, and a claim would have to wait anyway. Silence is what both clocks say it is: credited
// time stands still while nobody can be heard, and is behind by up to a tick when somebody is.
func (l *Local) endAt(now Mono, h *Health, s *Snapshot) (Credit, bool) {
	if !h.Alone || !l.hasEvidence || l.disturbed(h) || !s.on(s.Record.Lease) {
		return 0, false
	}
	window := s.Record.window()
	return max(l.EvidenceCredit.Add(window), h.Credited.Add(window-now.Sub(l.EvidenceAt)), l.askEndAt), true
}

// reserveAhead is how long before its end a lease is reserved. Whoever beats as he should has been heard by then.
func (r *Record) reserveAhead() time.Duration { return min(r.window()/4, longestReserve) }

const longestReserve = time.Second

// reserveDue says whether the lease is to be reserved, if it was not.
func (l *Local) reserveDue(now Mono, h *Health, s *Snapshot) bool {
	at, ok := l.endAt(now, h, s)
	return ok && !l.reserved && h.Credited >= at.Add(-s.Record.reserveAhead())
}

// endDue says whether the lease is to be ended, if it has run out.
func (l *Local) endDue(now Mono, h *Health, s *Snapshot) bool {
	at, ok := l.endAt(now, h, s)
	return ok && h.Credited >= at
}
