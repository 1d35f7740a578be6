package heartbeat

import (
	"fmt"
	"math"
	"testing"
	"time"
)

func TestEvidenceIsTheLatestRequest(t *testing.T) {
	var l Local
	r := Record{Window: 10}
	if l.fresh(0, &r) {
		t.Error("fresh without having heard anything")
	}
	l.AddEvidence(Moment{Now: Mono(5 * time.Second), Credited: Credit(5 * time.Second), Wall: 50})
	if l.EvidenceAt != Mono(5*time.Second) || l.EvidenceWall != 50 {
		t.Errorf("first: %+v", l)
	}
	l.AddEvidence(Moment{Now: Mono(8 * time.Second), Credited: Credit(8 * time.Second), Wall: 80})
	l.AddEvidence(Moment{Now: Mono(6 * time.Second), Credited: Credit(6 * time.Second), Wall: 60}) // an older request that took longer
	if l.EvidenceAt != Mono(8*time.Second) || l.EvidenceWall != 80 {
		t.Errorf("after an older one: %+v", l)
	}
	for _, c := range []struct {
		now   time.Duration
		fresh bool
	}{{8 * time.Second, true}, {18*time.Second - 1, true}, {18 * time.Second, false}, {time.Hour, false}} {
		if l.fresh(Mono(c.now), &r) != c.fresh {
			t.Errorf("at %v fresh is %t", c.now, !c.fresh)
		}
	}
}

// The model found it: a PUT between two heartbeats is evidence, but no pace.
func TestThePaceIsTheGapBetweenHeartbeats(t *testing.T) {
	var l Local
	at := func(s time.Duration) Moment { return Moment{Now: Mono(s * time.Second)} }
	l.AddEvidence(at(1))
	for _, c := range []struct{ at, gap time.Duration }{{5, 0}, {8, 3 * time.Second}, {8, 1}, {7, 0}} {
		if gap := l.AddBeat(at(c.at)); gap != c.gap {
			t.Errorf("at %d s: gap %v, want %v", c.at, gap, c.gap)
		}
	}
	l.AddEvidence(at(9))
	if gap := l.AddBeat(at(10)); gap != 2*time.Second || l.EvidenceAt != Mono(10*time.Second) {
		t.Errorf("after a PUT in between: gap %v, heard at %v", gap, l.EvidenceAt)
	}
}

// absentAt is a Local that saw its instance vanish at credited time gone, with a
// disturbance (if any) before it.
func absentAt(gone, disturbed Credit) (*Local, *Health, *Snapshot) {
	g := &Health{Credited: gone}
	if disturbed >= 0 {
		g.Disturbed, g.DisturbedAt = true, disturbed
	}
	s := &Snapshot{Record: Record{State: Active, Interval: 5, Window: 10, Lease: 7}, At: 1}
	l := new(Local)
	l.observe(s, g)
	return l, g, s
}

func TestSilenceCountsOnlyAfterAWindowOfRunningPlatform(t *testing.T) {
	const s = Credit(time.Second)
	for _, c := range []struct {
		name                 string
		gone, before, during Credit // -1: no disturbance
		served               Credit // the credited time from which on the instance may be claimed
	}{
		{"undisturbed", 100 * s, -1, -1, 100 * s},
		{"disturbed long before", 100 * s, 90 * s, -1, 100 * s},
		{"disturbed just before", 100 * s, 95 * s, -1, 105 * s},
		{"disturbed at that moment", 100 * s, 100 * s, -1, 110 * s},
		{"disturbed meanwhile", 100 * s, -1, 103 * s, 113 * s},
		{"disturbed before and meanwhile", 100 * s, 95 * s, 103 * s, 105 * s},
	} {
		l, g, snap := absentAt(c.gone, c.before)
		for ; g.Credited < c.served+3*s; g.Credited += s {
			if g.Credited == c.during {
				g.Disturb()
			}
			want := g.Credited >= c.served && g.Credited >= c.during || c.during >= 0 && g.Credited < c.during && c.before < 0
			if got := l.probationServed(g, &snap.Record); got != want {
				t.Errorf("%s: at %v served is %t", c.name, g.Credited, got)
			}
		}
	}
}

// A noisy machine still claims: disturbances after the first add nothing.
func TestFurtherDisturbancesAddNothing(t *testing.T) {
	l, g, snap := absentAt(0, 0)
	for g.Credited = 0; g.Credited < Credit(10*time.Second); g.Credited += Credit(time.Second) {
		g.Disturb()
		if l.probationServed(g, &snap.Record) {
			t.Fatalf("served after %v of a window of 10 s", g.Credited)
		}
	}
	g.Disturb()
	if !l.probationServed(g, &snap.Record) {
		t.Error("not served after a full window, because of further disturbances")
	}
}

