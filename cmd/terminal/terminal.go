// Package terminal writes what people and programs read at a terminal. Whatever comes from
// outside gets there without control characters: a terminal would obey them. It must not know
// what is written.
package terminal

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode/utf16"

	"github.com/mec-liveness/mepserver/logs"
)

// PrintJSON prints a value for programs, indented for people. Whatever is not ASCII is escaped:
// a terminal would obey some of it.
func PrintJSON(out io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	_, err = out.Write(append(escaped(b), '\n'))
	return err
}

// PrintLine prints a value for programs as one line.
func PrintLine(out io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	_, err = out.Write(append(escaped(b), '\n'))
	return err
}

// escaped is JSON in ASCII.
func escaped(b []byte) (ascii []byte) {
	for _, r := range string(b) {
		switch {
		case r < 0x7f:
			ascii = append(ascii, byte(r))
		case r <= 0xffff:
			ascii = fmt.Appendf(ascii, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			ascii = fmt.Appendf(ascii, `\u%04x\u%04x`, high, low)
		}
	}
	return ascii
}

// Cell is a value from outside as a cell: control characters are dropped, nothing is "-".
func Cell(s string) string {
	if s = logs.Clean(s); s == "" {
		return "-"
	}
	return s
}

// Ago is how long ago a time was, "-" for none.
func Ago(now, at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return Short(now.Sub(at)) + " ago"
}

// In is how long it is until a time, or was since, "-" for none.
func In(now, at time.Time) string {
	switch {
	case at.IsZero():
		return "-"
	case at.Before(now):
		return Ago(now, at)
	}
	return "in " + Short(at.Sub(now))
}

// Short is a duration as precise as people need it.
func Short(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(d, 0); {
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d.Round(time.Second) < time.Hour:
		return d.Round(time.Second).String()
	case d < 2*day:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d/day), int(d.Hours())%24)
}
