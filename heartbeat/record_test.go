package heartbeat

import "testing"

func TestIntervalIsClampedNeverRefused(t *testing.T) {
	p := Policy{DefaultInterval: 30, MinInterval: 5, MaxInterval: 300, AllowedMisses: 2}
	fixed := p
	fixed.Fixed = 60
	for _, c := range []struct {
		name     string
		policy   Policy
		proposed int
		interval int
	}{
		{"none", p, -1, 0},
		{"the platform chooses", p, 0, 30},
		{"too short", p, 1, 5},
		{"the shortest", p, 5, 5},
		{"between", p, 7, 7},
		{"the longest", p, 300, 300},
		{"too long", p, 301, 300},
		{"far too long", p, 1 << 40, 300},
		{"fixed, none", fixed, -1, 0},
		{"fixed, the platform chooses", fixed, 0, 30},
		{"fixed, any other", fixed, 7, 60},
	} {
		if got := c.policy.Interval(c.proposed); got != c.interval {
			t.Errorf("%s: %d becomes %d, want %d", c.name, c.proposed, got, c.interval)
		}
	}
}

func TestWindowCountsTheAllowedMisses(t *testing.T) {
	for _, c := range []struct{ misses, interval, window int }{{0, 10, 10}, {1, 1, 2}, {2, 30, 90}, {2, 0, 0}} {
		if got := (Policy{AllowedMisses: c.misses}).Window(c.interval); got != c.window {
			t.Errorf("interval %d with %d misses allowed: window %d, want %d", c.interval, c.misses, got, c.window)
		}
	}
}

func TestOnlyTheActiveAndBeatingExpire(t *testing.T) {
	for _, s := range States {
		for _, interval := range []int{0, 5} {
			r := Record{State: s, Interval: interval}
			if got, want := r.Expires(), s == Active && interval == 5; got != want {
				t.Errorf("%s with interval %d expires: %t", s, interval, got)
			}
		}
	}
}

func TestWhatASnapshotShows(t *testing.T) {
	beating := Record{State: Active, Interval: 1, Lease: 7}
	silent := Record{State: Active}
	asleep := Record{State: Suspended, Interval: 1}
	for _, c := range []struct {
		name               string
		s                  Snapshot
		exists, absent, on bool
	}{
		{"nothing", Snapshot{}, false, false, false},
		{"a projection alone", Snapshot{Projection: Projection{1, 7, false}}, false, false, false},
		{"alive", Snapshot{beating, 1, Projection{1, 7, false}}, true, false, true},
		{"its lease ended", Snapshot{beating, 1, Projection{}}, true, true, false},
		{"on another lease", Snapshot{beating, 1, Projection{2, 8, false}}, true, false, false},
		{"the record moved on", Snapshot{Record{State: Active, Interval: 1, Lease: 8}, 3, Projection{1, 7, false}}, true, false, false},
		{"needs no heartbeat", Snapshot{silent, 1, Projection{}}, true, false, false},
		{"SUSPENDED", Snapshot{asleep, 1, Projection{}}, true, false, false},
	} {
		if c.s.Exists() != c.exists || c.s.Absent() != c.absent || c.s.on(7) != c.on {
			t.Errorf("%s: exists %t, absent %t, on its lease %t", c.name, c.s.Exists(), c.s.Absent(), c.s.on(7))
		}
	}
}
