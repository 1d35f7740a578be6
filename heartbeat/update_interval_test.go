package heartbeat

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// The window is that of the interval that a PUT was answered with, from the PUT on:
// silence after a PUT of a shorter one was noticed after the old window.
func TestAPutIsJudgedByTheIntervalItIsAnsweredWith(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name  string
		first int   // proposed at the registration
		puts  []int // one after the other
		want  time.Duration
	}{
		{"shorter", 10, []int{6}, 18 * s},
		{"much shorter", 10, []int{1}, 3 * s},
		{"longer", 5, []int{8}, 24 * s},
		{"shorter, then longer", 10, []int{2, 6}, 18 * s},
		{"longer, then shorter", 4, []int{10, 6}, 18 * s},
		{"shorter twice", 10, []int{6, 3}, 9 * s},
		{"left out after a shorter one", 10, []int{6, KeepInterval}, 18 * s},
		{"left out", 6, []int{KeepInterval}, 18 * s},
		{"given back", 10, []int{6, 6}, 18 * s},
		{"below the least", 10, []int{0, 1}, 3 * s},
		{"left to the platform", 2, []int{0}, 30 * s},
		{"introduced", -1, []int{6}, 18 * s},
	} {
		for _, where := range []string{"the replica that heard it", "another replica"} {
			t.Run(c.name+" at "+where, func(t *testing.T) {
				bubble(t, func(t *testing.T, l *lab) {
					p := between(1, 10)
					p.AllowedMisses = 2
					a, b := l.addReplica(p, false), l.addReplica(p, false)
					at := map[string]*replica{"another replica": b}[where]
					if at == nil {
						at = a
					}
					time.Sleep(40 * s) // the probation of the start is over
					ctx := context.Background()
					r, err := a.Register(ctx, Record{ID: "i", Owner: "app", State: Active, Proposed: c.first})
					if err != nil {
						t.Fatal(err)
					}
					if r.Beating() {
						time.Sleep(s)
						a.beat("i")
					}
					var put time.Time
					for _, n := range c.puts {
						time.Sleep(s)
						put = time.Now()
						if r, err = at.Update(ctx, "i", Update{Owner: "app", State: Active, Proposed: n}); err != nil {
							t.Fatal(err)
						}
					}
					if got := time.Duration(r.Window) * s; got != c.want {
						t.Errorf("the window is %v, want %v", got, c.want)
					}
					until(t, "SUSPENDED", func() bool { return l.at("i").Record.State == Suspended })
					if d := time.Since(put); d < c.want || d > c.want+4*s {
						t.Errorf("suspended %v after the PUT; its window is %v", d, c.want)
					}
				})
			})
		}
	}
}

// The old window of a replica that had heard the application before must not refute what
// ends by the new one.
func TestAShorterWindowIsNotRefutedByTheOldOne(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		a, b := l.addReplica(between(1, 10), false), l.addReplica(between(1, 10), false)
		time.Sleep(30 * time.Second)
		ctx := context.Background()
		if _, err := a.Register(ctx, Record{ID: "i", Owner: "app", State: Active, Proposed: 10}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		a.beat("i")
		if _, err := b.Update(ctx, "i", Update{Owner: "app", State: Active, Proposed: 2}); err != nil {
			t.Fatal(err)
		}
		put := time.Now()
		time.Sleep(time.Second)
		l.revoke("i") // falsely: who answered the PUT holds evidence
		time.Sleep(time.Second)
		synctest.Wait()
		if s := l.at("i"); s.Absent() || s.Record.State != Active {
			t.Fatalf("not refuted: %+v", s)
		}
		until(t, "SUSPENDED", func() bool { return l.at("i").Record.State == Suspended })
		if d := time.Since(put); d < 4*time.Second || d > 8*time.Second {
			t.Errorf("suspended %v after a PUT with a window of 4 s", d)
		}
		wantStates(t, l, "i", Active, Active, Suspended)
	})
}
