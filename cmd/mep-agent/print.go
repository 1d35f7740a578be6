package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode/utf16"

	"github.com/mec-liveness/mepserver/logs"
)

// printJSON prints a value for programs, indented for people. Whatever is not ASCII is escaped:
// a terminal would obey some of it.
func printJSON(out io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	var ascii []byte
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
	_, err = out.Write(append(ascii, '\n'))
	return err
}

// servicesOf is a number of services in words.
func servicesOf(n int) string {
	if n == 1 {
		return "1 service"
	}
	return fmt.Sprintf("%d services", n)
}

// cell is a value from outside as a cell: control characters are dropped, nothing is "-".
func cell(s string) string {
	if s = logs.Clean(s); s == "" {
		return "-"
	}
	return s
}

// ago is how long ago a time was, "-" for none.
func ago(now time.Time, at *time.Time) string {
	if at == nil {
		return "-"
	}
	return now.Sub(*at).Round(100*time.Millisecond).String() + " ago"
}

// in is how long it is until a time, "-" for none.
func in(now time.Time, at *time.Time) string {
	if at == nil {
		return "-"
	}
	return "in " + max(at.Sub(now), 0).Round(100*time.Millisecond).String()
}

// interval is a number of seconds as a duration, "-" for 0.
func interval(seconds float64) string {
	if seconds == 0 {
		return "-"
	}
	return time.Duration(seconds * float64(time.Second)).String()
}
