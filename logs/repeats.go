package logs

import (
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/go-chassis/openlog"
)

const (
	// repeatPeriod is how long lines of one kind are counted before they are told.
	repeatPeriod = time.Minute
	// maxKinds bounds what is remembered; kinds beyond it share one line.
	maxKinds = 512
)

// Repeats is for lines of which somebody else decides how many there are: those of
// libraries, and those that a request brings about for each element that it names. The
// first line of a kind is written at once. What follows within a minute becomes one line:
// the last of them, with their number as "repeated".
type Repeats struct {
	log openlog.Logger

	mu    sync.Mutex
	kinds map[string]*repeat
}

type repeat struct {
	n    int // since the last line; 0: nothing to tell
	last line
	over *time.Timer
}

type line struct {
	level   slog.Level
	message string
	tags    openlog.Tags
}

// NewRepeats writes to log.
func NewRepeats(log openlog.Logger) *Repeats {
	return &Repeats{log: log, kinds: map[string]*repeat{}}
}

// Warn logs a warning. Lines of one kind are taken for repetitions of each other,
// whatever their message and tags say, so kind must hold no text from outside.
func (r *Repeats) Warn(kind, message string, tags openlog.Tags) {
	r.add(kind, line{slog.LevelWarn, message, tags})
}

// Error logs an error, as Warn does a warning.
func (r *Repeats) Error(kind, message string, tags openlog.Tags) {
	r.add(kind, line{slog.LevelError, message, tags})
}

func (r *Repeats) add(kind string, l line) {
	r.mu.Lock()
	k := r.kinds[kind]
	if k == nil && len(r.kinds) >= maxKinds {
		kind = ""
		k = r.kinds[kind]
	}
	if k != nil {
		k.n++
		k.last = l.bounded()
		r.mu.Unlock()
		return
	}
	r.kinds[kind] = &repeat{over: time.AfterFunc(repeatPeriod, func() { r.tell(kind) })}
	r.mu.Unlock()
	r.write(l)
}

// bounded is what may be kept of a line.
func (l line) bounded() line {
	l.message, l.tags = Clean(l.message), maps.Clone(l.tags)
	for name, v := range l.tags {
		if s, ok := v.(string); ok {
			l.tags[name] = Clean(s)
		}
	}
	return l
}

// tell is called when the time of a kind is over.
func (r *Repeats) tell(kind string) {
	r.mu.Lock()
	k := r.kinds[kind]
	if k == nil {
		r.mu.Unlock()
		return
	}
	n, last := k.n, k.last
	k.n, k.last = 0, line{}
	if n == 0 {
		delete(r.kinds, kind)
	} else {
		k.over.Reset(repeatPeriod)
	}
	r.mu.Unlock()
	if n > 0 {
		r.writeCount(last, n)
	}
}

// Flush tells what was only counted yet, and forgets it all. It is for the end.
func (r *Repeats) Flush() {
	r.mu.Lock()
	all := r.kinds
	r.kinds = map[string]*repeat{}
	for _, k := range all {
		k.over.Stop()
	}
	r.mu.Unlock()
	for _, k := range all {
		if k.n > 0 {
			r.writeCount(k.last, k.n)
		}
	}
}

func (r *Repeats) writeCount(l line, n int) {
	tags := maps.Clone(l.tags)
	if tags == nil {
		tags = openlog.Tags{}
	}
	tags["repeated"] = n
	l.tags = tags
	r.write(l)
}

func (r *Repeats) write(l line) {
	if l.level >= slog.LevelError {
		r.log.Error(l.message, openlog.WithTags(l.tags))
		return
	}
	r.log.Warn(l.message, openlog.WithTags(l.tags))
}

// Kind is what a text that begins with constant words is taken for: its first three.
func Kind(text string) string {
	words := strings.Fields(text[:min(len(text), maxLogged)])
	return strings.Join(words[:min(len(words), 3)], " ")
}
