package logs

import (
	"context"
	"errors"
	"syscall"
)

// ErrClosed says that whoever read the output does not want more of it.
var ErrClosed = errors.New("the reader of the output has closed it")

// mostPatient is how much of a queue a Patient fills before it waits.
const mostPatient = maxBytes / 2

// Patient is a writer into a queue for who prints what was asked for: it waits until there is room,
// as long as its context goes on, and nothing is left out in silence.
type Patient struct {
	ctx    context.Context
	q      *Queue
	before uint64 // lines that were dropped
}

// Patient returns a writer that waits.
func (q *Queue) Patient(ctx context.Context) *Patient { return &Patient{ctx, q, q.Dropped()} }

// Write implements io.Writer. When the context has ended it does what the queue does.
func (p *Patient) Write(text []byte) (n int, err error) {
	for len(text) > 0 {
		part := text[:min(len(text), mostPatient)]
		if p.q.filled(len(part)) {
			if err := p.Wait(); err != nil {
				return n, err
			}
		}
		_, _ = p.q.Write(part)
		n, text = n+len(part), text[len(part):]
	}
	return n, nil
}

// Wait waits until everything is written. The error says that some of it was not.
func (p *Patient) Wait() error {
	if idle := p.q.untilIdle(); idle != nil {
		select {
		case <-idle:
		case <-p.ctx.Done():
			return nil
		}
	}
	p.q.mu.Lock()
	defer p.q.mu.Unlock()
	switch {
	case p.q.dropped == p.before:
		return nil
	case errors.Is(p.q.failure, syscall.EPIPE):
		return ErrClosed
	}
	return errNotTaken
}

// filled says whether so many bytes more would leave little room.
func (q *Queue) filled(more int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropping || len(q.lines) >= maxLines/2 || q.bytes+more > mostPatient
}

// untilIdle is closed when everything is written or dropped; nil: it is.
func (q *Queue) untilIdle() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.writing {
		return nil
	}
	if q.idle == nil {
		q.idle = make(chan struct{})
	}
	return q.idle
}
