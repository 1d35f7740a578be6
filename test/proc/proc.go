// Package proc runs child processes for the tests: it starts, pauses and ends them by
// their process id, keeps what they print, and finds addresses that are free for them. It
// must not know what they are.
package proc

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

const (
	endTimeout  = time.Minute     // after which a process that was told to end is killed
	pipeTimeout = 5 * time.Second // for what its own children print after its end
)

// Command describes a child process. Only Program is needed.
type Command struct {
	Program string
	Args    []string
	Env     []string  // added to the environment of the test
	Dir     string    // its working directory; "": that of the test
	Stdin   io.Reader // nil: empty

	StdoutTo, StderrTo *os.File // where its outputs go; nil: the Process keeps them
}

// Process is one child that was started.
type Process struct {
	Stdout, Stderr *Output // what it printed so far; empty where the Command named a file
	Both           *Output // both of them, in the order in which they came
	cmd            *exec.Cmd
	done           chan struct{}
}

// Find is the path of a program that not every machine has. Where this one has none the
// test is skipped.
func Find(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("this machine has no %s", program)
	}
	return path
}

// Start starts the command. The process is killed when the test ends, and does not
// outlive a test that dies.
func (c Command) Start(t testing.TB) *Process {
	t.Helper()
	p, err := c.Launch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// Launch is Start for a process that its caller must Kill.
func (c Command) Launch() (*Process, error) {
	p := &Process{Stdout: newOutput(), Stderr: newOutput(), Both: newOutput(), done: make(chan struct{})}
	p.cmd = exec.Command(c.Program, c.Args...) //nolint:noctx // ended by its process id
	p.cmd.Dir, p.cmd.Stdin = c.Dir, c.Stdin
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Stdout, p.cmd.Stderr = io.MultiWriter(p.Stdout, p.Both), io.MultiWriter(p.Stderr, p.Both)
	if c.StdoutTo != nil {
		p.cmd.Stdout = c.StdoutTo
	}
	if c.StderrTo != nil {
		p.cmd.Stderr = c.StderrTo
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.WaitDelay = pipeTimeout
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		p.Stdout.end()
		close(p.done)
	}()
	return p, nil
}

// Run starts the command and returns once it has ended by itself, with its exit code. One
// that has not ended after most is killed, which fails the test.
func (c Command) Run(t testing.TB, most time.Duration) (code int, p *Process) {
	t.Helper()
	p = c.Start(t)
	select {
	case <-p.done:
	case <-time.After(most):
		p.Kill()
		t.Fatalf("%s %q has not ended in %v; it printed\n%s", c.Program, c.Args, most, p.Both)
	}
	return p.Wait(), p
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process as kill -9 does, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Signal sends a signal; one that comes after the end of the process does nothing.
func (p *Process) Signal(s os.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic(err) // no signal of this system
	}
}

// Terminate asks the process to end, as an operator does, and returns its exit code; -1:
// a signal ended it, or it took longer than a minute and was killed.
func (p *Process) Terminate() int { return p.TerminateWithin(endTimeout) }

// TerminateWithin is Terminate with another bound.
func (p *Process) TerminateWithin(most time.Duration) int {
	p.Signal(syscall.SIGTERM)
	return p.WaitWithin(most)
}

// Wait returns the exit code once the process has ended; -1: a signal ended it.
func (p *Process) Wait() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// WaitWithin is Wait for a process that must end by itself; it is killed if it has not
// after most.
func (p *Process) WaitWithin(most time.Duration) int {
	late := time.AfterFunc(most, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	return p.Wait()
}

// Ended tells whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Pause stops the process where it is; Resume lets it go on.
func (p *Process) Pause() { p.Signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (p *Process) Resume() { p.Signal(syscall.SIGCONT) }
