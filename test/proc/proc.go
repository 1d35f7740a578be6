// Package proc runs child processes for the tests: it starts, pauses and kills them
// by their process id and keeps what they print. It must not know what they are.
package proc

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is one child.
type Process struct {
	Errors *Output
	lines  chan string
	cmd    *exec.Cmd
	done   chan struct{}
}

// Start runs a program with env added to the environment. It is killed when the
// test ends, and does not outlive a test that dies.
func Start(t testing.TB, program string, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{Errors: &Output{}, lines: make(chan string, 1), done: make(chan struct{})}
	p.cmd = exec.Command(program, args...) //nolint:noctx // ended by its process id, at the latest when the test ends
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = p.Errors
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.lines)
		r := bufio.NewReader(out)
		if line, err := r.ReadString('\n'); err == nil {
			p.lines <- line
		}
		_, _ = io.Copy(io.Discard, r)
	}()
	go func() { <-read; _ = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(p.Kill)
	return p
}

// FirstLine is the first line of the standard output; "": the process ended, or
// the time is over.
func (p *Process) FirstLine(most time.Duration) string {
	select {
	case line := <-p.lines:
		return line
	case <-time.After(most):
		return ""
	}
}

// Kill ends the process as kill -9 does, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Terminate asks the process to end and returns its exit code.
func (p *Process) Terminate() int {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	return p.Wait()
}

// Wait returns the exit code; -1: a signal ended it.
func (p *Process) Wait() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
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
func (p *Process) Pause() { _ = p.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (p *Process) Resume() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }

// maxOutput is what is kept of a process that prints without end.
const maxOutput = 4 << 20

// Output keeps what a process prints.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.b.Len() < maxOutput {
		_, _ = o.b.Write(p)
	}
	return len(p), nil
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
