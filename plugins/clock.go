package plugins

import (
	"time"
)

// Instant is a reading of the clock that NewClock makes: the monotonic time since its
// making. Deadlines compare Instants, never wall clocks.
type Instant = time.Duration

// NewClock reads the monotonic clock since its making, and the wall clock in Unix
// nanoseconds. No instant is 0.
func NewClock() func() (Instant, int64) {
	origin := time.Now().Add(-time.Nanosecond)
	return func() (Instant, int64) {
		now := time.Now()
		return now.Sub(origin), now.UnixNano()
	}
}