// The model found it: a heartbeat was heard while its instance was absent on
// probation, and a pause came before it could be answered.
func TestADisturbanceAfterAHeartbeatIsTheFirstAgain(t *testing.T) {
	l, g, snap := absentAt(0, 0)
	g.Credited = Credit(9 * time.Second)
	l.AddEvidence(Moment{Now: Mono(9 * time.Second), Credited: Credit(9 * time.Second), Wall: 0})
	g.Disturb() // a pause, longer than the window
	g.Credited = Credit(18 * time.Second)
	if l.probationServed(g, &snap.Record) {
		t.Error("claimed on the strength of silence before the heartbeat")
	}
	g.Credited = Credit(19 * time.Second)
	if !l.probationServed(g, &snap.Record) {
		t.Error("not served a full window after the disturbance")
	}
}

func TestANewAbsenceIsObservedAnew(t *testing.T) {
	l, g, snap := absentAt(Credit(time.Second), 0)
	g.Credited = Credit(5 * time.Second)
	l.observe(snap, g)
	if !l.missing || l.MissingSince != Credit(time.Second) || !l.probation {
		t.Errorf("still absent: %+v", l)
	}
	back := *snap
	back.Projection = Projection{Revision: 2, Lease: 7}
	l.observe(&back, g)
	if l.missing || l.probation {
		t.Errorf("back: %+v", l)
	}
	g.Credited = Credit(50 * time.Second)
	l.observe(snap, g)
	if !l.missing || l.MissingSince != Credit(50*time.Second) || l.probation {
		t.Errorf("absent again: %+v", l)
	}
}

func TestRetentionIsObservedFromTheSuspensionOn(t *testing.T) {
	var l Local
	g := Health{Credited: 3}
	s := Snapshot{Record: Record{State: Suspended, Interval: 5}, At: 1}
	l.observe(&s, &g)
	g.Credited = 9
	l.observe(&s, &g)
	if !l.suspended || l.SuspendedSince != 3 {
		t.Errorf("%+v", l)
	}
	s.Record.State = Active
	l.observe(&s, &g)
	s.Record.State = Suspended
	l.observe(&s, &g)
	if l.SuspendedSince != 9 {
		t.Errorf("suspended anew: %+v", l)
	}
	p := Policy{DeregisterAfter: 10}
	in := Input{Wall: 30, Health: &Health{Credited: 19}, Local: &l}
	s.Record.SuspendedAt = 20
	for name, c := range map[string]struct {
		change func(*Policy, *Input, *Record)
		due    bool
	}{
		"over":  {func(*Policy, *Input, *Record) {}, true},
		"never": {func(p *Policy, _ *Input, _ *Record) { p.DeregisterAfter = 0 }, false},
		"as late as can be": {func(p *Policy, in *Input, _ *Record) {
			p.DeregisterAfter, in.Health = math.MaxInt64, &Health{Credited: Credit(9 + time.Hour)}
		}, false},
		"not by the wall":     {func(_ *Policy, in *Input, _ *Record) { in.Wall-- }, false},
		"not by our watching": {func(_ *Policy, in *Input, _ *Record) { in.Health = &Health{Credited: 18} }, false},
		"it is back":          {func(_ *Policy, _ *Input, r *Record) { r.State = Active }, false},
		"an hour is enough": {func(p *Policy, in *Input, r *Record) {
			p.DeregisterAfter = 24 * time.Hour
			in.Wall, in.Health = r.SuspendedAt+int64(24*time.Hour), &Health{Credited: Credit(9 + time.Hour)}
		}, true},
	} {
		p, in, r := p, in, s.Record
		c.change(&p, &in, &r)
		if p.due(in, &r) != c.due {
			t.Errorf("%s: due is %t", name, !c.due)
		}
	}
}

