package heartbeat

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// Another replica moves many instances to new leases, and the renewals by which this
// one adopts them are slow. What it must refute does not wait behind them (protocol CE4).
func TestARefutationDoesNotWaitBehindAdoptions(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.seat(brisk(10), false), l.seat(brisk(10), false)
		time.Sleep(30 * time.Second)
		a.register("refuted")
		for n := range 4 * laneWidth {
			a.register(ID(fmt.Sprint(n)))
		}
		time.Sleep(time.Second)
		defer l.hold("renew")()
		for n := range 4 * laneWidth {
			id := ID(fmt.Sprint(n))
			for _, to := range []State{Inactive, Active} {
				if _, err := b.Update(context.Background(), id, Update{Owner: "app", State: to, Proposed: KeepInterval}); err != nil {
					t.Fatal(err)
				}
			}
		}
		l.revoke("refuted")
		time.Sleep(900 * time.Millisecond) // less than the hold, and than a slow renewal
		if l.at("refuted").Absent() {
			t.Error("its refutation waits behind the adoptions of others")
		}
	})
}

// In a mass claims wait for their turn. What is heard meanwhile, or a store that
// became full, is seen before the claim is made.
func TestAClaimIsLookedAtAgainAfterItsTurn(t *testing.T) {
	snap := Snapshot{At: 7, Record: Record{ID: "i", State: Active, Interval: 1, Window: 2, Lease: 3}}
	ready := func() (ClaimFlow, Input) {
		p := brisk(1)
		in := Input{Policy: &p, Gate: &Gate{Credited: time.Hour}, Known: &snap, Local: &Local{}}
		f := ClaimFlow{step: stepHold}
		f.snap = snap
		if a := f.Next(in, Result{}); a.Do != DoCommit {
			t.Fatalf("no claim: %v", a.Do)
		}
		return f, in
	}
	f, in := ready()
	if a := f.Again(in); a.Do != DoCommit || a.Txn.Kind != Claim {
		t.Errorf("nothing changed, and yet %v", a.Do)
	}
	f, in = ready()
	in.Local.Hear(Moment{Now: in.Now})
	if a := f.Again(in); a.Do != DoAnswer {
		t.Errorf("it was heard, and yet %v", a.Do)
	}
	f, in = ready()
	in.Gate.SetFull(true)
	if a := f.Again(in); a.Do != DoWait {
		t.Errorf("the store is full, and yet %v", a.Do)
	}
	f, in = ready()
	newer := snap
	newer.At++
	in.Known = &newer
	if a := f.Again(in); a.Do != DoRead {
		t.Errorf("the record changed, and yet %v", a.Do)
	}
}
