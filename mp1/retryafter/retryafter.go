// Package retryafter reads and writes HTTP's Retry-After (RFC 9110 §10.2.3), for both
// ends of Mp1 and for notifications. It must not know who waits, nor how long anybody is
// willing to.
package retryafter

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Seconds is a wait as Retry-After has it: in whole seconds, rounded up, so that whoever
// waits that long does not come too soon.
func Seconds(wait time.Duration) int {
	return int((wait + time.Second - 1) / time.Second)
}

// Parse returns how long the Retry-After of an answer asks to wait, which may be any
// time; 0 if it has none, if it cannot be read, or if its date has passed. A date counts
// from the Date of the same answer, so that a wrong clock on our side does not matter.
func Parse(h http.Header) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	from, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return max(until.Sub(from), 0)
}
