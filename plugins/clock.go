package plugins

import (
	"time"

	"github.com/mec-liveness/mepserver/heartbeat"
)

// NewClock reads the monotonic clock since its making, and the wall clock in Unix
// nanoseconds. No instant is 0.
func NewClock() func() (heartbeat.Instant, int64) {
	origin := time.Now().Add(-time.Nanosecond)
	return func() (heartbeat.Instant, int64) {
		now := time.Now()
		return now.Sub(origin), now.UnixNano()
	}
}
