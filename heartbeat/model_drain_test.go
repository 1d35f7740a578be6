package heartbeat

// I10: what an administrator has drained is INACTIVE to consumers until it is undrained, whatever
// its owner sends; a heartbeat that came while it was is refused.

// drainedAfter follows a transaction that is carried out.
func (m *model) drainedAfter(w *world, t *Txn) {
	switch {
	case t.Kind == Withdraw:
		w.drained = true
	case t.Kind == Readmit || t.RecordOp == Erase:
		w.drained = false
		for x := range w.rep {
			for i := range w.rep[x].slots {
				w.rep[x].slots[i].drained = false
			}
		}
	}
}

// checkDrained looks at a transaction that is about to be carried out.
func (m *model) checkDrained(w *world, t *Txn, now *Snapshot) {
	drained := w.drained && t.Kind != Readmit || t.Kind == Withdraw
	switch r := &now.Record; {
	case !now.Exists():
	case drained && (r.State.Shown() != Inactive || now.Projection.Lease != 0):
		m.breaks("I10 %s makes a drained instance %s", t.Kind, r.State)
	case drained != r.State.Drained() || drained != (r.Cause.Kind == ByDrain):
		m.breaks("I10 %s leads to %s because of %q; drained: %t", t.Kind, r.State, r.Cause.Kind, drained)
	}
}

// checkDrainedBeat looks at a heartbeat that is answered 2xx.
func (m *model) checkDrainedBeat(ln *modelSlot) {
	if ln.drained {
		m.breaks("I10 a heartbeat is answered 2xx although the instance is drained, and was when it came")
	}
}
