// Package wait lets a test wait for what the program promises without a time. It knows
// nothing of what is waited for.
package wait

import (
	"testing"
	"time"
)

// most ends a test that is broken; it is no promise.
const most = time.Minute

// Until returns once done returns true, which it asks for in the test's own goroutine, so
// that done may use require. The test fails, with what in its message, if that has not
// happened within a minute.
func Until(t testing.TB, what string, done func() bool) {
	t.Helper()
	Within(t, most, what, done)
}

// Within is Until with another bound. It asks 1200 times at most: every 50 ms for a bound
// of a minute.
func Within(t testing.TB, bound time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(bound); time.Now().Before(end); time.Sleep(bound / 1200) {
		if done() {
			return
		}
	}
	t.Fatalf("not within %v: %s", bound, what)
}
