//go:build !unix

package agent

import "os/exec"

// killWholeGroup does nothing: the program alone is killed.
func killWholeGroup(*exec.Cmd) {}
