package agent

import "time"

const (
	// minGap is the least difference between the clocks that counts as a jump.
	minGap = time.Second
	// minPause is the least distance of two ticks that counts as a pause of the process.
	minPause = 4 * tickInterval
)

// clockWatch finds out that the machine slept. The monotonic clock, by which all timers
// go, stands still meanwhile; the wall clock does not.
type clockWatch struct {
	wall                        func() time.Time
	lastMonotonic, lastWallTime time.Time // at the last call of gap
}

// gap is how far the wall clock jumped since the last call, forward or back, or how long
// the process stood still, and 0 if it did neither. now has a monotonic reading.
func (w *clockWatch) gap(now time.Time) time.Duration {
	// Round strips the monotonic reading, which Sub would use in place of the wall clock's.
	wallTime := w.wall().Round(0)
	byMonotonic, byWall := now.Sub(w.lastMonotonic), wallTime.Sub(w.lastWallTime)
	first := w.lastMonotonic.IsZero()
	w.lastMonotonic, w.lastWallTime = now, wallTime
	switch jump := byWall - byMonotonic; {
	case first:
		return 0
	case jump > minGap || jump < -minGap:
		return jump
	case byMonotonic > minPause:
		return byMonotonic
	}
	return 0
}
