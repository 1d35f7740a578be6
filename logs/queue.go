package logs

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	// maxLines and maxBytes bound what waits for a reader that does not read: about as
	// much as the death of four thousand services writes.
	maxLines = 4096
	maxBytes = 1 << 20
)

// Queue is a writer in front of one that may block or fail, such as a pipe that nobody
// reads. Write never waits and never fails: what finds no room, in lines or in bytes, is
// dropped and counted, and so is what the writer behind refuses. Order is kept. While
// there is nothing to write there is no goroutine either.
type Queue struct {
	to     io.Writer
	notice func(n uint64, from, to time.Time) []byte

	mu       sync.Mutex
	lines    [][]byte
	bytes    int
	writing  bool          // the goroutine runs
	dropping bool          // until all that waits is written
	failing  bool          // the last attempt to write failed
	torn     bool          // the last line was written in part
	idle     chan struct{} // closed when the goroutine ends, for Flush
	dropped  uint64        // since the start
	lost     losses        // since the last notice
}

type losses struct {
	n        uint64
	from, to time.Time
}

func (l *losses) add(more losses) {
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

// NewQueue makes a Queue before to. notice is the line that says that n lines were
// dropped; it is written once, as soon as to takes lines again. nil: nothing is said.
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
		q.lose(p)
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

// Flush waits until everything is written or refused, but not longer than most. It says
// whether nothing is left.
func (q *Queue) Flush(most time.Duration) bool {
	q.mu.Lock()
	if !q.writing {
		q.mu.Unlock()
		return true
	}
	if q.idle == nil {
		q.idle = make(chan struct{})
	}
	idle := q.idle
	q.mu.Unlock()
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-idle:
		return true
	case <-t.C:
		return false
	}
}

// Sure is a writer into q for what must not be dropped in silence: Write fails unless all
// was written within most. What was late may be written all the same.
func (q *Queue) Sure(most time.Duration) io.Writer { return sure{q, most} }

type sure struct {
	q    *Queue
	most time.Duration
}

func (s sure) Write(p []byte) (int, error) {
	before := s.q.Dropped()
	n, _ := s.q.Write(p)
	if !s.q.Flush(s.most) || s.q.Dropped() != before {
		return 0, errNotTaken
	}
	return n, nil
}

var errNotTaken = errors.New("nobody reads the output")

// lose counts the lines of p. q.mu is held.
func (q *Queue) lose(p []byte) {
	now := time.Now()
	n := uint64(max(1, bytes.Count(p, []byte("\n"))))
	q.dropped += n
	q.lost.add(losses{n, now, now})
}

// drain writes until nothing is left, or nothing can be written.
func (q *Queue) drain() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		// What was dropped is said after what was taken before it; and before a line that
		// comes after lines that could not be written.
		due := q.lost.n > 0 && q.notice != nil && q.failing == (len(q.lines) > 0)
		switch {
		case due && q.say():
			continue
		case len(q.lines) == 0:
			q.end()
			return
		}
		p := q.lines[0]
		q.lines[0], q.lines = nil, q.lines[1:]
		if due || !q.write(p) {
			q.lose(p)
		}
		q.bytes -= len(p)
	}
}

// end leaves the queue as it was before the first line. q.mu is held.
func (q *Queue) end() {
	q.lines, q.writing, q.dropping = nil, false, false
	if q.idle != nil {
		close(q.idle)
		q.idle = nil
	}
}

// say writes the notice of what was lost until now. q.mu is held but while it writes.
func (q *Queue) say() bool {
	said := q.lost
	q.lost, q.dropping = losses{}, false // from here on there is room: it is one gap
	if !q.write(q.notice(said.n, said.from, said.to)) {
		q.lost.add(said)
		return false
	}
	return true
}

// write writes one line, without the lock: it may take for ever.
func (q *Queue) write(p []byte) bool {
	if q.torn { // what there is of a line must not swallow this one
		p = append([]byte("\n"), p...)
	}
	q.mu.Unlock()
	n, err := q.to.Write(p)
	q.mu.Lock()
	q.failing = err != nil
	q.torn = err != nil && (n > 0 && p[n-1] != '\n' || n == 0 && q.torn)
	return !q.failing
}
