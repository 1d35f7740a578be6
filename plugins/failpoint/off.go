//go:build !failpoint

// Package failpoint breaks the program on purpose at named points, for the fault
// laboratory; without the build tag "failpoint" nothing of it is compiled in. It must
// not know what stands at the points.
package failpoint

// On guards every use, so that a release has not even the names.
const On = false

// Hit does nothing.
func Hit(string) error { return nil }

// Write takes no time.
func Write() {}

// Armed says no.
func Armed(string) bool { return false }
