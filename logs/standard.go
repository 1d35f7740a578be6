package logs

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/go-chassis/openlog"
)

// flushTime is how long the end of the process waits for the readers of its outputs.
const flushTime = time.Second

// Standard are the two standard outputs of a process, behind queues. A reader that does not
// read, or closes its end, can neither block the process nor end it.
type Standard struct {
	Out, Err *Queue
}

// TakeStandard is called once, by main, before anything is written. From then on
//   - SIGPIPE and SIGXFSZ do not end the process: the write fails, and is counted;
//   - what libraries print to os.Stdout, os.Stderr and the standard library's logger goes
//     into the log, one entry a line, repetitions counted: by themselves they would block
//     whoever prints;
//   - a crash of the Go runtime does not hang on a full pipe.
func TakeStandard() *Standard {
	// Handled, not ignored: programs that this one starts would inherit that they are ignored.
	if signals := outputSignals(); len(signals) > 0 {
		signal.Notify(make(chan os.Signal, 1), signals...)
	}
	s := &Standard{Out: NewQueue(os.Stdout, nil), Err: NewQueue(ownDescription(os.Stderr), droppedLine)}
	printed := printedLines{NewRepeats(New(s.Err, "INFO"))}
	log.SetOutput(printed)
	log.SetFlags(0)
	if r, w, err := os.Pipe(); err == nil {
		os.Stdout, os.Stderr = w, w
		go printed.follow(r)
	}
	return s
}

// Flush waits until both outputs are written, for at most a second. It is the last call
// before the exit.
func (s *Standard) Flush() {
	var both sync.WaitGroup
	for _, q := range []*Queue{s.Out, s.Err} {
		both.Go(func() { q.Flush(flushTime) })
	}
	both.Wait()
}

// Dropped is how many lines of both outputs were dropped since the start of the process.
func (s *Standard) Dropped() uint64 { return s.Out.Dropped() + s.Err.Dropped() }

// droppedLine is the line that says how many lines were dropped.
func droppedLine(n uint64, from, to time.Time) []byte {
	var b bytes.Buffer
	const form = "2006-01-02T15:04:05.000Z"
	m := fmt.Sprintf("%d log lines were dropped between %s and %s: nobody took them", n, from.UTC().Format(form), to.UTC().Format(form))
	slog.New(slog.NewJSONHandler(&b, nil)).Warn(m, "dropped", n)
	return b.Bytes()
}

// printedLines logs what libraries print.
type printedLines struct{ log *Repeats }

// Write takes one message of the standard library's logger, of one line or of many.
func (p printedLines) Write(b []byte) (int, error) {
	p.line(string(b))
	return len(b), nil
}

func (p printedLines) line(text string) {
	text = strings.TrimSpace(text)
	if text == "" {
		return
	}
	message, tags := "a library printed something", openlog.Tags{}
	first, rest, more := strings.Cut(text, "\n")
	tags["reason"] = first
	if more {
		tags["stack"] = Stack(rest)
	}
	p.log.Warn(Kind(first), message, tags)
}

// follow reads until the process ends: a pipe that is not read would block whoever prints.
func (p printedLines) follow(r io.Reader) {
	in := bufio.NewReader(r)
	begun := false
	for {
		b, more, err := in.ReadLine() // at most 4 KiB of it
		if err != nil {
			return
		}
		if !begun {
			p.line(string(b))
		}
		begun = more
	}
}
