package logs

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	// maxLines and maxBytes bound what waits for a reader that does not read: about as much
	// as is logged when four thousand services are suspended at once.
	maxLines = 4096
	maxBytes = 1 << 20
)

// Queue is a writer in front of another one that may block or fail, such as a pipe that nobody
// reads. Write never waits and never fails: lines for which there is no room are dropped and
// counted, and so are lines that the writer behind refuses. The order is kept. While there
// is nothing to write there is no goroutine.
type Queue struct {
	to     io.Writer
	notice func(n uint64, from, to time.Time) []byte

	mu         sync.Mutex
	lines      [][]byte
	bytes      int
	writing    bool          // the goroutine runs
	dropping   bool          // until all that waits is written
	failing    bool          // the last attempt to write failed
	failure    error         // the last one
	torn       bool          // the last line was written in part only
	idle       chan struct{} // closed when the goroutine ends, for Flush
	dropped    uint64        // since the start
	unreported dropCount     // since the last notice
}

// dropCount is how many lines were dropped, and when the first and the last of them.
type dropCount struct {
	n        uint64
	from, to time.Time
}

func (l *dropCount) add(more dropCount) {
	if more.n == 0 {
		return
	}
	if l.n == 0 || more.from.Before(l.from) {
		l.from = more.from
	}
	if more.to.After(l.to) {
		l.to = more.to
	}
	l.n += more.n
}

// NewQueue makes a Queue in front of to. notice makes the line that says that n lines were
// dropped between two times; it is written once, as soon as to takes lines again. nil: no
// such line is written.
func NewQueue(to io.Writer, notice func(n uint64, from, to time.Time) []byte) *Queue {
	return &Queue{to: to, notice: notice}
}

// Write implements io.Writer. It takes a copy of p, and always all of it.
func (q *Queue) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.dropping || len(q.lines) >= maxLines || q.bytes+len(p) > maxBytes {
		q.dropping = true
		q.countDropped(p)
	} else {
		q.lines = append(q.lines, bytes.Clone(p))
		q.bytes += len(p)
	}
	if !q.writing {
		q.writing = true
		go q.drain()
	}
	return len(p), nil
}

// Dropped is how many lines were dropped since the start.
func (q *Queue) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// Flush waits until everything is written or dropped, but not longer than most. It says
// whether nothing is left.
func (q *Queue) Flush(most time.Duration) bool {
	idle := q.untilIdle()
	if idle == nil {
		return true
	}
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-idle:
		return true
	case <-t.C:
		return false
	}
}

// Confirmed is a writer into q for what must not be dropped in silence: its Write fails unless
// everything was written within most. What was late may still be written.
func (q *Queue) Confirmed(most time.Duration) io.Writer { return confirmedWriter{q, most} }

type confirmedWriter struct {
	q    *Queue
	most time.Duration
}

func (s confirmedWriter) Write(p []byte) (int, error) {
	before := s.q.Dropped()
	n, _ := s.q.Write(p)
	if !s.q.Flush(s.most) || s.q.Dropped() != before {
		return 0, errNotTaken
	}
	return n, nil
}

var errNotTaken = errors.New("nobody reads the output")

// countDropped counts the lines of p. q.mu is held.
func (q *Queue) countDropped(p []byte) {
	now := time.Now()
	n := uint64(max(1, bytes.Count(p, []byte("\n"))))
	q.dropped += n
	q.unreported.add(dropCount{n, now, now})
}

// drain writes until nothing is left, or nothing can be written.
func (q *Queue) drain() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		// The notice of dropped lines comes after the lines that were queued before them, and
		// before a line that comes after lines that could not be written.
		noticeDue := q.unreported.n > 0 && q.notice != nil && q.failing == (len(q.lines) > 0)
		switch {
		case noticeDue && q.writeNotice():
			continue
		case len(q.lines) == 0:
			q.becomeIdle()
			return
		}
		p := q.lines[0]
		q.lines[0], q.lines = nil, q.lines[1:]
		if noticeDue || !q.write(p) {
			q.countDropped(p)
		}
		q.bytes -= len(p)
	}
}

// becomeIdle leaves the queue as it was before the first line. q.mu is held.
func (q *Queue) becomeIdle() {
	q.lines, q.writing, q.dropping = nil, false, false
	if q.idle != nil {
		close(q.idle)
		q.idle = nil
	}
}

// writeNotice writes the notice of all lines dropped so far. q.mu is held, but not while it
// writes.
func (q *Queue) writeNotice() bool {
	d := q.unreported
	q.unreported, q.dropping = dropCount{}, false // lines that are dropped from here on are another gap
	if !q.write(q.notice(d.n, d.from, d.to)) {
		q.unreported.add(d)
		return false
	}
	return true
}

// write writes one line. It gives q.mu free meanwhile, for it may block for ever.
func (q *Queue) write(p []byte) bool {
	if q.torn { // otherwise this line would continue the torn one
		p = append([]byte("\n"), p...)
	}
	q.mu.Unlock()
	n, err := q.to.Write(p)
	q.mu.Lock()
	if q.failing = err != nil; q.failing {
		q.failure = err
	}
	q.torn = err != nil && (n > 0 && p[n-1] != '\n' || n == 0 && q.torn)
	return !q.failing
}
