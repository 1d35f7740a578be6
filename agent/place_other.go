//go:build !linux

package agent

import "io"

// takePlace is random: there are no names here that the system frees when a process is gone.
// An agent that crashes is taken for another one than its successor.
func takePlace(string) (string, io.Closer) { return randomName(), nil }
