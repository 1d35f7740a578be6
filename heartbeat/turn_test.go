package heartbeat

import (
	"testing"
	"time"
)

// In a mass claims wait for their turn. What is heard meanwhile, or a store that
// became full, is seen before the claim is made.
func TestAClaimIsLookedAtAgainAfterItsTurn(t *testing.T) {
	snap := Snapshot{At: 7, Record: Record{ID: "i", State: Active, Interval: 1, Window: 2, Lease: 3}}
	ready := func() (ClaimFlow, Input) {
		p := brisk(1)
		in := Input{Policy: &p, Gate: &Gate{Credited: time.Hour}, Known: &snap, Local: &Local{}}
		f := ClaimFlow{step: stepHold, at: snap.At}
		if a := f.Next(in, Result{}); a.Do != DoTurn {
			t.Fatalf("it asks for no turn: %v", a.Do)
		}
		return f, in
	}
	f, in := ready()
	if a := f.Next(in, Result{}); a.Do != DoCommit || a.Txn.Kind != Claim {
		t.Errorf("nothing changed, and yet %v", a.Do)
	}
	f, in = ready()
	in.Local.Hear(Moment{Now: in.Now})
	if a := f.Next(in, Result{}); a.Do != DoAnswer {
		t.Errorf("it was heard, and yet %v", a.Do)
	}
	f, in = ready()
	in.Gate.SetFull(true)
	if a := f.Next(in, Result{}); a.Do != DoWait || !a.Wait.Room {
		t.Errorf("the store is full, and yet %v", a.Do)
	}
	f, in = ready()
	newer := snap
	newer.At++
	in.Known = &newer
	if a := f.Next(in, Result{}); a.Do != DoRead {
		t.Errorf("the record changed, and yet %v", a.Do)
	}
}
