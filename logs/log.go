// Package logs knows the form of the process's log behind openlog and log/slog, how values
// from outside are made safe for it, and how it is written without ever blocking. It must
// not know who logs, or why.
package logs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-chassis/openlog"
)

// New makes a logger that writes JSON to w, one line per entry, with every value passed
// through Clean. level is the lowest that is written: DEBUG, INFO, WARN or ERROR; INFO if it
// is none of them.
func New(w io.Writer, level string) openlog.Logger { return logger{NewSlog(w, level)} }

// NewSlog is New for those who log by log/slog. Names of groups are written as they are.
func NewSlog(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l, ReplaceAttr: cleanAttr}))
}

// cleanAttr makes one attribute of a line safe, the message among them. Durations are
// written for people.
func cleanAttr(_ []string, a slog.Attr) slog.Attr {
	a.Key = Clean(a.Key)
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(Clean(a.Value.String()))
	case slog.KindDuration:
		a.Value = slog.StringValue(a.Value.String())
	case slog.KindAny:
		if _, level := a.Value.Any().(slog.Level); !level {
			a.Value = clean(a.Value.Any())
		}
	default: // numbers, truth values and times are safe
	}
	return a
}

type logger struct{ *slog.Logger }

// Debug implements openlog.Logger.
func (l logger) Debug(m string, o ...openlog.Option) { l.write(slog.LevelDebug, m, o) }

// Info implements openlog.Logger.
func (l logger) Info(m string, o ...openlog.Option) { l.write(slog.LevelInfo, m, o) }

// Warn implements openlog.Logger.
func (l logger) Warn(m string, o ...openlog.Option) { l.write(slog.LevelWarn, m, o) }

// Error implements openlog.Logger.
func (l logger) Error(m string, o ...openlog.Option) { l.write(slog.LevelError, m, o) }

// Fatal implements openlog.Logger. It only writes: cmd alone may end the process.
func (l logger) Fatal(m string, o ...openlog.Option) { l.write(slog.LevelError, m, o) }

func (l logger) write(level slog.Level, message string, options []openlog.Option) {
	ctx := context.Background()
	if !l.Enabled(ctx, level) {
		return
	}
	o := openlog.ToOptions(options...)
	attrs := make([]slog.Attr, 0, len(o.Tags)+1)
	for key, value := range o.Tags {
		attrs = append(attrs, slog.Any(key, value))
	}
	slices.SortFunc(attrs, func(a, b slog.Attr) int { return strings.Compare(a.Key, b.Key) })
	if o.Err != nil {
		attrs = append(attrs, slog.String("error", o.Err.Error()))
	}
	l.LogAttrs(ctx, level, message, attrs...)
}

// clean is any other value as a text.
func clean(value any) slog.Value {
	if s, ok := value.(Stack); ok {
		return slog.StringValue(s.String())
	}
	return slog.StringValue(Clean(fmt.Sprint(value)))
}

// maxLogged is the most bytes of one value that a line carries.
const maxLogged = 256

// Clean makes a value from outside safe for the log: otherwise it could forge lines, or change
// what a terminal shows. The result is valid UTF-8 of at most 256 bytes, without control
// characters, bidirectional controls and line separators.
func Clean(s string) string {
	if len(s) <= maxLogged && plain(s) {
		return s
	}
	if len(s) > 4*maxLogged { // a body may be megabytes
		s = s[:4*maxLogged]
	}
	s = strings.Map(func(r rune) rune {
		if unwanted(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > maxLogged {
		cut := maxLogged
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	return s
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

func unwanted(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r <= 0x9f: // C0, DEL, C1
		return true
	case r == 0x61c, r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069: // bidi
		return true
	case r == 0x2028, r == 0x2029, r == 0xfeff:
		return true
	}
	return false
}
