//go:build unix

package agent

import (
	"os/exec"
	"syscall"
)

// killWholeGroup has the program killed together with what it started, which would be left
// running with each probe that times out.
func killWholeGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
