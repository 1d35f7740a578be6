package main

import (
	"fmt"
	"time"
)

// servicesOf is a number of services in words.
func servicesOf(n int) string {
	if n == 1 {
		return "1 service"
	}
	return fmt.Sprintf("%d services", n)
}

// ago is how long ago a time was, "-" for none.
func ago(now time.Time, at *time.Time) string {
	if at == nil {
		return "-"
	}
	return now.Sub(*at).Round(100*time.Millisecond).String() + " ago"
}

// in is how long it is until a time, "-" for none.
func in(now time.Time, at *time.Time) string {
	if at == nil {
		return "-"
	}
	return "in " + max(at.Sub(now), 0).Round(100*time.Millisecond).String()
}

// interval is a number of seconds as a duration, "-" for 0.
func interval(seconds float64) string {
	if seconds == 0 {
		return "-"
	}
	return time.Duration(seconds * float64(time.Second)).String()
}
