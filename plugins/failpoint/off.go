//go:build !failpoint

// Package failpoint breaks the program on purpose at named points, for the fault
// laboratory. Without the build tag "failpoint" nothing of it is compiled in. It must
// not know what the program does at the points.
package failpoint

// On guards every use, so that a release does not even contain the names of the points.
const On = false

// Hit does nothing.
func Hit(string) error { return nil }

// Write takes no time.
func Write() {}

// Armed is false: no point has an action.
func Armed(string) bool { return false }
