package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// stop ends the agent with a process id as SIGTERM does, and does not wait for it. A hook that
// an orchestrator runs in the agent's container needs it: the image has neither a shell nor kill.
// It refuses any other program: where containers share their processes, 1 is no agent.
func stop(pid int) error {
	of := func(process string) (os.FileInfo, error) { return os.Stat("/proc/" + process + "/exe") }
	own, err := of("self")
	if err != nil {
		return fmt.Errorf("stop needs /proc: %w", withoutPath(err))
	}
	if other, err := of(strconv.Itoa(pid)); err != nil {
		return fmt.Errorf("process %d cannot be looked at: %w", pid, withoutPath(err))
	} else if !os.SameFile(own, other) {
		return fmt.Errorf("process %d is no mep-agent", pid)
	}
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Signal(syscall.SIGTERM)
	}
	if err != nil {
		return fmt.Errorf("process %d cannot be stopped: %w", pid, err)
	}
	return nil
}