func TestHiddenAfterTheHoldUnlessHeardOrOnProbation(t *testing.T) {
	policy := Policy{Hold: time.Second}
	hidden := func(l *Local, g *Health, s *Snapshot, now time.Duration) bool {
		return l.hidden(Input{Now: Mono(now), Policy: &policy, Health: g, Local: l, Alone: true}, &s.Record)
	}
	l, g, s := absentAt(Credit(100*time.Second), -1)
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{time.Second, false}, {2*time.Second - 1, false}, {2 * time.Second, true}} { // another replica may be refuting
		g.Credited = Credit(100*time.Second + c.after)
		if got := l.hidden(Input{Policy: &policy, Health: g, Local: l}, &s.Record); got != c.want {
			t.Errorf("%v after it vanished, among others: hidden %t", c.after, got)
		}
	}
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {time.Second - 1, false}, {time.Second, true}, {time.Minute, true}} {
		g.Credited = Credit(100*time.Second + c.after)
		if got := hidden(l, g, s, 0); got != c.want {
			t.Errorf("%v after it vanished: hidden %t", c.after, got)
		}
	}
	g.Full = true
	if !hidden(l, g, s, 0) {
		t.Error("a full store holds back the hiding")
	}
	l.AddEvidence(Moment{Now: Mono(time.Second)})
	if hidden(l, g, s, 11*time.Second-1) || !hidden(l, g, s, 11*time.Second) {
		t.Error("evidence does not count exactly for its window")
	}
	l, g, s = absentAt(Credit(100*time.Second), Credit(95*time.Second))
	g.Credited = Credit(104 * time.Second)
	if hidden(l, g, s, 0) {
		t.Error("hidden on probation")
	}
	present, health, _ := new(Local), g, 0
	if hidden(present, health, s, 0) {
		t.Error("hidden without having vanished")
	}
}

// MEC 011 leaves open how an interval is told anew; here it is told on each
// heartbeat until the pace shows that it was taken up, or ten times.
func TestAnIntervalIsToldUntilThePaceShowsIt(t *testing.T) {
	const raised, lowered = 10, 5
	for _, c := range []struct {
		name           string
		previous, next int
		gaps           []time.Duration // in milliseconds
		want           string          // per heartbeat: t told, s settled, . neither
	}{
		{"raised, taken up at once", 5, raised, []time.Duration{10000}, "s"},
		{"raised, just long enough", 5, raised, []time.Duration{5000, 7999, 8000}, "tts"},
		{"raised, never taken up", 5, raised, []time.Duration{5000, 5000, 5000, 5000, 5000, 5000, 5000, 5000, 5000, 5000, 5000}, "tttttttttts"},
		{"lowered, taken up", 10, lowered, []time.Duration{10000, 6000, 6000}, "t.s"},
		{"lowered, just too long", 10, lowered, []time.Duration{6001, 6001, 6000, 6001}, "tt.t"},
		{"lowered, one of two", 10, lowered, []time.Duration{5000, 10000, 5000, 5000}, ".t.s"},
		{"lowered, never taken up", 10, lowered, []time.Duration{9000, 9000, 9000, 9000, 9000, 9000, 9000, 9000, 9000, 9000, 9000, 9000}, "tttttttttt.."},
		{"lowered, a burst of repetitions", 10, lowered, []time.Duration{10000, 2000, 2000, 10000, 5000, 5000}, "t..t.s"},
		{"lowered, faster than asked", 10, lowered, []time.Duration{2500, 2500, 2500}, "..s"},
		{"lowered, pace unknown", 10, lowered, []time.Duration{0}, "t"},
	} {
		r := Record{Interval: c.next, Previous: c.previous, Window: 2 * max(c.next, c.previous)}
		var l Local
		got := ""
		for _, gap := range c.gaps {
			tell, settled := l.followInterval(&r, 2*c.next, gap*time.Millisecond)
			got += map[string]string{"true false": "t", "false true": "s", "false false": ".", "true true": "!"}[fmt.Sprint(tell, settled)]
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	var put Local // a PUT asked for 5 s in place of 10, and the window followed at once
	for i, want := range []string{"true false", "true false", "false false", "false true"} {
		gap := []time.Duration{0, 10 * time.Second, 5 * time.Second, 5 * time.Second}[i]
		if got := fmt.Sprint(put.followInterval(&Record{Interval: 5, Previous: 10, Window: 10}, 10, gap)); got != want {
			t.Errorf("shortened by a PUT, heartbeat %d: %s, want %s", i, got, want)
		}
	}
	var kept Local
	for range 3 { // 10 s, then 5 s unheard, then 8 s unheard: what it keeps is 10 s
		if _, settled := kept.followInterval(&Record{Interval: 8, Previous: 5, Window: 20}, 16, 10*time.Second); settled {
			t.Error("an interval counts as taken up that is shorter than the pace")
		}
	}
	var l Local
	l.followInterval(&Record{Interval: 5, Previous: 10, Window: 20}, 10, 5*time.Second)
	if tell, settled := l.followInterval(&Record{Interval: 7, Previous: 10, Window: 20}, 14, 5*time.Second); tell || settled {
		t.Errorf("another interval goes on with the old count: told %t, settled %t", tell, settled)
	}
}
