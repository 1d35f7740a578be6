package proc

import (
	"bytes"
	"sync"
	"time"
)

// maxOutput is what is kept of a process that prints without end.
const maxOutput = 64 << 20

// Output keeps what a process prints. The zero value is empty and ready to be written to.
type Output struct {
	mu    sync.Mutex
	b     bytes.Buffer
	line  chan struct{} // closed when a first line is there, or none will come; nil: nobody asks
	ready sync.Once
}

func newOutput() *Output { return &Output{line: make(chan struct{})} }

// Write implements io.Writer. It never fails: what is too much is dropped.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.b.Len() < maxOutput {
		_, _ = o.b.Write(p)
	}
	if bytes.IndexByte(p, '\n') >= 0 {
		o.end()
	}
	return len(p), nil
}

func (o *Output) end() {
	if o.line != nil {
		o.ready.Do(func() { close(o.line) })
	}
}

// String is what was printed so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Settled is what was printed, once nothing was added for a while: what a process writes
// about an answer may come a moment after the answer.
func (o *Output) Settled() string {
	for before := -1; ; time.Sleep(50 * time.Millisecond) {
		text := o.String()
		if before == len(text) {
			return text
		}
		before = len(text)
	}
}

// FirstLine is the first line of the standard output with its end; "": the process ended
// before it printed one, or most is over.
func (p *Process) FirstLine(most time.Duration) string {
	select {
	case <-p.Stdout.line:
	case <-time.After(most):
	}
	text := p.Stdout.String()
	end := bytes.IndexByte([]byte(text), '\n')
	if end < 0 {
		return ""
	}
	return text[:end+1]
}
