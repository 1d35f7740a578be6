package heartbeat

import "time"

// Mono is a reading of this replica's monotonic clock: the time since an origin that only
// the replica knows. It goes on while the replica is paused, so evidence ages by it.
type Mono time.Duration

// Sub is the time from an earlier reading to m.
func (m Mono) Sub(earlier Mono) time.Duration { return time.Duration(m - earlier) }

// String is the reading as a duration.
func (m Mono) String() string { return time.Duration(m).String() }

// Credit is a moment in credited time: the time since the start in which this replica
// ran, without its pauses. Only credited time may be taken for silence: what was not
// heard while the replica was paused says nothing.
type Credit time.Duration

// Sub is the credited time from an earlier moment to c.
func (c Credit) Sub(earlier Credit) time.Duration { return time.Duration(c - earlier) }

// Add is the moment d later.
func (c Credit) Add(d time.Duration) Credit { return c + Credit(d) }

// String is the credited time as a duration.
func (c Credit) String() string { return time.Duration(c).String() }

// now reads the two clocks: the monotonic one, and the wall clock in Unix nanoseconds.
func (e *Engine) now() (Mono, int64) {
	mono, wall := e.Clock()
	return Mono(mono), wall
}
