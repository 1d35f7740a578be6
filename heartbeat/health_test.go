package heartbeat

import (
	"testing"
	"time"
)

func TestCreditPassesOnlyWhileRunning(t *testing.T) {
	var g Health
	for range 10 {
		g.AddTime(Tick)
	}
	if g.Credited != Credit(time.Second) || g.Disturbed {
		t.Fatalf("ten ticks on time credit %v, suspected %t", g.Credited, g.Disturbed)
	}
	for _, c := range []struct {
		elapsed, credit time.Duration
		suspected       bool
	}{
		{0, 0, false},
		{150 * time.Millisecond, 150 * time.Millisecond, false},
		{maxCredit, maxCredit, false},
		{maxCredit + 1, maxCredit, false},
		{maxSilence, maxCredit, false},
		{maxSilence + 1, 0, true},
		{time.Hour, 0, true},
	} {
		var g Health
		g.AddTime(c.elapsed)
		if g.Credited != Credit(c.credit) || g.Disturbed != c.suspected {
			t.Errorf("after %v: credited %v, suspected %t; want %v, %t", c.elapsed, g.Credited, g.Disturbed, c.credit, c.suspected)
		}
	}
}

// The soak found it: each pause credited 200 ms in which hardly anything ran, so that
// after the second pause 1.9 s of running counted as a window of 2.
func TestFurtherPausesAddNothingToAProbation(t *testing.T) {
	var g Health
	var l Local
	l.AddEvidence(Moment{})
	s := Snapshot{At: 1, Record: Record{State: Active, Interval: 1, Window: 2, Lease: 7}}
	ran := time.Duration(0)
	for range 100 {
		g.AddTime(3 * time.Second)
		l.observe(&s, &g)
		if l.probationServed(&g, &s.Record) {
			break
		}
		g.AddTime(Tick)
		ran += Tick
	}
	if ran != s.Record.window() {
		t.Errorf("served after %v of running, the window is %v", ran, s.Record.window())
	}
}

func TestADisturbanceIsDatedInCreditedTime(t *testing.T) {
	g := Health{Credited: Credit(5 * time.Second)}
	g.Disturb()
	if !g.Disturbed || g.DisturbedAt != Credit(5*time.Second) {
		t.Errorf("disturbed: %+v", g)
	}
}

// Holds count from the moment that writing works again (protocol CE9).
func TestAFullStoreRestartsEveryHold(t *testing.T) {
	var g Health
	at := func(credited time.Duration, full bool) {
		g.Credited = Credit(credited)
		g.SetFull(full)
	}
	at(1*time.Second, false)
	if g.WritableSince != 0 {
		t.Errorf("a store that is not full restarts the holds at %v", g.WritableSince)
	}
	at(2*time.Second, true)
	at(5*time.Second, true)
	if !g.Full || g.WritableSince != Credit(5*time.Second) {
		t.Errorf("full: %+v", g)
	}
	at(6*time.Second, false)
	if g.Full || g.WritableSince != Credit(6*time.Second) {
		t.Errorf("cleared: %+v", g)
	}
	at(9*time.Second, false)
	if g.WritableSince != Credit(6*time.Second) {
		t.Errorf("long since cleared: %+v", g)
	}
	g.WriteFailed()
	if g.WritableSince != Credit(9*time.Second) {
		t.Errorf("after a failed write: %+v", g)
	}
}

// probationServed notes a disturbance, as the engine does at once, and says whether the
// probation is over.
func (l *Local) probationServed(h *Health, r *Record) bool {
	l.noteDisturbance(h)
	return l.probationOver(h, r)
}
