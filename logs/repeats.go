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
	// repeatPeriod is how long lines of one kind are counted before one line reports them.
	repeatPeriod = time.Minute
	// maxKinds bounds how many kinds are counted apart; those beyond it count as one.
	maxKinds = 512
)

// Repeats bounds lines whose number is decided outside, by a library or by a request that
// causes one for each element that it names: they could fill the log. The first line of a
// kind is written at once. Those that follow within a minute become one line: the last of
// them, with their number as "repeated".
type Repeats struct {
	log openlog.Logger

	mu    sync.Mutex
	kinds map[string]*repeat
}

type repeat struct {
	n     int // since the last line
	last  line
	timer *time.Timer
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
	r.kinds[kind] = &repeat{timer: time.AfterFunc(repeatPeriod, func() { r.report(kind) })}
	r.mu.Unlock()
	r.write(l)
}

// bounded is a copy of the line with values of bounded length.
func (l line) bounded() line {
	l.message, l.tags = Clean(l.message), maps.Clone(l.tags)
	for name, v := range l.tags {
		if s, ok := v.(string); ok {
			l.tags[name] = Clean(s)
		}
	}
	return l
}

// report is called when the period of a kind is over.
func (r *Repeats) report(kind string) {
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
		k.timer.Reset(repeatPeriod)
	}
	r.mu.Unlock()
	if n > 0 {
		r.writeCount(last, n)
	}
}

// Flush writes what is only counted so far, and forgets all kinds. It is for the end of the
// process.
func (r *Repeats) Flush() {
	r.mu.Lock()
	all := r.kinds
	r.kinds = map[string]*repeat{}
	for _, k := range all {
		k.timer.Stop()
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

// Kind is the kind of a text that begins with constant words: its first three words.
func Kind(text string) string {
	words := strings.Fields(text[:min(len(text), maxLogged)])
	return strings.Join(words[:min(len(words), 3)], " ")
}
