package conf

import (
	"fmt"
	"math"
	"time"
)

// intervals checks each interval and their order: min ≤ default ≤ max.
func (k checker) intervals() {
	l := k.Liveness
	for _, one := range []struct {
		path string
		d    time.Duration
	}{
		{"liveness.defaultInterval", l.DefaultInterval},
		{"liveness.minInterval", l.MinInterval},
		{"liveness.maxInterval", l.MaxInterval},
	} {
		switch {
		case one.d < leastInterval || one.d > MaxWindow:
			k.fault(one.path, "must be from %s to %s, not %s", leastInterval, MaxWindow, one.d)
		case one.d%time.Second != 0:
			k.fault(one.path, "must be whole seconds, as MEC 011 sends it, not %s", one.d)
		}
	}
	if l.MinInterval > l.MaxInterval {
		k.between("liveness.minInterval", l.MinInterval, "at most", "liveness.maxInterval", l.MaxInterval)
		return // whatever the default is, it breaks one of the next two
	}
	if l.DefaultInterval < l.MinInterval {
		k.between("liveness.defaultInterval", l.DefaultInterval, "at least", "liveness.minInterval", l.MinInterval)
	}
	if l.DefaultInterval > l.MaxInterval {
		k.between("liveness.defaultInterval", l.DefaultInterval, "at most", "liveness.maxInterval", l.MaxInterval)
	}
}

// window checks what interval and allowedMisses make together.
func (k checker) window() {
	l := k.Liveness
	const path = "liveness.allowedMisses"
	if l.AllowedMisses < 0 || l.AllowedMisses >= math.MaxInt32 {
		k.fault(path, "must be from 0 to %d, not %d", math.MaxInt32-1, l.AllowedMisses)
		return
	}
	if l.AllowedMisses == 0 && l.MinInterval < loneInterval {
		k.report(Fault{k.firstGiven(path, "liveness.minInterval"), path, fmt.Sprintf(
			"must be at least 1 unless liveness.minInterval is at least %s; it is %s%s, and one late beat would suspend a living service",
			loneInterval, l.MinInterval, k.writtenAt("liveness.minInterval"))}, "liveness.minInterval")
	}
	if l.MaxInterval <= 0 || l.MaxInterval > MaxWindow {
		return // reported already
	}
	if most := MaxWindow / l.MaxInterval; time.Duration(l.AllowedMisses)+1 > most {
		k.report(Fault{k.firstGiven(path, "liveness.maxInterval"), path, fmt.Sprintf(
			"must be at most %d while liveness.maxInterval is %s%s, so that their window fits %s; it is %d",
			most-1, l.MaxInterval, k.writtenAt("liveness.maxInterval"), MaxWindow, l.AllowedMisses)}, "liveness.maxInterval")
		return
	}
	k.hold()
}

// hold must end before the next window could: an instance that is present for
// discovery while it is held must not stay so for longer than its lease did.
func (k checker) hold() {
	l := k.Liveness
	const path = "liveness.hold"
	if l.Hold < leastHold {
		k.fault(path, "must be at least %s, not %s", leastHold, l.Hold)
		return
	}
	if shortest := l.Window(l.MinInterval); l.MinInterval >= leastInterval && l.Hold >= shortest {
		k.report(Fault{k.firstGiven(path, "liveness.minInterval"), path, fmt.Sprintf(
			"%s must be shorter than the shortest window, liveness.minInterval × (liveness.allowedMisses + 1) = %s × %d = %s",
			l.Hold, l.MinInterval, l.AllowedMisses+1, shortest)}, "liveness.minInterval", "liveness.allowedMisses")
	}
}

// mostBeats is the highest bound on heartbeats: more than one server answers.
const mostBeats = 1_000_000

// beats checks the bound on heartbeats.
func (k checker) beats() {
	if n := k.Liveness.MaxBeatsPerSecond; n < 0 || n > mostBeats {
		k.fault("liveness.maxBeatsPerSecond", "must be from 0 to %d, not %d", mostBeats, n)
	}
}

// removal checks when SUSPENDED instances are removed.
func (k checker) removal() {
	l := k.Liveness
	const path = "liveness.deregisterAfter"
	switch {
	case l.DeregisterAfter == 0:
	case l.DeregisterAfter < leastRemoval:
		k.fault(path, "must be 0 (never) or at least %s, not %s", leastRemoval, l.DeregisterAfter)
	case l.DeregisterAfter < l.Hold:
		k.between(path, l.DeregisterAfter, "0 (never) or at least", "liveness.hold", l.Hold)
	}
}

// leastKept is what may at least be kept for one subscription.
const leastKept = 256 * KiB

// What notify.flap may be: what is remembered of a service grows with its changes, and what is put off
// is told a period later.
const (
	mostFlapChanges = 100
	leastFlapPeriod = time.Second
	mostFlapPeriod  = 24 * time.Hour
)

func (k checker) notify() {
	n := k.Notify
	if n.Timeout < leastTimeout {
		k.fault("notify.timeout", "must be at least %s, not %s", leastTimeout, n.Timeout)
	}
	if n.GiveUpAfter < n.Timeout {
		k.between("notify.giveUpAfter", n.GiveUpAfter, "at least", "notify.timeout", n.Timeout)
	}
	if c := n.Flap.Changes; c < 0 || c > mostFlapChanges {
		k.fault("notify.flap.changes", "must be from 0, which tells every change at once, to %d, not %d", mostFlapChanges, c)
	}
	if p := n.Flap.Period; p < leastFlapPeriod || p > mostFlapPeriod {
		k.fault("notify.flap.period", "must be from %s to %s, not %s", leastFlapPeriod, mostFlapPeriod, p)
	}
	if n.KeptBytes < leastKept {
		k.fault("notify.keptBytes", "must be at least %s, room for a few of the largest events, not %s", leastKept, n.KeptBytes)
	}
	if n.KeptBytesInAll < n.KeptBytes {
		k.report(Fault{k.firstGiven("notify.keptBytesInAll", "notify.keptBytes"), "notify.keptBytesInAll", fmt.Sprintf(
			"%s must be at least notify.keptBytes, which is %s%s", n.KeptBytesInAll, n.KeptBytes, k.writtenAt("notify.keptBytes"))}, "notify.keptBytes")
	}
}

// firstGiven is the place of the first of some keys that was given at all.
func (k checker) firstGiven(paths ...string) string {
	for _, p := range paths {
		if w := k.where(p); w != "" {
			return w
		}
	}
	return ""
}
