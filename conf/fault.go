package conf

import (
	"fmt"
	"strings"
)

// Fault is one thing wrong with a configuration.
type Fault struct {
	Where string // "mepserver.yaml:12", "MEP_STORE_KIND", "--listen"; empty for a default
	Path  string // the key, such as "liveness.minInterval"; empty when the document itself is wrong
	Rule  string // what must hold, and what was found
}

// String prints the fault on one line.
func (f Fault) String() string {
	var parts []string
	for _, p := range []string{f.Where, f.Path, f.Rule} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ": ")
}

// Faults is the error of Load and Validate: everything that is wrong, at once.
type Faults []Fault

// Error prints one line per fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// err is nil when there is no fault; a Faults(nil) in an error would not be.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

func (f *Faults) add(where, path, format string, args ...any) {
	*f = append(*f, Fault{Where: where, Path: path, Rule: fmt.Sprintf(format, args...)})
}

// shown quotes a value from outside: on one line, without control characters,
// and cut, so that a fault stays readable whatever was written.
func shown(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%+q", s)
}
